//! A whole fleet drops and comes back at once, while others go on working.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    BenchError, Figure, ServerProcess,
    client::{ClientError, Connection},
    crowd::{self, Agent, Returned},
    fleet::Member,
    operator::Operator,
    usage,
};
use crate::target::endpoint::{DialError, Endpoint};

/// What two of the figures are called.
pub(super) const ALL_BACK: &str = "all back after";
pub(super) const PROCESSOR_TIME: &str = "processor time";
/// Between two things that a witness asks for.
const PAUSE: Duration = Duration::from_millis(100);
/// Devices whose reports the witness sends in turn: the gate lets each in sixty times a minute.
const REPORTERS: usize = 200;
/// How long the server is left alone until its memory is read again.
const QUIET: Duration = Duration::from_secs(10);
/// How long closed connections may take until their files are free.
const CLOSED: Duration = Duration::from_secs(10);
/// When it is told how many are back, in seconds.
const TOLD_AFTER: [u64; 6] = [1, 2, 5, 10, 20, 30];
/// Reasons of failed tries that are told, the most frequent first.
const MOST_REASONS: usize = 5;

/// Drops these agents, has them come back, and says how that went. The agents, to be dropped by the caller.
pub(super) async fn measure(
    server: &ServerProcess,
    agents: Vec<Agent>,
) -> Result<(Vec<Agent>, Vec<Figure>), BenchError> {
    let fleet = agents.len();
    let before = server.resident_megabytes()?;
    let operator = Operator::log_in(server).await?;
    let reporters = agents
        .iter()
        .take(REPORTERS)
        .map(|agent| (agent.member.clone(), agent.token.clone()))
        .collect();
    let witnesses = Witnesses::watch(&server.endpoint(), reporters, operator);
    server.forget_peak()?;
    let used = server.processor_time()?;

    let files = usage::own_open_files();
    let members = agents
        .into_iter()
        .map(|agent| (agent.member, agent.token))
        .collect();
    let dropped = Instant::now();
    // The clients end on their own once they are dropped; until then their files are not to be had.
    while usage::own_open_files() + fleet / 2 > files && dropped.elapsed() < CLOSED {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let returned = crowd::reconnect(&server.endpoint(), members, dropped).await?;
    let used = server.processor_time()? - used;
    let waits = witnesses.end().await?;
    let peak = server.peak_megabytes()?;
    tokio::time::sleep(QUIET).await;
    let mut figures = told(&returned);
    figures.push(Figure::new(PROCESSOR_TIME, used.as_secs_f64(), "s"));
    for (name, wait) in waits {
        figures.push(Figure::new(name, wait.as_secs_f64() * 1000.0, "ms"));
    }
    figures.push(Figure::new("resident, before", before, "MB"));
    figures.push(Figure::new("resident, at worst", peak, "MB"));
    figures.push(Figure::new(
        "resident, all back",
        server.resident_megabytes()?,
        "MB",
    ));
    Ok((returned.agents, figures))
}

#[allow(clippy::cast_precision_loss, reason = "thousands of agents at most")]
fn told(returned: &Returned) -> Vec<Figure> {
    let all_back = returned.back.iter().max().copied().unwrap_or_default();
    let mut figures = vec![Figure::new(ALL_BACK, all_back.as_secs_f64(), "s")];
    for seconds in TOLD_AFTER {
        let time = Duration::from_secs(seconds);
        if time < all_back {
            let back = returned.back.iter().filter(|at| **at <= time).count();
            figures.push(Figure::new(format!("back after {seconds} s"), back as f64, ""));
        }
    }
    let failed: usize = returned.failures.values().sum();
    figures.push(Figure::new("tries that failed", failed as f64, ""));
    let mut reasons: Vec<_> = returned.failures.iter().collect();
    reasons.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    for (reason, times) in reasons.into_iter().take(MOST_REASONS) {
        figures.push(Figure::new(format!("  {reason}"), *times as f64, ""));
    }
    figures
}

/// A device that reports and an operator who looks, each over a connection that stays, and somebody who comes anew every
/// time.
struct Witnesses {
    over: watch::Sender<bool>,
    longest: Vec<(&'static str, JoinHandle<Result<Duration, BenchError>>)>,
}

impl Witnesses {
    fn watch(server: &Endpoint, reporters: Vec<(Member, String)>, operator: Operator) -> Self {
        let (over, is_over) = watch::channel(false);
        let longest = vec![
            (
                "longest heartbeat",
                tokio::spawn(report(server.clone(), reporters, is_over.clone())),
            ),
            (
                "longest of an operator",
                tokio::spawn(look(server.clone(), operator, is_over.clone())),
            ),
            (
                "longest of a newcomer",
                tokio::spawn(come(server.clone(), is_over)),
            ),
        ];
        Self { over, longest }
    }

    /// The longest wait of each.
    async fn end(self) -> Result<Vec<(&'static str, Duration)>, BenchError> {
        self.over.send_replace(true);
        let mut waits = Vec::new();
        for (name, longest) in self.longest {
            waits.push((name, longest.await??));
        }
        Ok(waits)
    }
}

/// Waits for an answer that must be 200.
async fn note(
    longest: &mut Duration,
    request: &'static str,
    asked: impl Future<Output = Result<u16, ClientError>>,
) -> Result<(), BenchError> {
    let begin = Instant::now();
    let status = asked.await?;
    *longest = (*longest).max(begin.elapsed());
    if status != 200 {
        return Err(BenchError::Refused { request, status });
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

async fn report(
    server: Endpoint,
    reporters: Vec<(Member, String)>,
    over: watch::Receiver<bool>,
) -> Result<Duration, BenchError> {
    let mut connection = Connection::open(server).await?;
    let mut longest = Duration::ZERO;
    for (member, token) in reporters.iter().cycle() {
        if *over.borrow() {
            break;
        }
        let body = json!({"hostname": member.hostname, "metrics": {"uptime": 3600}}).to_string();
        let report = async {
            let answer = connection.post("/api/agent/heartbeat", Some(token), body.into());
            Ok(answer.await?.0)
        };
        note(&mut longest, "a heartbeat", report).await?;
    }
    Ok(longest)
}

async fn look(
    server: Endpoint,
    operator: Operator,
    over: watch::Receiver<bool>,
) -> Result<Duration, BenchError> {
    let mut connection = Connection::open(server).await?;
    let mut longest = Duration::ZERO;
    while !*over.borrow() {
        let sites = async {
            match operator.get(&mut connection, "/api/sites").await {
                Ok(status) => Ok(status),
                Err(BenchError::Connection(error)) => Err(error),
                // Nothing else comes of a request.
                Err(_) => Ok(0),
            }
        };
        note(&mut longest, "the list of sites", sites).await?;
    }
    Ok(longest)
}

/// How long each had to come until they were in; who finds no way in for [`Endpoint::dial`]'s patience comes again at once.
async fn come(server: Endpoint, over: watch::Receiver<bool>) -> Result<Duration, BenchError> {
    let mut longest = Duration::ZERO;
    while !*over.borrow() {
        let health = async {
            loop {
                match Connection::open(server.clone()).await {
                    Err(ClientError::Dial(DialError::Late(_))) if !*over.borrow() => {}
                    connection => return connection?.get("/health").await,
                }
            }
        };
        note(&mut longest, "/health", health).await?;
    }
    Ok(longest)
}
