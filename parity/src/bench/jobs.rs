//! A job for each of many agents, all due in the same minute.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::task::JoinSet;

use super::{
    BenchError, Figure, Latencies, Plan, ServerProcess,
    client::Connection,
    crowd::{self, wait_for},
    operator::Operator,
};

const MINUTE: u64 = 60;
/// Agents and jobs; more devices than this are left out.
const MOST: usize = 1000;
/// A script as the web client stores it.
const SCRIPT: &str = r#"{"version":1,"name":"Load","description":"","category":"script","type":"powershell","script":"Write-Output 1","variables":[],"files":[]}"#;

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    server.place_file("Assemblies/Scripts/load.json", SCRIPT)?;
    let agents = crowd::connect(&server, plan.devices.min(MOST)).await?;
    let operator = Operator::log_in(&server).await?;
    let mut connection = Connection::open(server.address()).await?;
    // The next minute but one: every job is there before it begins.
    let due = (now().as_secs() / MINUTE + 2) * MINUTE;
    for agent in &agents {
        let job = json!({
            "name": agent.member.hostname,
            "components": [{"type": "script", "path": "load.json"}],
            "targets": [agent.member.hostname],
            "schedule": {"type": "once", "start": due},
            "execution_context": "system",
        });
        operator
            .post(&mut connection, "/api/scheduled_jobs", job.to_string().into())
            .await?;
    }
    let count = agents.len();
    let mut waiting = JoinSet::new();
    for mut agent in agents {
        waiting.spawn(async move {
            wait_for(&mut agent.client, "quick_job_run").await?;
            Ok::<_, BenchError>((now(), agent))
        });
    }
    let used = server.processor_time()?;
    let mut delays = Latencies::default();
    while let Some(arrived) = waiting.join_next().await {
        let (at, _agent) = arrived??;
        delays.note(at.saturating_sub(Duration::from_secs(due)));
    }
    let used = server.processor_time()? - used;
    #[allow(clippy::cast_precision_loss, reason = "a thousand jobs")]
    let count = count as f64;
    let mut figures = vec![Figure::new("jobs", count, "")];
    for (name, share) in [("half sent after", 0.5), ("all sent after", 1.0)] {
        let after = delays.quantile(share).unwrap_or_default();
        figures.push(Figure::new(name, after.as_secs_f64() * 1000.0, "ms"));
    }
    figures.push(Figure::new("processor time", used.as_secs_f64() * 1000.0, "ms"));
    Ok(figures)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
