//! Agents' connections, and the work that they get.

use serde_json::{Value, json};

use super::{
    AGENT, GUID, START,
    rows::{Device, WIN_1, WIN_2, devices},
    server::Server,
    socket::Client,
};

/// The rows of two devices.
pub(crate) fn two_devices() -> String {
    devices(&[WIN_1, WIN_2])
}

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

impl Device {
    /// Its agent on the channel, announced.
    pub(crate) async fn connect(&self, server: &Server) -> Client {
        agent(server, self.guid, self.fingerprint, &self.agent_id()).await
    }

    /// Status and body of a call over REST.
    pub(crate) async fn post(&self, server: &Server, path: &str, body: Value) -> (u16, Value) {
        let bearer = server.bearer(self);
        server
            .send("POST", path, &[("authorization", &bearer)], &body.to_string())
            .await
            .status_and_json()
    }
}

/// The system's agent of the first device.
pub(crate) async fn system(server: &Server) -> Client {
    agent(server, GUID, "ab", AGENT).await
}
