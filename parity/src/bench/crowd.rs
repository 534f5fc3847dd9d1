//! Many agents on the channel.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    BenchError, ServerProcess,
    client::Connection,
    fleet::{Member, enroll},
};
use crate::{
    socket_io::{Client, ConnectError, ConnectOptions, Incoming, Limits, Transport},
    target::endpoint::Endpoint,
};

/// Agents that connect at the same time when nothing is measured.
const GENTLY: usize = 32;
/// How long an agent tries to come back at one go, and in all.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries of one agent, on the average.
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

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
    let mut http = Connection::open(server.endpoint()).await?;
    let mut tokens = Vec::new();
    for member in &members {
        tokens.push(member.access_token(&mut http).await?);
    }
    let turns = Arc::new(Semaphore::new(GENTLY));
    let mut connecting = JoinSet::new();
    for (member, token) in members.into_iter().zip(tokens) {
        let (turns, endpoint) = (Arc::clone(&turns), server.endpoint());
        connecting.spawn(async move {
            // The semaphore is never closed; without a turn the agent would only be less gentle.
            let _turn = turns.acquire_owned().await;
            come_online(endpoint, member, token).await
        });
    }
    let mut agents = Vec::new();
    while let Some(agent) = connecting.join_next().await {
        agents.push(agent??);
    }
    Ok(agents)
}

/// All agents of a fleet that dropped, back on the channel.
#[derive(Debug, Default)]
pub(super) struct Returned {
    pub(super) agents: Vec<Agent>,
    /// When each was back, from the drop on.
    pub(super) back: Vec<Duration>,
    /// Tries that failed, by the reason.
    pub(super) failures: BTreeMap<String, usize>,
}

/// Connects all at once and waits until each was acknowledged. Who fails tries again as shipped agents do.
pub(super) async fn reconnect(
    server: &Endpoint,
    agents: Vec<(Member, String)>,
    dropped: Instant,
) -> Result<Returned, BenchError> {
    let mut connecting = JoinSet::new();
    for (number, (member, token)) in agents.into_iter().enumerate() {
        let server = server.clone();
        connecting.spawn(async move {
            let mut failures = Vec::new();
            loop {
                match come_online(server.clone(), member.clone(), token.clone()).await {
                    Ok(agent) => return Ok((agent, failures, dropped.elapsed())),
                    Err(error) if failures.len() > 100 => return Err(error),
                    Err(error) => failures.push(error.to_string()),
                }
                tokio::time::sleep(pause(number, failures.len())).await;
            }
        });
    }
    let mut returned = Returned::default();
    while let Some(agent) = connecting.join_next().await {
        let (agent, failures, at) = agent??;
        for failure in failures {
            *returned.failures.entry(failure).or_default() += 1;
        }
        returned.back.push(at);
        returned.agents.push(agent);
    }
    Ok(returned)
}

/// Between two tries of one agent: five seconds, and up to a half of that more or less, another for each.
fn pause(agent: usize, tries: usize) -> Duration {
    let scattered = agent.wrapping_mul(7919).wrapping_add(tries.wrapping_mul(104_729)) % 1000;
    BETWEEN_TRIES / 2 + BETWEEN_TRIES * u32::try_from(scattered).unwrap_or_default() / 1000
}

/// Connects one and waits until it was acknowledged.
pub(super) async fn come_online(
    server: impl Into<Endpoint>,
    member: Member,
    token: String,
) -> Result<Agent, BenchError> {
    let mut client = open(server, &member, &token).await?;
    let (event, data) = announcement(&member);
    call(&mut client, event, data).await?;
    Ok(Agent {
        member,
        token,
        client,
    })
}

/// Opens the channel of one that has not said yet who it is. Work may come on it from now on.
pub(super) async fn open(
    server: impl Into<Endpoint>,
    member: &Member,
    token: &str,
) -> Result<Client, ConnectError> {
    let options = ConnectOptions {
        server: server.into().dialled_from(member.address.into()),
        headers: vec![
            ("Authorization".to_owned(), format!("Bearer {token}")),
            ("X-Borealis-Agent-Context".to_owned(), "SYSTEM".to_owned()),
        ],
        limits: Limits {
            packets: 16,
            connect: PATIENCE,
            ..Limits::default()
        },
        query: String::new(),
        transports: vec![Transport::WebSocket],
        auth: None,
    };
    Client::connect(&options).await
}

/// What an agent says first.
pub(super) fn announcement(member: &Member) -> (&'static str, serde_json::Value) {
    let data = json!({"agent_id": member.agent_id(), "service_mode": "system"});
    ("connect_agent", data)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_try_again_after_five_seconds_and_a_half_either_way() {
        let pauses: Vec<_> = (0..1000)
            .flat_map(|agent| [pause(agent, 1), pause(agent, 2)])
            .collect();
        assert!(
            pauses
                .iter()
                .all(|pause| (2500..7500).contains(&pause.as_millis()))
        );
        let mean = pauses.iter().sum::<Duration>() / 2000;
        assert!((4900..5100).contains(&mean.as_millis()), "{mean:?}");
    }
}
