//! What operators look at in a large installation, list by list: one operator alone, then several at once, while the
//! fleet reports beside them.

mod stock;
mod table;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::Barrier, task::JoinSet, time::Instant};

pub use table::{ListReport, ListRow, Round, Shares, Waits};

use self::stock::Stock;
use super::{BenchError, Latencies, ServerProcess, client::Connection, operator::Operator, pulse::Pulse};

/// How long the server is left alone before its memory is read.
const QUIET: Duration = Duration::from_secs(3);
/// Where a server has no such list.
const NOT_THERE: u16 = 404;

/// What an operator asks for, in turn.
const LISTS: [&str; 20] = [
    DEVICES,
    "/api/agent_devices",
    "/api/sites",
    "/api/sites/device_map",
    "/api/device_list_views",
    "/api/search/suggest?field=hostname&q=load-9",
    "/api/search/suggest?field=description&q=nobody",
    "/api/search/suggest?field=last_user&q=nobody",
    "/api/search/suggest?field=internal_ip&q=10.0.0.250",
    "/api/search/suggest?field=site_name&q=nobody",
    "/api/agents",
    "/api/scheduled_jobs",
    "/api/scheduled_jobs/1/runs",
    "/api/scheduled_jobs/1/devices",
    "/api/device/activity/LOAD-1",
    "/api/ansible/recaps",
    "/api/assembly/list?island=scripts",
    "/api/users",
    "/api/credentials",
    "/api/admin/device-approvals",
];
const DEVICES: &str = "/api/devices";

/// How much there is, and how much load.
#[derive(Clone, Debug)]
pub struct ListPlan {
    /// The server's binary.
    pub engine: PathBuf,
    pub devices: usize,
    /// How many operators ask at once.
    pub operators: usize,
    /// Heartbeats a second, all the while.
    pub heartbeats: usize,
    /// How long each measurement goes on; every operator gets one answer at least.
    pub duration: Duration,
    /// How often everything is measured.
    pub rounds: usize,
    /// Only lists whose paths contain this.
    pub list: Option<String>,
}

impl ListPlan {
    fn wants(&self, list: &str) -> bool {
        self.list.as_ref().is_none_or(|part| list.contains(part.as_str()))
    }
}

/// Fills a server, measures every list on it, and then the devices alone on one whose devices have no inventories.
/// Tells what is being done.
pub async fn measure_lists(plan: &ListPlan, tell: impl Fn(String)) -> Result<ListReport, BenchError> {
    if !LISTS.into_iter().chain([DEVICES]).any(|list| plan.wants(list)) {
        return Err(BenchError::NothingChosen(LISTS.join(", ")));
    }
    let mut report = ListReport::new(plan);
    tell(format!("{} devices are made", plan.devices));
    let server = Stock::whole(plan.devices).fill(&plan.engine).await?;
    let lists: Vec<_> = LISTS.into_iter().filter(|list| plan.wants(list)).collect();
    measure_on(&server, plan, &lists, "", &mut report, &tell).await?;
    drop(server);
    if plan.wants(DEVICES) {
        tell(format!("{} devices without inventories are made", plan.devices));
        let server = Stock::without_inventories(plan.devices)
            .fill(&plan.engine)
            .await?;
        let note = " (without inventories)";
        measure_on(&server, plan, &[DEVICES], note, &mut report, &tell).await?;
    }
    Ok(report)
}

async fn measure_on(
    server: &ServerProcess,
    plan: &ListPlan,
    lists: &[&'static str],
    note: &str,
    report: &mut ListReport,
    tell: &impl Fn(String),
) -> Result<(), BenchError> {
    let mut operators = Vec::new();
    for _ in 0..plan.operators {
        operators.push(Operator::log_in(server).await?);
    }
    tokio::time::sleep(QUIET).await;
    let rest = server.resident_megabytes()?;
    report.note_rest(rest);
    for round in 1..=plan.rounds {
        // Their tokens last for a quarter of an hour: new ones each round.
        let pulse = Pulse::begin(server, plan.devices, plan.heartbeats).await?;
        for list in lists {
            tell(format!("round {round} of {}: {list}{note}", plan.rounds));
            let measured = measure_list(server, &operators, list, plan.duration, rest, &pulse).await?;
            report.note(format!("{list}{note}"), measured);
        }
        pulse.end()?;
    }
    Ok(())
}

/// `None` where the server has no such list.
async fn measure_list(
    server: &ServerProcess,
    operators: &[Operator],
    list: &'static str,
    duration: Duration,
    rest: f64,
    pulse: &Pulse,
) -> Result<Option<Round>, BenchError> {
    let first = operators.first().ok_or(BenchError::Missing("an operator"))?;
    let mut connection = Connection::open(server.address()).await?;
    match first.read_through(&mut connection, list).await?.status {
        200 => {}
        NOT_THERE => return Ok(None),
        status => {
            return Err(BenchError::Refused {
                request: list,
                status,
            });
        }
    }
    server.forget_peak()?;
    pulse.forget();
    let alone = ask(server, std::slice::from_ref(first), list, duration).await?;
    let memory_alone = server.peak_megabytes()? - rest;
    let together = ask(server, operators, list, duration).await?;
    let (usual, worst) = pulse.waits();
    Ok(Some(Round {
        megabytes: alone.megabytes_each(),
        megabytes_a_second: together.megabytes_a_second(),
        alone: alone.waits(),
        together: together.waits(),
        memory_alone_mb: memory_alone,
        memory_together_mb: server.peak_megabytes()? - rest,
        heartbeats_99_ms: usual,
        heartbeats_worst_ms: worst,
    }))
}

/// What operators were answered.
#[derive(Debug, Default)]
struct Asked {
    answers: usize,
    bytes: usize,
    first_byte: Latencies,
    whole: Latencies,
    took: Duration,
}

#[allow(clippy::cast_precision_loss, reason = "bytes and answers of minutes")]
impl Asked {
    fn megabytes_each(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.answers.max(1) as f64
    }

    fn megabytes_a_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.took.as_secs_f64()
    }

    fn waits(self) -> Waits {
        Waits {
            answers: self.answers,
            first_byte: Shares::of(self.first_byte),
            whole: Shares::of(self.whole),
        }
    }
}

/// Each operator asks over a connection of its own, again as soon as the answer is there.
async fn ask(
    server: &ServerProcess,
    operators: &[Operator],
    list: &'static str,
    duration: Duration,
) -> Result<Asked, BenchError> {
    let start = Arc::new(Barrier::new(operators.len() + 1));
    let mut asking = JoinSet::new();
    for operator in operators {
        let operator = operator.clone();
        let mut connection = Connection::open(server.address()).await?;
        let start = Arc::clone(&start);
        asking.spawn(async move {
            let mut asked = Asked::default();
            start.wait().await;
            let begin = Instant::now();
            loop {
                let answer = operator.read_through(&mut connection, list).await?;
                if answer.status != 200 {
                    return Err(BenchError::Refused {
                        request: list,
                        status: answer.status,
                    });
                }
                asked.answers += 1;
                asked.bytes += answer.bytes;
                asked.first_byte.note(answer.first_byte);
                asked.whole.note(answer.whole);
                if begin.elapsed() >= duration {
                    return Ok(asked);
                }
            }
        });
    }
    start.wait().await;
    let begin = Instant::now();
    let mut all = Asked::default();
    while let Some(part) = asking.join_next().await {
        let part = part??;
        all.answers += part.answers;
        all.bytes += part.bytes;
        all.first_byte.merge(part.first_byte);
        all.whole.merge(part.whole);
    }
    all.took = begin.elapsed();
    Ok(all)
}
