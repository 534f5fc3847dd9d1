//! A fleet that comes back at once.

use tokio::task::JoinSet;

use crate::testkit::{START, server::Server, socket::Client};

/// More than are served at a time.
const AGENTS: usize = 400;

fn guid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012X}")
}

/// An agent that has announced itself.
async fn agent(address: std::net::SocketAddr, number: usize, token: String) -> Client {
    let bearer = format!("Bearer {token}");
    let mut client = Client::join_new(address, &[("Authorization", &bearer)]).await;
    let agent_id = format!("WIN-{number}_{}_SYSTEM", guid(number));
    client
        .send(&format!("421[\"connect_agent\",{{\"agent_id\":\"{agent_id}\"}}]"))
        .await;
    loop {
        match client.frame().await.as_str() {
            "431[]" => return client,
            ping => assert_eq!(ping, "2"),
        }
        client.send("3").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_taken_in_whole() {
    let rows: String = (0..AGENTS)
        .map(|number| {
            format!(
                "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status) \
                 VALUES ('{}', 'WIN-{number}', 'ab12', 1, 'active');",
                guid(number)
            )
        })
        .collect();
    let server = Server::start_with("strict", rows, |_| {}).await;
    let address = server.address();
    // The second time all of them have just been dropped.
    for _ in 0..2 {
        let mut coming = JoinSet::new();
        for number in 0..AGENTS {
            let token = server.token(&guid(number), "ab12", 1, START);
            coming.spawn(agent(address, number, token));
        }
        let agents = coming.join_all().await;
        assert_eq!(agents.len(), AGENTS);
    }
    server.stop().await;
}
