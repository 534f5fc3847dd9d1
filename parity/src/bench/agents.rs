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
    let (mut figures, cost) = measured(plan, ServerProcess::start(&plan.engine).await?).await?;
    if plan.tls {
        let plain = figures.split_off(0);
        let over_tls;
        (figures, over_tls) = measured(plan, ServerProcess::start_with_tls(&plan.engine).await?).await?;
        figures.extend(of_tls(&plain, cost, over_tls));
    }
    Ok(figures)
}

/// What the return of the fleet cost the server.
#[derive(Clone, Copy, Debug)]
struct Cost {
    agents: f64,
    /// Processor time of connecting them one after the other, in seconds.
    connecting: f64,
    all_back: f64,
    /// Processor time until all were back.
    returning: f64,
}

/// Beside what was measured over TLS, what it costs: the same without it was measured before.
fn of_tls(plain: &[Figure], without: Cost, with: Cost) -> Vec<Figure> {
    let more = |with: f64, without: f64| (with - without).max(0.0);
    let each = more(with.connecting, without.connecting) / with.agents;
    let mut figures = vec![
        Figure::new("handshakes, all back", with.agents / with.all_back, "/s"),
        Figure::new("handshake, each", each * 1e6, "us"),
        Figure::new(
            "share of TLS, connecting",
            more(with.connecting, without.connecting) / with.connecting * 100.0,
            "%",
        ),
        Figure::new(
            "share of TLS, all back",
            more(with.returning, without.returning) / with.returning * 100.0,
            "%",
        ),
    ];
    let kept = [
        "each connection",
        "connecting, each",
        storm::ALL_BACK,
        storm::PROCESSOR_TIME,
    ];
    let plain = plain.iter().filter(|one| kept.contains(&&*one.name));
    figures.extend(plain.map(|one| Figure::new(format!("plain: {}", one.name), one.value, one.unit)));
    figures
}

async fn measured(plan: &Plan, server: ServerProcess) -> Result<(Vec<Figure>, Cost), BenchError> {
    tokio::time::sleep(QUIET).await;
    let empty = server.resident_megabytes()?;
    let used = server.processor_time()?;
    let agents = crowd::connect(&server, plan.devices).await?;
    let connecting = (server.processor_time()? - used).as_secs_f64();
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
        Figure::new("connecting, each", connecting / count * 1e6, "us"),
        Figure::new("resident, heartbeats", after, "MB"),
        Figure::new(
            "a processor's share",
            used.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
            "%",
        ),
    ];
    figures.extend(latencies.figures(elapsed, used));
    let of_storm = |name: &str| {
        let figure = storm.iter().find(|figure| figure.name == name);
        figure.map_or(0.0, |figure| figure.value)
    };
    let cost = Cost {
        agents: count,
        connecting,
        all_back: of_storm(storm::ALL_BACK),
        returning: of_storm(storm::PROCESSOR_TIME),
    };
    figures.extend(storm);
    Ok((figures, cost))
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
        let mut connection = Connection::open(server.endpoint()).await?;
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
