//! Heartbeats of many devices. The gate lets each device in 60 times a minute, so many take turns.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    BenchError, Figure, Latencies, Plan, ServerProcess,
    client::Connection,
    fleet::{Member, enroll},
};

/// The path that devices report at.
const HEARTBEAT: &str = "/api/agent/heartbeat";
/// Calls of one device within a minute that the gate lets in, with the refresh of its token to spare.
const CALLS_OF_A_DEVICE: usize = 60;

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    let members: Arc<[Member]> = enroll(&server, plan.devices).await?.into();
    let mut tokens = Vec::new();
    let mut connection = Connection::open(server.address()).await?;
    for member in members.iter() {
        tokens.push(member.access_token(&mut connection).await?);
    }
    let tokens: Arc<[String]> = tokens.into();
    let used = server.processor_time()?;
    let begin = Instant::now();
    let end = begin + plan.duration;
    let mut load = JoinSet::new();
    for number in 0..plan.connections {
        let mut connection = Connection::open(server.address()).await?;
        let (members, tokens) = (Arc::clone(&members), Arc::clone(&tokens));
        let step = plan.connections;
        load.spawn(async move {
            let mut latencies = Latencies::default();
            for round in 0..CALLS_OF_A_DEVICE {
                for (member, token) in members.iter().zip(tokens.iter()).skip(number).step_by(step) {
                    let asked = Instant::now();
                    if asked >= end {
                        return Ok::<_, BenchError>(latencies);
                    }
                    beat(&mut connection, member, token, round).await?;
                    latencies.note(asked.elapsed());
                }
            }
            Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(part) = load.join_next().await {
        all.merge(part??);
    }
    Ok(all.figures(begin.elapsed(), server.processor_time()? - used))
}

/// One heartbeat, which must be taken.
pub(super) async fn beat(
    connection: &mut Connection,
    member: &Member,
    token: &str,
    round: usize,
) -> Result<(), BenchError> {
    let body = body(member, round);
    match connection.post(HEARTBEAT, Some(token), body).await? {
        (200, _) => Ok(()),
        (status, _) => Err(BenchError::Refused {
            request: "a heartbeat",
            status,
        }),
    }
}

/// What shipped agents send.
fn body(member: &Member, round: usize) -> Bytes {
    json!({
        "hostname": member.hostname,
        "metrics": {"operating_system": "Debian 12", "uptime": 3600 + round, "last_user": "LOAD\\user"},
        "internal_ip": "10.0.0.1",
    })
    .to_string()
    .into()
}
