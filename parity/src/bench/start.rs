//! From the start of the process to its first answer, and its memory when idle.

use std::time::Duration;

use super::{BenchError, Figure, Plan, ServerProcess};

/// Starts that are measured; the middle one counts.
const STARTS: usize = 9;
/// How long the server is left alone before its memory is read.
const QUIET: Duration = Duration::from_secs(2);

/// The first start makes keys, certificate and tables; those that follow find them.
pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let mut server = ServerProcess::start(&plan.engine).await?;
    let first = server.started_in;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        server = server.restart(&plan.engine).await?;
        times.push(server.started_in);
    }
    times.sort_unstable();
    let middle = times.get(STARTS / 2).copied().unwrap_or(first);
    tokio::time::sleep(QUIET).await;
    Ok(vec![
        Figure::new("first start", first.as_secs_f64() * 1000.0, "ms"),
        Figure::new("start", middle.as_secs_f64() * 1000.0, "ms"),
        Figure::new("resident, idle", server.resident_megabytes()?, "MB"),
    ])
}
