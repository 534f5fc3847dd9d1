//! The route that does nothing, and the same answer of a bare axum server by turns: what is left of the library's speed.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use axum::{Router, http::header, routing::get};
use tokio::{runtime::Runtime, task::JoinSet};

use super::{BenchError, Figure, Latencies, Plan, ServerError, ServerProcess, client::Connection};

/// How often each of the two has its turn, so that what else the machine does meets both.
const TURNS: u32 = 5;
const HEALTH: &str = "/health";

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    let bare = Bare::start()?;
    let (mut ours, mut theirs) = (Latencies::default(), Latencies::default());
    let (mut our_time, mut their_time) = (Duration::ZERO, Duration::ZERO);
    let used = server.processor_time()?;
    for _ in 0..TURNS {
        our_time += load(server.address(), plan, &mut ours).await?;
        their_time += load(bare.address, plan, &mut theirs).await?;
    }
    let used = server.processor_time()? - used;
    let bare = rate(&theirs, their_time);
    let share = rate(&ours, our_time) / bare;
    let mut figures = ours.figures(our_time, used);
    figures.push(Figure::new("bare axum", bare, "/s"));
    figures.push(Figure::new("share of bare axum", share * 100.0, "%"));
    Ok(figures)
}

#[allow(clippy::cast_precision_loss, reason = "a count of answers of seconds")]
fn rate(latencies: &Latencies, elapsed: Duration) -> f64 {
    latencies.count() as f64 / elapsed.as_secs_f64()
}

/// Asks for one turn over all connections; gives how long that was.
async fn load(address: SocketAddr, plan: &Plan, latencies: &mut Latencies) -> Result<Duration, BenchError> {
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(address).await?);
    }
    let begin = Instant::now();
    let end = begin + plan.duration / TURNS;
    let mut load = JoinSet::new();
    for mut connection in connections {
        load.spawn(async move {
            let mut latencies = Latencies::default();
            loop {
                let asked = Instant::now();
                if asked >= end {
                    return Ok::<_, BenchError>(latencies);
                }
                let status = connection.get(HEALTH).await?;
                if status != 200 {
                    return Err(BenchError::Refused {
                        request: "the health of the server",
                        status,
                    });
                }
                latencies.note(asked.elapsed());
            }
        });
    }
    while let Some(part) = load.join_next().await {
        latencies.merge(part??);
    }
    Ok(begin.elapsed())
}

/// An axum server with this one route, on threads of its own as a process of its own would have them.
struct Bare {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Bare {
    fn start() -> Result<Self, ServerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ServerError::Place)?;
        listener.set_nonblocking(true).map_err(ServerError::Place)?;
        let address = listener.local_addr().map_err(ServerError::Place)?;
        let runtime = Runtime::new().map_err(ServerError::Place)?;
        let answer = async || {
            (
                [(header::CONTENT_TYPE, "application/json")],
                "{\"status\":\"ok\"}\n",
            )
        };
        let router = Router::new().route(HEALTH, get(answer));
        {
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener).map_err(ServerError::Place)?;
            runtime.spawn(async move { axum::serve(listener, router).await });
        }
        Ok(Self {
            address,
            runtime: Some(runtime),
        })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Without waiting, which a task may not do.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
