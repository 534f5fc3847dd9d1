//! Whose a name, a run, a report and an account are: on a whole server under `strict`, with real sockets.

mod accounts;
mod names;
mod quarantine;
mod reports;
mod runs;

use serde_json::Value;

use crate::testkit::{
    GUID,
    rows::{Device, devices},
    server::Server,
};

const A: Device = Device::new(GUID, "WIN-A", "aa");
const C: Device = Device::new("00000000-0000-4000-8000-00000000000C", "WIN-C", "cc");
/// Two whose names differ in letter case alone.
const TWIN: Device = Device::new("00000000-0000-4000-8000-000000000001", "TWIN", "d1");
const OTHER_TWIN: Device = Device::new("00000000-0000-4000-8000-000000000002", "twin", "d2");

fn all_devices() -> String {
    devices(&[A, C, TWIN, OTHER_TWIN])
}

/// A server with a script, and an operator's cookies.
async fn server() -> (Server, String) {
    let server = Server::start("strict", all_devices()).await;
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
