//! Agents that remember which jobs they ran, on connections that are cut again and again.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    super::{
        crowd::{announcement, open},
        fleet::Member,
    },
    line::{Cable, Silence},
};
use crate::{
    socket_io::{Client, Incoming},
    target::endpoint::Endpoint,
};

/// The event that brings a script.
const WORK: &str = "quick_job_run";
/// Of a hundred scripts that begin, this many end their machine's connection at once: they restart it.
const RESTARTS: u32 = 3;
/// Of a hundred scripts, this many fail.
const FAILURES: u32 = 10;
/// What a script that fails prints.
pub(super) const FAILED_WITH: &str = "exit code 1";
/// Of a hundred connections, this many are silent for a while before they end.
const SILENT: u32 = 40;

/// What agents know of a job.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The hosts that it came to, each time that it came.
    pub(super) came_to: Vec<String>,
    /// How often a script began.
    pub(super) began: usize,
    /// How it ended, once it has.
    pub(super) word: Option<&'static str>,
    /// Whether the server has confirmed that.
    pub(super) confirmed: bool,
}

/// What happened at the agents.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By the job's id, which is that of its activity.
    pub(super) jobs: HashMap<i64, Known>,
    pub(super) connections: usize,
    /// Connections that this side has cut.
    pub(super) cuts: usize,
    /// Connections that ended otherwise.
    pub(super) ended: BTreeMap<String, usize>,
    /// Tries to connect that failed.
    pub(super) failures: BTreeMap<String, usize>,
    /// Results that are to be reported again.
    pub(super) kept: usize,
    /// Results that nobody will report any more.
    pub(super) lost: usize,
}

#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Notes>);

impl Ledger {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn job<T>(&self, id: i64, look: impl FnOnce(&mut Known) -> T) -> T {
        self.with(|notes| look(notes.jobs.entry(id).or_default()))
    }
}

/// One agent. The process lives on whatever becomes of its connections, and so does what it remembers.
pub(super) struct Agent {
    member: Member,
    token: String,
    address: watch::Receiver<SocketAddr>,
    cut_after: Duration,
    random: StdRng,
    ledger: Arc<Ledger>,
    /// Whether results that were not confirmed are reported again; shipped agents forget them.
    keeps: bool,
    /// The jobs that it ran or runs.
    remembered: HashMap<i64, &'static str>,
    /// What runs, with its ends.
    running: Vec<(Instant, i64)>,
    /// Results that the server has not confirmed, of one that keeps them.
    kept: Vec<i64>,
}

/// Why an agent is without a connection.
enum Ended {
    /// Its time was over.
    Due,
    /// A script restarted the machine.
    Restarted,
    /// The other side, or the network.
    Closed(String),
}

impl Agent {
    pub(super) fn new(
        number: usize,
        (member, token): (Member, String),
        address: watch::Receiver<SocketAddr>,
        cut_after: Duration,
        seed: u64,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            member,
            token,
            address,
            cut_after,
            // Each has its own, so that what one does hangs on no other's turn.
            random: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64)),
            ledger,
            keeps: number.is_multiple_of(2),
            remembered: HashMap::new(),
            running: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Comes, is cut off, and comes back, for ever.
    pub(super) async fn live(mut self) {
        loop {
            let cable = Cable::default();
            let resets = self.random.random_bool(0.5);
            let address = *self.address.borrow();
            let server = Endpoint::from(address).around(cable.around(resets));
            match open(server, &self.member, &self.token).await {
                Err(error) => {
                    let reason = error.to_string();
                    self.ledger
                        .with(|notes| *notes.failures.entry(reason).or_default() += 1);
                }
                Ok(client) => {
                    self.ledger.with(|notes| notes.connections += 1);
                    match self.connected(client, &cable).await {
                        Ended::Due | Ended::Restarted => self.ledger.with(|notes| notes.cuts += 1),
                        Ended::Closed(reason) => self
                            .ledger
                            .with(|notes| *notes.ended.entry(reason).or_default() += 1),
                    }
                }
            }
            let pause = self.within(self.cut_after / 3);
            sleep(pause).await;
        }
    }

    /// From half of this time to one and a half of it.
    fn within(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.random.random_range(0.5..1.5))
    }

    fn happens(&mut self, of_a_hundred: u32) -> bool {
        self.random.random_ratio(of_a_hundred, 100)
    }

    async fn connected(&mut self, mut client: Client, cable: &Cable) -> Ended {
        let mut asked = HashMap::new();
        let ended = self.connection(&mut client, cable, &mut asked).await;
        // The process lives on, and what has come to it has come.
        for incoming in client.cut().await {
            self.hear(incoming, &mut asked);
        }
        for job in asked.into_values() {
            self.not_confirmed(job);
        }
        ended
    }

    async fn connection(
        &mut self,
        client: &mut Client,
        cable: &Cable,
        asked: &mut HashMap<u64, i64>,
    ) -> Ended {
        let life = self.within(self.cut_after);
        let silence = if self.happens(SILENT) {
            let silence = if self.random.random_bool(0.5) {
                Silence::Both
            } else {
                Silence::Outgoing
            };
            Some((silence, self.within(self.cut_after / 5)))
        } else {
            None
        };
        let (event, data) = announcement(&self.member);
        let mut ended = match client.emit_with_ack(event, &[data]).await {
            Ok(_) => self.report_kept(client, asked).await,
            Err(reason) => Ended::Closed(reason.to_string()),
        };
        if matches!(ended, Ended::Due) {
            ended = self.work(client, Instant::now() + life, asked).await;
        }
        if let (Ended::Due, Some((silence, time))) = (&ended, silence) {
            cable.cut(silence);
            ended = self.work(client, Instant::now() + time, asked).await;
        }
        ended
    }

    async fn report_kept(&mut self, client: &mut Client, asked: &mut HashMap<u64, i64>) -> Ended {
        // What ended while there was no connection comes first.
        let now = Instant::now();
        let over: Vec<_> = self.running.extract_if(.., |(end, _)| *end <= now).collect();
        for (_, job) in over {
            self.ended(job);
            self.not_confirmed(job);
        }
        let kept = std::mem::take(&mut self.kept);
        self.ledger.with(|notes| notes.kept -= kept.len());
        let mut ended = Ended::Due;
        for job in kept {
            match ended {
                Ended::Due => ended = self.report(client, job, asked).await,
                _ => self.not_confirmed(job),
            }
        }
        ended
    }

    /// Runs what comes until this time.
    async fn work(&mut self, client: &mut Client, until: Instant, asked: &mut HashMap<u64, i64>) -> Ended {
        loop {
            let next = self.running.iter().min().copied();
            let script = next.map_or(until, |(end, _)| end.min(until));
            tokio::select! {
                biased;
                () = sleep_until(script) => match next {
                    Some((end, job)) if end <= until => {
                        self.running.retain(|(_, other)| *other != job);
                        self.ended(job);
                        let reported = self.report(client, job, asked).await;
                        if !matches!(reported, Ended::Due) {
                            return reported;
                        }
                    }
                    _ => return Ended::Due,
                },
                incoming = client.next() => {
                    let answer = match &incoming {
                        Incoming::Event { id, name, .. } if name == WORK => *id,
                        _ => None,
                    };
                    if let Some(ended) = self.hear(incoming, asked) {
                        return ended;
                    }
                    if let Some(id) = answer && let Err(reason) = client.acknowledge(id, &[]).await {
                        return Ended::Closed(reason.to_string());
                    }
                }
            }
        }
    }

    /// Takes what has come; says where that ends the connection.
    fn hear(&mut self, incoming: Incoming, asked: &mut HashMap<u64, i64>) -> Option<Ended> {
        match incoming {
            Incoming::Closed(reason) => Some(Ended::Closed(reason.to_string())),
            Incoming::Ack { id, .. } => {
                if let Some(job) = asked.remove(&id) {
                    self.ledger.job(job, |known| known.confirmed = true);
                }
                None
            }
            Incoming::Event { name, arguments, .. } if name == WORK => self.take(&arguments),
            Incoming::Event { .. } | Incoming::Refused { .. } | Incoming::Stray { .. } => None,
        }
    }

    /// Begins a script, unless it is remembered; says where that ends the connection.
    fn take(&mut self, arguments: &[Value]) -> Option<Ended> {
        let work = arguments.first()?;
        let job = work.get("job_id")?.as_i64()?;
        let host = work.get("target_hostname").and_then(Value::as_str);
        let (own, host) = (self.member.hostname.clone(), host.unwrap_or_default());
        self.ledger
            .job(job, |known| known.came_to.push(format!("{own} for {host}")));
        if self.remembered.contains_key(&job) {
            return None;
        }
        let word = if self.happens(FAILURES) {
            "Failed"
        } else {
            "Success"
        };
        self.remembered.insert(job, word);
        self.ledger.job(job, |known| known.began += 1);
        let takes = self.within(self.cut_after / 10);
        self.running.push((Instant::now() + takes, job));
        self.happens(RESTARTS).then_some(Ended::Restarted)
    }

    /// A script has ended, whether or not anybody can be told.
    fn ended(&self, job: i64) {
        let word = self.remembered.get(&job).copied();
        self.ledger.job(job, |known| known.word = word);
    }

    async fn report(&mut self, client: &mut Client, job: i64, asked: &mut HashMap<u64, i64>) -> Ended {
        let word = self.remembered.get(&job).copied().unwrap_or("Failed");
        let stderr = if word == "Failed" { FAILED_WITH } else { "" };
        let result = json!({"job_id": job, "status": word, "stdout": printed(job), "stderr": stderr});
        match client.emit_with_ack("quick_job_result", &[result]).await {
            Ok(id) => {
                asked.insert(id, job);
                Ended::Due
            }
            Err(reason) => {
                self.not_confirmed(job);
                Ended::Closed(reason.to_string())
            }
        }
    }

    fn not_confirmed(&mut self, job: i64) {
        if self.keeps {
            self.kept.push(job);
            self.ledger.with(|notes| notes.kept += 1);
        } else {
            self.ledger.with(|notes| notes.lost += 1);
        }
    }
}

/// What the script of a job prints.
pub(super) fn printed(job: i64) -> String {
    format!("output of {job}\n")
}
