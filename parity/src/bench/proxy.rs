//! What the proxy of `parity record` costs: the same questions without it and through it, at a fixed rate and as fast as
//! they are answered. It runs in this process, beside the load, so what is shown is what it costs at most.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{BenchError, Figure, Latencies, Plan, ServerError, ServerProcess, client::Connection};
use crate::record::{Front, Limits, Proxy, SystemClock, Upstream};

/// Requests a second.
const RATE: u32 = 1000;
const QUESTION: &str = "/health";

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    let place = |error| BenchError::Server(ServerError::Place(error));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(place)?;
    let proxy = Proxy::new(Arc::new(SystemClock), Limits::default());
    let through = proxy.serve(listener, Front::Plain, Upstream::at(server.address()))?;
    let mut figures = Vec::new();
    // Both ways take turns, so that what else the machine does meets both.
    let (mut paced, mut fast) = ([Latencies::default(), Latencies::default()], [0.0; 2]);
    for _ in 0..ROUNDS {
        for (way, address) in [server.address(), through].into_iter().enumerate() {
            let part = plan.duration / ROUNDS;
            let (Some(paced), Some(fast)) = (paced.get_mut(way), fast.get_mut(way)) else {
                continue;
            };
            paced.merge(load(plan, address, part, Some(RATE)).await?.0);
            *fast += load(plan, address, part, None).await?.1 / f64::from(ROUNDS);
        }
    }
    let [mut direct, mut proxied] = paced;
    for (direct_name, through_name, share) in [
        ("50 %, direct", "50 %, through", 0.5),
        ("99 %, direct", "99 %, through", 0.99),
    ] {
        for (name, ways) in [(direct_name, &mut direct), (through_name, &mut proxied)] {
            let took = ways.quantile(share).unwrap_or_default();
            figures.push(Figure::new(name, took.as_secs_f64() * 1000.0, "ms"));
        }
    }
    let [direct, proxied] = fast;
    figures.push(Figure::new("as fast as can, direct", direct, "/s"));
    figures.push(Figure::new("as fast as can, through", proxied, "/s"));
    #[allow(clippy::cast_precision_loss, reason = "requests of seconds")]
    let recorded = proxy.finish().await?.exchanges() as f64;
    figures.push(Figure::new("recorded", recorded, "exchanges"));
    Ok(figures)
}

const ROUNDS: u32 = 5;

/// Asks over all connections for a while; what each answer took, and how many came in a second. At a rate each answer is
/// counted from when it was due, so that a pause is not forgotten.
async fn load(
    plan: &Plan,
    address: SocketAddr,
    duration: Duration,
    rate: Option<u32>,
) -> Result<(Latencies, f64), BenchError> {
    let begin = Instant::now();
    let connections = u32::try_from(plan.connections).unwrap_or(1).max(1);
    let mut parts = JoinSet::new();
    for number in 0..connections {
        let mut connection = Connection::open(address).await?;
        let between = rate.map(|rate| Duration::from_secs(1) * connections / rate);
        let mut due = begin + between.unwrap_or_default() * number / connections;
        parts.spawn(async move {
            let mut latencies = Latencies::default();
            while due.max(Instant::now()) < begin + duration {
                if between.is_some() {
                    tokio::time::sleep_until(due.into()).await;
                } else {
                    due = Instant::now();
                }
                let status = connection.get(QUESTION).await?;
                if status != 200 {
                    return Err(BenchError::Refused {
                        request: QUESTION,
                        status,
                    });
                }
                latencies.note(due.elapsed());
                due += between.unwrap_or_default();
            }
            Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    let mut count: u32 = 0;
    while let Some(part) = parts.join_next().await {
        let part = part??;
        count = count.saturating_add(u32::try_from(part.count()).unwrap_or(u32::MAX));
        all.merge(part);
    }
    Ok((all, f64::from(count) / begin.elapsed().as_secs_f64()))
}
