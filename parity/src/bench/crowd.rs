//! Many agents on the channel.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    BenchError, ServerProcess,
    client::Connection,
    fleet::{Member, enroll},
};
use crate::socket_io::{Client, ConnectOptions, Incoming, Limits};

/// Agents that connect at the same time when nothing is measured.
const GENTLY: usize = 32;
/// How long an agent tries to come back at one go, and in all.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries of one agent. Shipped agents wait longer.
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// An agent on the channel, with its access token.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) member: Member,
    pub(super) token: String,
    pub(super) client: Client,
}

/// Enrolls devices and connects an agent of each.
pub(super) async fn connect(server: &ServerProcess, count: usize) -> Result<Vec<Agent>, BenchError> {
    let members = enroll(server, count).await?;
    let mut http = Connection::open(server.address()).await?;
    let mut tokens = Vec::new();
    for member in &members {
        tokens.push(member.access_token(&mut http).await?);
    }
    let turns = Arc::new(Semaphore::new(GENTLY));
    let mut connecting = JoinSet::new();
    for (member, token) in members.into_iter().zip(tokens) {
        let (turns, address) = (Arc::clone(&turns), server.address());
        connecting.spawn(async move {
            // The semaphore is never closed; without a turn the agent would only be less gentle.
            let _turn = turns.acquire_owned().await;
            come_online(address, member, token).await
        });
    }
    let mut agents = Vec::new();
    while let Some(agent) = connecting.join_next().await {
        agents.push(agent??);
    }
    Ok(agents)
}

/// Connects all at once and waits until each was acknowledged.
pub(super) async fn reconnect(
    address: SocketAddr,
    agents: Vec<(Member, String)>,
) -> Result<(Vec<Agent>, usize), BenchError> {
    let mut connecting = JoinSet::new();
    for (member, token) in agents {
        connecting.spawn(async move {
            let mut failures = 0;
            loop {
                match come_online(address, member.clone(), token.clone()).await {
                    Ok(agent) => return Ok((agent, failures)),
                    Err(error) if failures > 100 => return Err(error),
                    Err(_) => failures += 1,
                }
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        });
    }
    let (mut back, mut failures) = (Vec::new(), 0);
    while let Some(agent) = connecting.join_next().await {
        let (agent, failed) = agent??;
        failures += failed;
        back.push(agent);
    }
    Ok((back, failures))
}

/// Connects one and waits until it was acknowledged.
pub(super) async fn come_online(
    address: SocketAddr,
    member: Member,
    token: String,
) -> Result<Agent, BenchError> {
    let options = ConnectOptions {
        headers: vec![
            ("Authorization".to_owned(), format!("Bearer {token}")),
            ("X-Borealis-Agent-Context".to_owned(), "SYSTEM".to_owned()),
        ],
        limits: Limits {
            packets: 16,
            connect: PATIENCE,
            ..Limits::default()
        },
        ..ConnectOptions::websocket(address)
    };
    let mut client = Client::connect(&options).await?;
    call(
        &mut client,
        "connect_agent",
        json!({"agent_id": member.agent_id(), "service_mode": "system"}),
    )
    .await?;
    Ok(Agent {
        member,
        token,
        client,
    })
}

/// Emits an event and waits for its acknowledgement.
pub(super) async fn call(
    client: &mut Client,
    event: &str,
    data: serde_json::Value,
) -> Result<(), BenchError> {
    let wanted = client.emit_with_ack(event, &[data]).await?;
    let answer = async {
        loop {
            match client.next().await {
                Incoming::Ack { id, .. } if id == wanted => return Ok(()),
                Incoming::Closed(reason) => return Err(reason),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(BenchError::Missing("an acknowledgement")),
    }
}

pub(super) async fn wait_for(client: &mut Client, event: &str) -> Result<(), BenchError> {
    let arrival = async {
        loop {
            match client.next().await {
                Incoming::Event { name, .. } if name == event => return Ok(()),
                Incoming::Closed(reason) => return Err(reason),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(PATIENCE * 2, arrival).await {
        Ok(arrived) => Ok(arrived?),
        Err(_) => Err(BenchError::Missing("an event")),
    }
}
