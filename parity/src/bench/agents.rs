//! Agents that are connected and report every 30 seconds; then all drop and come back at once.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::{
    BenchError, Figure, Latencies, Plan, ServerProcess,
    client::Connection,
    crowd::{self, Agent},
    storm,
};

/// How often a shipped agent reports.
const PERIOD: Duration = Duration::from_secs(30);
/// Pauses before the memory is read.
const QUIET: Duration = Duration::from_secs(3);

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    tokio::time::sleep(QUIET).await;
    let empty = server.resident_megabytes()?;
    let agents = crowd::connect(&server, plan.devices).await?;
    tokio::time::sleep(QUIET).await;
    let connected = server.resident_megabytes()?;

    let (used, begin) = (server.processor_time()?, Instant::now());
    let latencies = heartbeats(&server, &agents, plan.connections).await?;
    let (elapsed, used) = (begin.elapsed(), server.processor_time()? - used);
    let after = server.resident_megabytes()?;

    #[allow(clippy::cast_precision_loss, reason = "thousands of agents at most")]
    let count = agents.len() as f64;
    let (_agents, storm) = storm::measure(&server, agents).await?;
    let mut figures = vec![
        Figure::new("agents", count, ""),
        Figure::new("resident, empty", empty, "MB"),
        Figure::new("resident, connected", connected, "MB"),
        Figure::new("each connection", (connected - empty) * 1000.0 / count, "kB"),
        Figure::new("resident, heartbeats", after, "MB"),
        Figure::new(
            "a processor's share",
            used.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
            "%",
        ),
    ];
    figures.extend(latencies.figures(elapsed, used));
    figures.extend(storm);
    Ok(figures)
}

/// Two rounds of reports, each spread over a period as the fleet's are.
async fn heartbeats(
    server: &ServerProcess,
    agents: &[Agent],
    connections: usize,
) -> Result<Latencies, BenchError> {
    let mut load = JoinSet::new();
    let begin = Instant::now();
    for number in 0..connections {
        let mut connection = Connection::open(server.address()).await?;
        let mine: Vec<_> = agents
            .iter()
            .skip(number)
            .step_by(connections)
            .map(|agent| (agent.member.hostname.clone(), agent.token.clone()))
            .collect();
        load.spawn(async move {
            let mut latencies = Latencies::default();
            let pause = (PERIOD * 2).div_f64((mine.len().max(1) * 2) as f64);
            let mut next = begin;
            for (hostname, token) in mine.iter().chain(mine.iter()) {
                next += pause;
                tokio::time::sleep_until(next.into()).await;
                let asked = Instant::now();
                let body = json!({"hostname": hostname, "metrics": {"uptime": 3600}}).to_string();
                let (status, _) = connection
                    .post("/api/agent/heartbeat", Some(token), body.into())
                    .await?;
                if status != 200 {
                    return Err(BenchError::Refused {
                        request: "a heartbeat",
                        status,
                    });
                }
                latencies.note(asked.elapsed());
            }
            Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(part) = load.join_next().await {
        all.merge(part??);
    }
    Ok(all)
}
