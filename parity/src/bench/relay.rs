//! A screenshot of a megabyte to many operators.

use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;

use super::{
    BenchError, Figure, Plan, ServerProcess,
    crowd::{self, call, wait_for},
    operator::Operator,
};

/// Screenshots that are sent, one after the other.
const ROUNDS: usize = 5;
const IMAGE_BYTES: usize = 1_000_000;
const EVENT: &str = "agent_screenshot_task";

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    let mut agents = crowd::connect(&server, 1).await?;
    let agent = agents.first_mut().ok_or(BenchError::Missing("the agent"))?;
    let operator = Operator::log_in(&server).await?;
    let mut viewers = Vec::new();
    for _ in 0..plan.operators {
        viewers.push(operator.connect(&server).await?);
    }
    let before = server.resident_megabytes()?;
    let payload = json!({
        "agent_id": agent.member.agent_id(),
        "node_id": "n1",
        "image_base64": "A".repeat(IMAGE_BYTES),
    });
    let (mut slowest, mut peak) = (0.0_f64, before);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let mut waiting = JoinSet::new();
        for mut viewer in viewers.drain(..) {
            waiting.spawn(async move { wait_for(&mut viewer, EVENT).await.map(|()| viewer) });
        }
        call(&mut agent.client, EVENT, payload.clone()).await?;
        peak = peak.max(server.resident_megabytes()?);
        while let Some(viewer) = waiting.join_next().await {
            viewers.push(viewer??);
        }
        slowest = slowest.max(begin.elapsed().as_secs_f64());
    }
    #[allow(clippy::cast_precision_loss, reason = "hundreds of operators at most")]
    let count = viewers.len() as f64;
    Ok(vec![
        Figure::new("operators", count, ""),
        Figure::new("all have it after", slowest * 1000.0, "ms"),
        Figure::new("resident before", before, "MB"),
        Figure::new("resident after the send", peak, "MB"),
    ])
}
