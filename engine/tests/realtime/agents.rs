//! Agents' connections, and the work that they get.

use serde_json::{Value, json};

use super::{
    client::Client,
    server::{AGENT, GUID, START, Server},
};

pub(crate) const OTHER: &str = "00000000-0000-4000-8000-000000000002";
pub(crate) const DEVICES: &str = "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status) VALUES \
     ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-1', 'ab', 1, 'active'), \
     ('00000000-0000-4000-8000-000000000002', 'WIN-2', 'cd', 1, 'active')";

/// An agent's connection, announced.
pub(crate) async fn agent(server: &Server, guid: &str, fingerprint: &str, agent_id: &str) -> Client {
    let token = format!("Bearer {}", server.token(guid, fingerprint, 1, START));
    let mut client = Client::join_new(server, &[("Authorization", &token)]).await;
    client
        .call(
            "connect_agent",
            json!({"agent_id": agent_id, "service_mode": "system"}),
        )
        .await;
    client
}

/// An event's acknowledgement number (where one is asked for), name and argument.
pub(crate) fn event(frame: &str) -> (Option<String>, String, Value) {
    let rest = frame.strip_prefix("42").unwrap_or_else(|| panic!("{frame}"));
    let (digits, data) = rest.split_at(rest.find('[').unwrap());
    let number = Some(digits.to_owned()).filter(|digits| !digits.is_empty());
    let data: Value = serde_json::from_str(data).unwrap();
    (number, data[0].as_str().unwrap().to_owned(), data[1].clone())
}

/// The next work with the ping that follows it, which is not answered.
pub(crate) async fn work(agent: &mut Client) -> (Option<String>, String, Value) {
    let work = event(&agent.frame().await);
    assert_eq!(agent.frame().await, "2");
    work
}

/// The system's agent of the first device.
pub(crate) async fn system(server: &Server) -> Client {
    agent(server, GUID, "ab", AGENT).await
}
