//! Whose a name, a run, a report and an account are: on a whole server under `strict`, with real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "realtime/agents.rs"]
mod agents;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "realtime/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "realtime/server.rs"]
mod server;

#[path = "binding/accounts.rs"]
mod accounts;
#[path = "binding/names.rs"]
mod names;
#[path = "binding/quarantine.rs"]
mod quarantine;
#[path = "binding/reports.rs"]
mod reports;
#[path = "binding/runs.rs"]
mod runs;

use serde_json::Value;
use server::{START, Server};

/// Two devices, and two whose names differ in letter case alone.
const DEVICES: &str = "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status, last_seen) VALUES \
     ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-A', 'aa', 1, 'active', 5), \
     ('00000000-0000-4000-8000-00000000000C', 'WIN-C', 'cc', 1, 'active', 5), \
     ('00000000-0000-4000-8000-000000000001', 'TWIN', 'd1', 1, 'active', 5), \
     ('00000000-0000-4000-8000-000000000002', 'twin', 'd2', 1, 'active', 5)";

struct Device {
    guid: &'static str,
    fingerprint: &'static str,
    hostname: &'static str,
}

const A: Device = Device {
    guid: server::GUID,
    fingerprint: "aa",
    hostname: "WIN-A",
};
const C: Device = Device {
    guid: "00000000-0000-4000-8000-00000000000C",
    fingerprint: "cc",
    hostname: "WIN-C",
};
const TWIN: Device = Device {
    guid: "00000000-0000-4000-8000-000000000001",
    fingerprint: "d1",
    hostname: "TWIN",
};
const OTHER_TWIN: Device = Device {
    guid: "00000000-0000-4000-8000-000000000002",
    fingerprint: "d2",
    hostname: "twin",
};

impl Device {
    fn agent_id(&self) -> String {
        format!("{}_{}_SYSTEM", self.hostname, self.guid)
    }

    fn token(&self, server: &Server) -> String {
        format!("Bearer {}", server.token(self.guid, self.fingerprint, 1, START))
    }

    /// Its agent on the channel, announced.
    async fn connect(&self, server: &Server) -> client::Client {
        agents::agent(server, self.guid, self.fingerprint, &self.agent_id()).await
    }

    /// Status and body of a call over REST.
    async fn post(&self, server: &Server, path: &str, body: Value) -> (u16, Value) {
        let token = self.token(server);
        let (status, answer) = server
            .ask("POST", path, &[("authorization", &token)], &body.to_string())
            .await;
        (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
    }
}

/// A server with a script, and an operator's cookies.
async fn server() -> (Server, String) {
    let server = Server::start("strict", DEVICES).await;
    server.file("Assemblies/Scripts/hello.ps1", "Write-Output hello\n");
    let cookies = server.log_in().await;
    (server, cookies)
}

async fn as_operator(server: &Server, cookies: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = server
        .ask("POST", path, &[("cookie", cookies)], &body.to_string())
        .await;
    (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
}

fn error(word: &str) -> Value {
    serde_json::json!({"error": word})
}
