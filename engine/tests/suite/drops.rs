//! Connections that drop at every moment, a restart and the death of the server: every run ends, with the reason where it
//! failed, and none runs twice on an agent that remembers. On a clock of the tests' own; `parity bench delivery` does the
//! same with a fleet, processes and real time.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use borealis_engine::{
    RunningEngine,
    domain::{clock::Clock as _, digest::sha256_hex, random::Random as _},
    integrations::{clock::ManualClock, random::SeededRandom},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};
use tokio::{net::TcpStream, runtime, sync::watch, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::testkit::{
    START,
    agents::event,
    http::{admin_token, client},
    server::{clock, database, tokens, try_start},
};

const AGENTS: usize = 30;
/// Hosts of a job and of a quick run; three of each go out, and two of these are cut short by the server.
const HOSTS: usize = 25;
const ROUNDS: usize = 3;
/// What every step of the clock is: as often as the server looks after quick runs.
const STEP: Duration = Duration::from_secs(15);
/// Steps until everything must have ended: a quick run waits five minutes for its agent, and its script has ten seconds and
/// a minute.
const STEPS: usize = 60;
/// Looks at what takes as long as the machine lets it.
const TRIES: usize = 6000;

const SCRIPT: &str = r#"{"name":"Load","type":"powershell","script":"Write-Output 1","timeout_seconds":10}"#;

/// The server on threads of its own, so that it can die at any moment of its work.
struct Doomed {
    threads: runtime::Runtime,
    engine: RunningEngine,
}

impl Doomed {
    async fn start(root: &Path, clock: &Arc<ManualClock>) -> Self {
        let threads = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        for _ in 0..TRIES {
            let (root, clock) = (root.to_owned(), Arc::clone(clock));
            let started = threads.spawn(async move { try_start(&root, &[], |_| (), clock).await });
            match started.await.unwrap() {
                Ok(engine) => return Self { threads, engine },
                // What the dead one held is let go as its threads end.
                Err(_) => a_moment().await,
            }
        }
        panic!("it does not start again");
    }

    fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// Until it knows of everything that it sent whether it came: agents say so at once, or drop their connections, and
    /// time that passes meanwhile is not theirs.
    async fn at_rest(&self) {
        for _ in 0..TRIES {
            if !self.engine.works_by_itself() {
                return;
            }
            a_moment().await;
        }
        panic!("it waits for receipts");
    }

    async fn stop(self) {
        let engine = self.engine;
        self.threads.spawn(engine.stop()).await.unwrap();
        self.threads.shutdown_background();
    }

    /// In the middle of whatever it does.
    fn die(self) {
        self.threads.shutdown_background();
    }
}

async fn a_moment() {
    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(10)))
        .await
        .unwrap();
}

/// What agents know of a job.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The hosts that it came to, each time that it came.
    came_to: Vec<String>,
    /// The word that the server has confirmed.
    confirmed: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Notes {
    jobs: BTreeMap<i64, Known>,
    connected: usize,
    /// Connections that agents ended.
    dropped: usize,
}

#[derive(Clone)]
struct Fleet {
    address: watch::Receiver<SocketAddr>,
    notes: Arc<Mutex<Notes>>,
}

impl Fleet {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }
}

/// Where an agent's connection drops, once it got work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cut {
    /// Before anything shows that the work arrived.
    Unconfirmed,
    /// After that, and before its result.
    Confirmed,
    /// After its result was sent, before that is confirmed.
    Reported,
    /// Not at all.
    Never,
}

/// A number from 0 to 255.
fn chance(random: &SeededRandom) -> u8 {
    let mut byte = [0];
    random.fill(&mut byte);
    byte[0]
}

struct Agent {
    host: String,
    agent_id: String,
    token: String,
    random: SeededRandom,
    /// How the jobs ended that it ran.
    remembered: HashMap<i64, &'static str>,
    /// Whether it reports again what was not confirmed; shipped agents do not.
    keeps: bool,
    kept: Vec<i64>,
}

impl Agent {
    async fn live(mut self, mut fleet: Fleet) {
        loop {
            let address = *fleet.address.borrow_and_update();
            if let Some(mut socket) = self.connect(address).await {
                let mut is_known = false;
                self.work(&mut socket, &fleet, &mut is_known).await;
                fleet.notes().connected -= usize::from(is_known);
            } else {
                let pause = Duration::from_millis(20);
                // Either way there is a next try.
                let _ = tokio::time::timeout(pause, fleet.address.changed()).await;
            }
        }
    }

    /// `None` where the server is not there.
    async fn connect(&self, address: SocketAddr) -> Option<WebSocketStream<TcpStream>> {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut socket, _) = client_async_with_config(request, stream, None).await.ok()?;
        let announced = json!({"agent_id": self.agent_id, "service_mode": "system"});
        for text in ["40".to_owned(), format!("420[\"connect_agent\",{announced}]")] {
            socket.send(Message::text(text)).await.ok()?;
        }
        while !frame(&mut socket).await?.starts_with("40") {}
        Some(socket)
    }

    /// Until the connection drops, from either side.
    async fn work(&mut self, socket: &mut WebSocketStream<TcpStream>, fleet: &Fleet, is_known: &mut bool) {
        for job in std::mem::take(&mut self.kept) {
            self.kept.push(job);
            if self.report(socket, job).await.is_none() {
                return;
            }
        }
        loop {
            let Some(frame) = frame(socket).await else { return };
            // Work may come before that: who is registered gets it.
            if frame == "430[]" {
                *is_known = true;
                fleet.notes().connected += 1;
                continue;
            }
            if let Some(job) = frame.strip_prefix("43").and_then(|rest| rest.strip_suffix("[]")) {
                let job: i64 = job.parse().unwrap();
                self.kept.retain(|kept| *kept != job);
                let confirmed = self.remembered.get(&job).copied();
                fleet.notes().jobs.entry(job).or_default().confirmed = confirmed;
                continue;
            }
            let sent = match frame.as_str() {
                "2" => socket.send(Message::text("3")).await,
                text if text.starts_with("42") => {
                    let (_, name, payload) = event(text);
                    assert_eq!(name, "quick_job_run");
                    match self.take(socket, fleet, &payload).await {
                        Cut::Never => Ok(()),
                        _ => {
                            fleet.notes().dropped += 1;
                            // Not a word about it.
                            let _ = socket.get_ref().set_zero_linger();
                            return;
                        }
                    }
                }
                other => panic!("{other}"),
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Runs a script, unless it is remembered, and says where the connection drops by it.
    async fn take(&mut self, socket: &mut WebSocketStream<TcpStream>, fleet: &Fleet, payload: &Value) -> Cut {
        let job = payload["job_id"].as_i64().unwrap();
        let host = payload["target_hostname"].as_str().unwrap();
        let came = format!("{} for {host}", self.host);
        fleet.notes().jobs.entry(job).or_default().came_to.push(came);
        let word = if chance(&self.random) < 32 {
            "Failed"
        } else {
            "Success"
        };
        self.remembered.entry(job).or_insert(word);
        let cut = match chance(&self.random) {
            0..64 => Cut::Unconfirmed,
            64..96 => Cut::Confirmed,
            96..128 => Cut::Reported,
            _ => Cut::Never,
        };
        if self.keeps {
            self.kept.push(job);
        }
        if cut == Cut::Unconfirmed {
            return cut;
        }
        // The ping that came behind it.
        if socket.send(Message::text("3")).await.is_err() || cut == Cut::Confirmed {
            return Cut::Confirmed;
        }
        match self.report(socket, job).await {
            None => Cut::Reported,
            Some(()) => cut,
        }
    }

    async fn report(&self, socket: &mut WebSocketStream<TcpStream>, job: i64) -> Option<()> {
        let word = self.remembered[&job];
        let stderr = if word == "Failed" { "exit code 1" } else { "" };
        let result = json!({"job_id": job, "status": word, "stdout": printed(job), "stderr": stderr});
        // Its number is the job's, so that the acknowledgement names it.
        let text = format!("42{job}[\"quick_job_result\",{result}]");
        socket.send(Message::text(text)).await.ok()
    }
}

fn printed(job: i64) -> String {
    format!("output of {job}")
}

/// The next frame; `None` where the connection has dropped.
async fn frame(socket: &mut WebSocketStream<TcpStream>) -> Option<String> {
    match socket.next().await?.ok()? {
        Message::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

fn guid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012X}")
}

fn hosts(round: usize) -> Vec<String> {
    (0..HOSTS)
        .map(|number| format!("HOST-{}", (number + 7 * round) % AGENTS))
        .collect()
}

async fn ask(server: &Doomed, token: &str, path: &str, body: &Value) -> Value {
    let url = format!("http://{}{path}", server.address());
    let asked = client().post(url).bearer_auth(token).json(body);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// Everybody is connected, or most are and the rest is on its way.
async fn gathered(fleet: &Fleet) {
    for _ in 0..TRIES {
        if fleet.notes().connected == AGENTS {
            return;
        }
        a_moment().await;
    }
    panic!("{} of {AGENTS} came", fleet.notes().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_ends_and_none_runs_twice_whatever_drops() {
    for seed in 1..=2 {
        story(seed).await;
    }
}

async fn story(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("Assemblies/Scripts")).unwrap();
    std::fs::write(root.join("Assemblies/Scripts/load.json"), SCRIPT).unwrap();
    let clock = clock();
    let mut server = Doomed::start(root, &clock).await;
    let mut rows = database(root).await;
    for number in 0..AGENTS {
        let row = format!(
            "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status) \
             VALUES ('{}', 'HOST-{number}', '{}', 1, 'active')",
            guid(number),
            sha256_hex(&number.to_le_bytes())
        );
        sqlx::raw_sql(AssertSqlSafe(row))
            .execute(&mut rows)
            .await
            .unwrap();
    }
    let operator = admin_token(&format!("http://{}", server.address())).await;
    let (moves_to, address) = watch::channel(server.address());
    let fleet = Fleet {
        address,
        notes: Arc::default(),
    };
    let signer = tokens(root);
    let mut agents = JoinSet::new();
    for number in 0..AGENTS {
        let fingerprint = sha256_hex(&number.to_le_bytes());
        let agent = Agent {
            host: format!("HOST-{number}"),
            agent_id: format!("HOST-{number}_{}_SYSTEM", guid(number)),
            token: signer.issue(&guid(number), &fingerprint, 1, START).unwrap(),
            random: SeededRandom::new(seed * 1000 + number as u64),
            remembered: HashMap::new(),
            keeps: number % 2 == 0,
            kept: Vec::new(),
        };
        agents.spawn(agent.live(fleet.clone()));
    }
    gathered(&fleet).await;

    let mut promised = Vec::new();
    for round in 0..ROUNDS {
        let job = json!({
            "name": format!("job {round}"), "components": [{"type": "script", "path": "load.json"}],
            "targets": hosts(round), "schedule": {"type": "immediately"}, "execution_context": "system",
        });
        ask(&server, &operator, "/api/scheduled_jobs", &job).await;
        let wanted = json!({"script_path": "Scripts/load.json", "hostnames": hosts(round + 1)});
        let started = ask(&server, &operator, "/api/scripts/quick_run", &wanted).await;
        let ids = started["results"].as_array().unwrap();
        promised.extend(ids.iter().map(|one| one["job_id"].as_i64().unwrap()));
        // To the minute at which the job is due, and not further: what was sent is on its way.
        let due = (clock.now() + Duration::from_secs(60)).as_second() / 60 * 60;
        let passing = {
            let clock = Arc::clone(&clock);
            tokio::spawn(async move { clock.advance(jiff::Timestamp::from_second(due).unwrap()).await })
        };
        match round {
            0 => passing.await.unwrap(),
            1 => {
                passing.await.unwrap();
                server.stop().await;
                server = Doomed::start(root, &clock).await;
            }
            _ => {
                // While the tick begins the job's runs and sends them, on whichever statement it is.
                let before = fleet.notes().jobs.len();
                for _ in 0..TRIES {
                    if fleet.notes().jobs.len() > before + usize::from(chance(&SeededRandom::new(seed))) % 16
                    {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                server.die();
                passing.await.unwrap();
                server = Doomed::start(root, &clock).await;
            }
        }
        moves_to.send_replace(server.address());
        gathered(&fleet).await;
    }
    for _ in 0..STEPS {
        if open(&mut rows).await.is_empty() {
            break;
        }
        gathered(&fleet).await;
        server.at_rest().await;
        clock.advance(clock.now() + STEP).await;
    }
    // Whoever keeps results reports them once more.
    gathered(&fleet).await;
    agents.shutdown().await;
    judge(&mut rows, &fleet, &promised).await;
    server.stop().await;
}

/// What has not ended, and the runs that are still to begin.
async fn open(rows: &mut sqlx::SqliteConnection) -> Vec<String> {
    let runs = i64::try_from(ROUNDS * HOSTS).unwrap();
    sqlx::query_scalar(
        "SELECT 'activity ' || id || ' on ' || hostname || ': ' || status || ', ' || \
             COALESCE((SELECT sends FROM engine_undelivered_work WHERE activity_id = id), 'not') || ' sent' \
         FROM activity_history WHERE status IN ('Running', 'Pending') \
         UNION ALL \
         SELECT 'run ' || id || ' of job ' || job_id || ' on ' || target_hostname || ': ' || status || ', activities ' || \
             (SELECT json_group_array(activity_id) FROM scheduled_job_run_activity WHERE run_id = id) \
         FROM scheduled_job_runs WHERE status IN ('Running', 'Pending') \
         UNION ALL \
         SELECT 'runs of job ' || id || ': ' || \
             (SELECT COUNT(*) FROM scheduled_job_runs WHERE job_id = scheduled_jobs.id) \
         FROM scheduled_jobs WHERE (SELECT COUNT(*) FROM scheduled_job_runs) < $1",
    )
    .bind(runs)
    .fetch_all(rows)
    .await
    .unwrap()
}

async fn judge(rows: &mut sqlx::SqliteConnection, fleet: &Fleet, promised: &[i64]) {
    let doubled: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM (SELECT r.job_id FROM scheduled_job_runs AS r \
         LEFT JOIN scheduled_job_run_activity AS l ON l.run_id = r.id \
         GROUP BY r.job_id, r.target_hostname, r.scheduled_ts HAVING COUNT(*) > 1)",
    )
    .fetch_one(&mut *rows)
    .await
    .unwrap();
    assert_eq!((doubled, open(rows).await), (0, Vec::new()));
    let stored = sqlx::query(
        "SELECT a.id, a.hostname, a.status, a.stdout, a.stderr, COALESCE(r.status, a.status), COALESCE(r.error, '') \
         FROM activity_history AS a LEFT JOIN scheduled_job_run_activity AS l ON l.activity_id = a.id \
         LEFT JOIN scheduled_job_runs AS r ON r.id = l.run_id",
    )
    .fetch_all(&mut *rows)
    .await
    .unwrap();
    assert!(stored.len() >= 2 * ROUNDS * HOSTS, "{}", stored.len());
    let notes = fleet.notes();
    let (mut seen, mut unconfirmed) = (Vec::new(), 0);
    for row in stored {
        let id: i64 = row.get(0);
        seen.push(id);
        let text = |column: usize| row.get::<String, _>(column);
        let (host, status, stdout, stderr) = (text(1), text(2), text(3), text(4));
        let known = notes.jobs.get(&id).cloned().unwrap_or_default();
        let told = format!(
            "{id} on {host}: {status} {stderr:?}, run {} {:?}, {known:?}",
            text(5),
            text(6)
        );
        assert!(["Success", "Failed"].contains(&status.as_str()), "{told}");
        assert_eq!(text(5), status, "{told}");
        assert!(status == "Success" || !stderr.is_empty(), "{told}");
        assert!(known.came_to.len() <= 2, "{told}");
        let own = format!("{host} for {host}");
        assert!(known.came_to.iter().all(|came| *came == own), "{told}");
        assert!(status == "Failed" || !known.came_to.is_empty(), "{told}");
        if let Some(word) = known.confirmed {
            assert_eq!((status.as_str(), stdout), (word, printed(id)), "{told}");
        } else if status == "Failed" {
            unconfirmed += 1;
        }
    }
    assert!(
        promised.iter().all(|id| seen.contains(id)),
        "{promised:?} in {seen:?}"
    );
    assert!(notes.jobs.keys().all(|id| seen.contains(id)));
    // What the test is about has happened.
    assert!(notes.dropped > 20, "{}", notes.dropped);
    let twice = notes
        .jobs
        .values()
        .filter(|known| known.came_to.len() == 2)
        .count();
    assert!(twice > 0 && unconfirmed > 0, "{twice} {unconfirmed}");
}
