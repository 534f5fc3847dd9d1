//! Token refreshes over a few connections that stay open.

use std::time::Instant;

use tokio::task::JoinSet;

use super::{
    BenchError, Figure, Latencies, Plan, ServerProcess,
    client::Connection,
    fleet::{REFRESH, enroll},
};

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    let members = enroll(&server, plan.devices).await?;
    let bodies: Vec<_> = members.iter().map(|member| member.refresh_body()).collect();
    let used = server.processor_time()?;
    let begin = Instant::now();
    let end = begin + plan.duration;
    let mut load = JoinSet::new();
    for number in 0..plan.connections {
        let mut connection = Connection::open(server.address()).await?;
        // Each connection speaks for devices of its own.
        let bodies: Vec<_> = bodies
            .iter()
            .skip(number)
            .step_by(plan.connections)
            .cloned()
            .collect();
        load.spawn(async move {
            let mut latencies = Latencies::default();
            for body in bodies.into_iter().cycle() {
                let asked = Instant::now();
                if asked >= end {
                    break;
                }
                let (status, _) = connection.post(REFRESH, None, body).await?;
                if status != 200 {
                    return Err(BenchError::Refused {
                        request: "a token refresh",
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
    let mut figures = all.figures(begin.elapsed(), server.processor_time()? - used);
    figures.push(Figure::new("resident", server.resident_megabytes()?, "MB"));
    Ok(figures)
}
