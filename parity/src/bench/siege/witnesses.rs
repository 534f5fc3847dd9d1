//! Agents and operators who go on working, and how long they wait.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use super::super::{
    BenchError, ServerProcess,
    client::Connection,
    crowd::{self, Agent, call},
    operator::Operator,
};
use crate::socket_io::Client;

/// Agents that are connected.
const AGENTS: usize = 100;
/// Operators that are connected.
const OPERATORS: usize = 2;
/// Between two things that a witness asks for.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a witness waits at most; that counts as a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever works.
pub(super) struct Witnesses {
    agents: Vec<Agent>,
    operator: Operator,
    operators: Vec<Client>,
}

/// The longest waits, and what was not answered as it should be.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) agent: Duration,
    pub(super) operator: Duration,
    pub(super) failures: Vec<String>,
}

/// Witnesses at work.
pub(super) struct Watch {
    over: watch::Sender<bool>,
    agent: JoinHandle<(Duration, Vec<String>)>,
    operator: JoinHandle<(Duration, Vec<String>)>,
    _others: (Vec<Agent>, Vec<Client>),
}

impl Witnesses {
    /// Connects them, and one more agent for attacks that a device makes.
    pub(super) async fn gather(server: &ServerProcess) -> Result<(Self, Agent), BenchError> {
        let mut agents = crowd::connect(server, AGENTS + 1).await?;
        let attacker = agents.pop().ok_or(BenchError::Missing("the agent"))?;
        let operator = Operator::log_in(server).await?;
        let mut operators = Vec::new();
        for _ in 0..OPERATORS {
            operators.push(operator.connect(server).await?);
        }
        let witnesses = Self {
            agents,
            operator,
            operators,
        };
        Ok((witnesses, attacker))
    }

    /// Lets one agent and one operator ask for things until it is over. Each opens a connection of its own every time:
    /// who comes anew has to get in too.
    pub(super) fn watch(mut self, address: SocketAddr) -> Watch {
        let (over, is_over) = watch::channel(false);
        let agent = self.agents.pop();
        let until = is_over.clone();
        let agent = tokio::spawn(async move {
            let Some(mut agent) = agent else {
                return (Duration::ZERO, vec!["no agent".to_owned()]);
            };
            let mut longest = Longest::default();
            while !*until.borrow() {
                longest.note("an agent", as_agent(address, &mut agent)).await;
            }
            (longest.wait, longest.failures)
        });
        let asker = self.operator.clone();
        let operator = tokio::spawn(async move {
            let mut longest = Longest::default();
            while !*is_over.borrow() {
                longest.note("an operator", as_operator(address, &asker)).await;
            }
            (longest.wait, longest.failures)
        });
        // What the others are sent is not read, as with a page in the background.
        Watch {
            over,
            agent,
            operator,
            _others: (self.agents, self.operators),
        }
    }
}

impl Watch {
    pub(super) async fn end(self) -> Result<Waits, BenchError> {
        self.over.send_replace(true);
        let (agent, mut failures) = self.agent.await?;
        let (operator, more) = self.operator.await?;
        failures.extend(more);
        Ok(Waits {
            agent,
            operator,
            failures,
        })
    }
}

#[derive(Default)]
struct Longest {
    wait: Duration,
    failures: Vec<String>,
}

impl Longest {
    async fn note(&mut self, who: &str, asked: impl Future<Output = Result<(), BenchError>>) {
        let begin = Instant::now();
        let answered = tokio::time::timeout(PATIENCE, asked).await;
        self.wait = self.wait.max(begin.elapsed());
        let failure = match answered {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{who}: {error}")),
            Err(_) => Some(format!("{who}: no answer")),
        };
        // One of a kind tells enough.
        self.failures
            .extend(failure.filter(|failure| !self.failures.contains(failure)));
        tokio::time::sleep(PAUSE).await;
    }
}

/// A report by HTTP over a new connection, and one on the channel.
async fn as_agent(address: SocketAddr, agent: &mut Agent) -> Result<(), BenchError> {
    let mut connection = Connection::open(address).await?;
    let body = json!({"hostname": agent.member.hostname, "metrics": {}}).to_string();
    let (status, _) = connection
        .post("/api/agent/heartbeat", Some(&agent.token), body.into())
        .await?;
    // The gate lets a device in sixty times a minute.
    if status != 200 && status != 429 {
        return Err(BenchError::Refused {
            request: "a heartbeat",
            status,
        });
    }
    let report = json!({"agent_id": agent.member.agent_id(), "hostname": agent.member.hostname});
    call(&mut agent.client, "agent_heartbeat", report).await
}

/// The list of agents over a new connection, and a new channel.
async fn as_operator(address: SocketAddr, operator: &Operator) -> Result<(), BenchError> {
    let mut connection = Connection::open(address).await?;
    match operator.get(&mut connection, "/api/agents").await? {
        200 => {}
        status => {
            return Err(BenchError::Refused {
                request: "the list of agents",
                status,
            });
        }
    }
    operator.connect_to(address).await?.disconnect().await;
    Ok(())
}
