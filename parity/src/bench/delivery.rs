//! Scripts on their way to agents whose connections are cut again and again, while the server is restarted and killed.
//! Every run must end, with the reason where it failed, and none may run twice.

mod agents;
mod judge;
mod line;
mod table;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use self::agents::{Agent, Ledger};
use super::{BenchError, ServerProcess, client::Connection, fleet::enroll, operator::Operator};

/// A script as the web client stores it. An agent that confirmed it and says nothing more is given up after its time.
const SCRIPT: &str = r#"{"version":1,"name":"Load","description":"","category":"script","type":"powershell","script":"Write-Output 1","variables":[],"files":[],"timeout_seconds":30}"#;
const MINUTE: u64 = 60;
/// Minutes at which jobs are due.
const ROUNDS: usize = 3;
/// Hosts of one job, or of one quick run.
const HOSTS: usize = 100;
/// Until a whole fleet has connected for the first time.
const GATHERING: Duration = Duration::from_secs(60);
/// Until the first jobs are due, at least.
const PREPARATION: Duration = Duration::from_secs(5);
/// Within this time after jobs are due the server is restarted, and killed.
const MIDDLE: Duration = Duration::from_millis(2500);
/// Until everything has ended after the last script went out: a quick run waits five minutes for its agent, then its
/// script may take half a minute, and the server looks each minute.
const LONGEST: Duration = Duration::from_secs(600);
/// Until every result that an agent kept is reported, once all runs have ended.
const LAST_REPORTS: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(250);
/// Until an operator asks again.
const ANSWER: Duration = Duration::from_secs(10);

/// What goes out, and what happens meanwhile.
#[derive(Clone, Debug)]
pub struct DeliveryPlan {
    /// The server's binary.
    pub engine: PathBuf,
    pub devices: usize,
    /// Scripts that go out, half of them by scheduled jobs and half by quick runs.
    pub scripts: usize,
    /// How long a connection lives on the average.
    pub cut_after: Duration,
    /// The same seed cuts the same connections at the same moments of their lives.
    pub seed: u64,
}

/// What became of the scripts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeliveryReport {
    pub devices: usize,
    /// How long a connection lived on the average, in seconds.
    pub cut_after: f64,
    pub seed: u64,
    /// Runs of scheduled jobs.
    pub scheduled: usize,
    /// Scripts that ran at once.
    pub quick: usize,
    pub connections: usize,
    /// Connections that were cut by the agents' side.
    pub cuts: usize,
    /// Requests of operators that got no answer, because the server was down.
    pub unanswered: usize,
    /// Scripts that came to their agents, and those that came twice.
    pub came: usize,
    pub came_twice: usize,
    /// Scripts that ended at their agents, and those of which the server never got to know it.
    pub ran: usize,
    pub results_lost: usize,
    /// Runs that ended well because their agents said so, and those that are taken to have.
    pub succeeded: usize,
    pub assumed: usize,
    /// Runs that failed because their scripts did.
    pub failed: usize,
    /// Runs that failed because nobody confirmed them, by the reason.
    pub unconfirmed: BTreeMap<String, usize>,
    /// From the last script that went out until everything had ended, in seconds.
    pub all_ended_after: f64,
    /// Promises that were broken, and how often.
    pub broken: BTreeMap<String, usize>,
}

impl DeliveryReport {
    /// Runs of which nobody knows whether they ran, in all.
    pub fn without_confirmation(&self) -> usize {
        self.unconfirmed.values().sum()
    }
}

/// What operators were promised.
#[derive(Debug, Default)]
struct Asked {
    /// Runs that the jobs must have.
    scheduled: usize,
    /// Activities that were named in an answer.
    quick: Vec<i64>,
    unanswered: usize,
}

/// Sends scripts out and says what became of them.
///
/// # Errors
/// There is no server, or it could not be filled.
pub async fn deliver(plan: &DeliveryPlan, tell: impl Fn(String)) -> Result<DeliveryReport, BenchError> {
    borealis_engine::integrations::listener::raise_open_files_limit();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let server = ServerProcess::start(&plan.engine).await?;
    server.place_file("Assemblies/Scripts/load.json", SCRIPT)?;
    tell(format!("{} agents connect", plan.devices));
    let operator = Operator::log_in(&server).await?;
    let members = enroll(&server, plan.devices).await?;
    let hosts: Vec<String> = members.iter().map(|member| member.hostname.clone()).collect();
    let (now_at, address) = watch::channel(server.address());
    let ledger = Arc::new(Ledger::default());
    let mut http = Connection::open(server.address()).await?;
    let mut agents = JoinSet::new();
    for (number, member) in members.into_iter().enumerate() {
        let token = member.access_token(&mut http).await?;
        let agent = Agent::new(
            number,
            (member, token),
            address.clone(),
            plan.cut_after,
            plan.seed,
            Arc::clone(&ledger),
        );
        agents.spawn(agent.live());
    }
    let gathered = Instant::now();
    while ledger.with(|notes| notes.connections) < plan.devices && gathered.elapsed() < GATHERING {
        sleep(BETWEEN_LOOKS / 4).await;
    }

    let first_due = ((since_epoch() + PREPARATION).as_secs() / MINUTE + 1) * MINUTE;
    let scheduled = make_jobs(&operator, &mut http, &mut random, &hosts, plan, first_due).await?;
    drop(http);
    let due = |round: u64| instant_of(first_due + round * MINUTE);
    let middle = |random: &mut StdRng| random.random_range(Duration::ZERO..MIDDLE);
    let restart = due(1) + middle(&mut random);
    let kill = due(2) + middle(&mut random);
    let end = due(2) + Duration::from_secs(MINUTE / 2);
    let server_life = async {
        tell("scripts go out".to_owned());
        sleep_until(restart.into()).await;
        tell("the server is restarted".to_owned());
        let server = server.restart_in_order(&plan.engine).await?;
        now_at.send_replace(server.address());
        tell("scripts go out".to_owned());
        sleep_until(kill.into()).await;
        tell("the server is killed".to_owned());
        let server = server.restart(&plan.engine).await?;
        now_at.send_replace(server.address());
        tell("scripts go out".to_owned());
        Ok::<_, BenchError>(server)
    };
    let requests = quick_runs(&mut random, &hosts, plan.scripts - scheduled, Instant::now(), end);
    let quick = run_scripts(&operator, requests, address.clone());
    let (server, mut asked) = tokio::try_join!(server_life, quick)?;
    asked.scheduled = scheduled;

    let sent = Instant::now();
    while sent.elapsed() < LONGEST {
        let open = judge::open_runs(&server, scheduled).await?;
        tell(format!("{open} runs have not ended"));
        if open == 0 {
            break;
        }
        sleep(BETWEEN_LOOKS).await;
    }
    let all_ended_after = sent.elapsed().as_secs_f64();
    let last = Instant::now();
    while ledger.with(|notes| notes.kept) > 0 && last.elapsed() < LAST_REPORTS {
        sleep(BETWEEN_LOOKS).await;
    }
    agents.shutdown().await;
    let mut report = judge::judge(&server, &ledger, &asked).await?;
    report.devices = plan.devices;
    report.cut_after = plan.cut_after.as_secs_f64();
    report.seed = plan.seed;
    report.all_ended_after = all_ended_after;
    Ok(report)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn instant_of(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds).saturating_sub(since_epoch())
}

/// So many hosts, none of them twice.
fn some_of(hosts: &[String], count: usize, random: &mut StdRng) -> Vec<String> {
    let mut chosen: Vec<_> = hosts.to_vec();
    chosen.shuffle(random);
    chosen.truncate(count);
    chosen
}

/// Makes the jobs, due in as many minutes as there are rounds; how many runs they will have.
async fn make_jobs(
    operator: &Operator,
    connection: &mut Connection,
    random: &mut StdRng,
    hosts: &[String],
    plan: &DeliveryPlan,
    first_due: u64,
) -> Result<usize, BenchError> {
    let (wanted, mut made) = (plan.scripts / 2, 0);
    for round in (0..ROUNDS).cycle() {
        if made >= wanted {
            break;
        }
        let targets = some_of(hosts, HOSTS.min(wanted - made), random);
        made += targets.len();
        let job = json!({
            "name": format!("job {made}"),
            "components": [{"type": "script", "path": "load.json"}],
            "targets": targets,
            "schedule": {"type": "once", "start": first_due + round as u64 * MINUTE},
            "execution_context": "system",
        });
        operator
            .post(connection, "/api/scheduled_jobs", job.to_string().into())
            .await?;
    }
    Ok(made)
}

/// When operators run a script on which hosts, in order.
fn quick_runs(
    random: &mut StdRng,
    hosts: &[String],
    scripts: usize,
    begin: Instant,
    end: Instant,
) -> Vec<(Instant, Vec<String>)> {
    let (mut requests, mut left) = (Vec::new(), scripts);
    let time = end.saturating_duration_since(begin);
    while left > 0 {
        let chosen = some_of(hosts, HOSTS.min(left), random);
        left -= chosen.len();
        requests.push((begin + time.mul_f64(random.random_range(0.0..1.0)), chosen));
    }
    requests.sort();
    requests
}

/// Runs scripts at their times, each until it is answered.
async fn run_scripts(
    operator: &Operator,
    requests: Vec<(Instant, Vec<String>)>,
    address: watch::Receiver<SocketAddr>,
) -> Result<Asked, BenchError> {
    let mut asked = Asked::default();
    for (at, hosts) in requests {
        sleep_until(at.into()).await;
        let body = json!({"script_path": "Scripts/load.json", "hostnames": hosts}).to_string();
        loop {
            let address = *address.borrow();
            match tokio::time::timeout(ANSWER, run_script(operator, address, &body)).await {
                Ok(Ok((200, answer))) => {
                    let started = answer.get("results").and_then(Value::as_array);
                    let ids = started.into_iter().flatten();
                    asked
                        .quick
                        .extend(ids.filter_map(|one| one.get("job_id")?.as_i64()));
                    break;
                }
                // A server that stops says so.
                Ok(Ok((status, _))) if status < 500 => {
                    return Err(BenchError::Refused {
                        request: "a quick run",
                        status,
                    });
                }
                _ => asked.unanswered += 1,
            }
            sleep(BETWEEN_TRIES).await;
        }
    }
    Ok(asked)
}

async fn run_script(
    operator: &Operator,
    address: SocketAddr,
    body: &str,
) -> Result<(u16, Value), BenchError> {
    let mut connection = Connection::open(address).await?;
    let path = "/api/scripts/quick_run";
    let (status, answer) = connection
        .post(path, Some(operator.token()), body.to_owned().into())
        .await?;
    Ok((status, serde_json::from_slice(&answer).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_asks_for_the_same() {
        let hosts: Vec<_> = (0..150).map(|number| format!("H-{number}")).collect();
        let begin = Instant::now();
        let end = begin + Duration::from_secs(100);
        let asked = |seed| quick_runs(&mut StdRng::seed_from_u64(seed), &hosts, 250, begin, end);
        assert_eq!(asked(1), asked(1));
        assert_ne!(asked(1), asked(2));
        let sizes: Vec<_> = asked(1).iter().map(|(_, hosts)| hosts.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 250);
        assert!(asked(1).iter().all(|(at, _)| (begin..end).contains(at)));
        let mut chosen = some_of(&hosts, 100, &mut StdRng::seed_from_u64(1));
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen.len(), 100);
    }
}
