//! What happens all day, each kind as a task of its own: all of it goes on until the day is shut down.
//!
//! Long because a day has many parts, and each is short.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use ed25519_dalek::Signer as _;
use hyper::{Request, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior},
};

use super::{
    super::{
        BenchError, ServerProcess,
        client::Connection,
        crowd::{self, Agent, call, come_online},
        fleet::Member,
        operator::{Operator, PASSWORD},
    },
    Ledger, SoakPlan,
};
use crate::{
    scenario::agent,
    socket_io::{Client, CloseReason, Incoming},
};

/// A script as the web client stores it.
const SCRIPT: &str = r#"{"version":1,"name":"Load","description":"","category":"script","type":"powershell","script":"Write-Output 1","variables":[],"files":[]}"#;
/// What operators look at.
const PAGES: [&str; 9] = [
    "/api/agents",
    "/api/sites",
    "/api/scheduled_jobs",
    "/api/device_list_views",
    "/api/search/suggest?field=hostname&q=LOAD-1",
    "/api/assembly/list?island=scripts",
    "/api/device/activity/LOAD-0",
    "/api/server/time",
    "/api/devices",
];
/// How often a shipped agent reports.
const REPORT: Duration = Duration::from_secs(30);
/// Connections over which agents report.
const REPORTERS: usize = 16;
/// Agents that come before one that goes has come back.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// Who logs in and out.
const VISITOR: &str = "visitor";
const IMAGE_BYTES: usize = 100_000;
/// Agents whose screen somebody looks at.
const WATCHED: usize = 2;
/// Hosts of a job.
const TARGETS: usize = 50;

/// Fills the server, and begins the day.
pub(super) async fn begin(
    server: &ServerProcess,
    plan: &SoakPlan,
    ledger: &Arc<Ledger>,
) -> Result<JoinSet<()>, BenchError> {
    server.place_file("Assemblies/Scripts/load.json", SCRIPT)?;
    let agents = crowd::connect(server, plan.devices).await?;
    let operator = Operator::log_in(server).await?;
    let fleet: Arc<[Holder]> = agents
        .iter()
        .map(|agent| Holder {
            member: agent.member.clone(),
            token: Mutex::new(agent.token.clone()),
        })
        .collect();
    let place = Place {
        address: server.address(),
        ledger: Arc::clone(ledger),
        operator: operator.clone(),
        fleet,
    };
    ledger.agents(|_| agents.len());
    let mut day = JoinSet::new();
    for (number, agent) in agents.into_iter().enumerate() {
        if number < WATCHED {
            day.spawn(place.clone().show_screen(agent));
        } else {
            day.spawn(place.clone().stay(number, agent));
        }
    }
    for number in 0..REPORTERS {
        day.spawn(place.clone().report(number));
    }
    for number in 0..plan.operators {
        let channel = operator.connect(server).await?;
        day.spawn(place.clone().listen(channel));
        day.spawn(place.clone().look(number));
    }
    day.spawn(place.clone().renew());
    day.spawn(place.clone().run_scripts());
    day.spawn(place.clone().run_jobs());
    day.spawn(place.clone().edit());
    day.spawn(place.clone().log_in_and_out());
    day.spawn(place.clone().enroll());
    Ok(day)
}

/// What every part of the day knows.
#[derive(Clone)]
struct Place {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    operator: Operator,
    fleet: Arc<[Holder]>,
}

/// An agent, and the token that it was given last.
struct Holder {
    member: Member,
    token: Mutex<String>,
}

impl Holder {
    fn token(&self) -> String {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn renewed(&self, token: String) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

fn every(period: Duration) -> Interval {
    let mut turns = tokio::time::interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

fn taken(request: &'static str, status: u16) -> Result<(), BenchError> {
    if (200..300).contains(&status) {
        Ok(())
    } else {
        Err(BenchError::Refused { request, status })
    }
}

/// A number that is another one each time, and the same in every soak.
const fn scattered(number: usize, round: usize) -> usize {
    number
        .wrapping_mul(7919)
        .wrapping_add(round.wrapping_mul(104_729))
}

/// A connection that is made anew after it failed.
struct Line {
    address: SocketAddr,
    open: Option<Connection>,
}

impl Line {
    const fn to(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

    async fn open(&mut self) -> Result<&mut Connection, BenchError> {
        let connection = match self.open.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        Ok(self.open.insert(connection))
    }

    /// Sends JSON; what comes back, which must be taken.
    async fn post(
        &mut self,
        what: &'static str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value, BenchError> {
        let connection = self.open().await?;
        let answer = connection.post(path, Some(token), body.to_string().into()).await;
        self.read(what, answer)
    }

    /// As [`Self::post`], without a body and under any method.
    async fn ask(
        &mut self,
        what: &'static str,
        method: hyper::Method,
        path: &str,
        token: &str,
    ) -> Result<Value, BenchError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(http_body_util::Full::default())
            .map_err(super::super::client::ClientError::from)?;
        let answer = self.open().await?.send(request).await;
        self.read(what, answer)
    }

    fn read(
        &mut self,
        what: &'static str,
        answer: Result<(u16, Bytes), super::super::client::ClientError>,
    ) -> Result<Value, BenchError> {
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.open = None;
                return Err(error.into());
            }
        };
        taken(what, status)?;
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

fn text<'a>(answer: &'a Value, pointer: &str) -> &'a str {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The number of the script that is to be run, where that is what came.
fn script_of(incoming: Incoming) -> Option<Value> {
    match incoming {
        Incoming::Event { name, arguments, .. } if name == "quick_job_run" => {
            Some(arguments.first()?.get("job_id")?.clone())
        }
        _ => None,
    }
}

impl Place {
    /// An agent: it runs what it is sent, goes away now and then, and comes back.
    async fn stay(self, number: usize, first: Agent) {
        let (member, token) = (first.member.clone(), first.token.clone());
        let mut present = Some(first.client);
        // What came as it went: its results are reported once it is back.
        let mut owed = Vec::new();
        for round in 0.. {
            let mut client = match present.take() {
                Some(client) => client,
                None => {
                    let begin = Instant::now();
                    match come_online(self.address, member.clone(), token.clone()).await {
                        Ok(agent) => {
                            self.ledger.note("agent comes back", begin.elapsed(), Ok(()));
                            self.ledger.agents(|count| count + 1);
                            agent.client
                        }
                        Err(error) => {
                            self.ledger.note("agent comes back", begin.elapsed(), Err(error));
                            tokio::time::sleep(BETWEEN_TRIES).await;
                            continue;
                        }
                    }
                }
            };
            let stays = Duration::from_secs(60 + (scattered(number, round) % 120) as u64);
            let until = tokio::time::Instant::now() + stays;
            let ended = self.work(&mut client, std::mem::take(&mut owed), until).await;
            self.ledger.agents(|count| count.saturating_sub(1));
            match ended {
                None => owed.extend(client.disconnect().await.into_iter().filter_map(script_of)),
                Some(reason) => self
                    .ledger
                    .fault(format!("an agent's channel ended: {reason}"), 1),
            }
        }
    }

    /// Reports what is owed, then runs what comes until then. Why no more comes, where that is before.
    async fn work(
        &self,
        client: &mut Client,
        owed: Vec<Value>,
        until: tokio::time::Instant,
    ) -> Option<CloseReason> {
        for job in owed {
            if let Err(reason) = self.run_script(client, job).await {
                return Some(reason);
            }
        }
        while let Ok(incoming) = tokio::time::timeout_at(until, client.next()).await {
            match &incoming {
                Incoming::Event { id: Some(id), .. } => {
                    if let Err(reason) = client.acknowledge(*id, &[]).await {
                        return Some(reason);
                    }
                }
                Incoming::Closed(reason) => return Some(reason.clone()),
                _ => {}
            }
            if let Some(job) = script_of(incoming)
                && let Err(reason) = self.run_script(client, job).await
            {
                return Some(reason);
            }
        }
        None
    }

    async fn run_script(&self, client: &mut Client, job: Value) -> Result<(), CloseReason> {
        let result = json!({"job_id": job, "status": "Success", "stdout": "1\n", "stderr": ""});
        let begin = Instant::now();
        client.emit("quick_job_result", &[result]).await?;
        self.ledger.note("script run", begin.elapsed(), Ok(()));
        Ok(())
    }

    /// One of the agents that run what they are sent: who shows its screen does nothing else.
    fn somebody(&self, number: usize) -> Option<&Holder> {
        let runners = self.fleet.get(WATCHED..)?;
        runners.get(number.checked_rem(runners.len())?)
    }

    /// The reports of some agents, over one connection.
    async fn report(self, number: usize) {
        let mine: Vec<_> = self.fleet.iter().skip(number).step_by(REPORTERS).collect();
        if mine.is_empty() {
            return;
        }
        let mut line = Line::to(self.address);
        let mut turns = every(REPORT.div_f64(mine.len() as f64));
        for holder in mine.into_iter().cycle() {
            turns.tick().await;
            let body =
                json!({"hostname": holder.member.hostname, "metrics": {"uptime": 3600, "last_user": "user"}});
            let begin = Instant::now();
            let outcome = line
                .post("a heartbeat", "/api/agent/heartbeat", &holder.token(), &body)
                .await;
            self.ledger.note("heartbeat", begin.elapsed(), outcome.map(drop));
        }
    }

    /// Agents renew their tokens; shipped ones do so every quarter of an hour.
    async fn renew(self) {
        let mut line = Line::to(self.address);
        let mut turns = every(Duration::from_millis(100));
        for holder in self.fleet.iter().cycle() {
            turns.tick().await;
            let begin = Instant::now();
            let outcome = match line.open().await {
                Ok(connection) => holder.member.access_token(connection).await,
                Err(error) => Err(error),
            };
            if outcome.is_err() {
                line.open = None;
            }
            let outcome = outcome.map(|token| holder.renewed(token));
            self.ledger.note("refresh", begin.elapsed(), outcome);
        }
    }

    /// An operator's channel.
    async fn listen(self, mut channel: Client) {
        loop {
            if let Incoming::Closed(reason) = channel.next().await {
                return self
                    .ledger
                    .fault(format!("an operator's channel ended: {reason}"), 1);
            }
        }
    }

    /// An operator goes from page to page.
    async fn look(self, number: usize) {
        let mut line = Line::to(self.address);
        let mut turns = every(Duration::from_secs(2));
        for page in PAGES.iter().cycle().skip(number) {
            turns.tick().await;
            let begin = Instant::now();
            let outcome = match line.open().await {
                Ok(connection) => self.operator.read_through(connection, page).await,
                Err(error) => Err(error),
            };
            if outcome.is_err() {
                line.open = None;
            }
            let outcome = outcome.and_then(|read| taken("a page", read.status));
            self.ledger.note("page", begin.elapsed(), outcome);
        }
    }

    async fn run_scripts(self) {
        let mut line = Line::to(self.address);
        let mut turns = every(Duration::from_millis(500));
        for round in 0.. {
            turns.tick().await;
            let Some(Holder { member, .. }) = self.somebody(scattered(0, round)) else {
                return;
            };
            let body = json!({"script_path": "Scripts/load.json", "hostnames": [member.hostname], "run_mode": "system"});
            let begin = Instant::now();
            let outcome = line
                .post(
                    "a quick run",
                    "/api/scripts/quick_run",
                    self.operator.token(),
                    &body,
                )
                .await;
            self.ledger.note("quick run", begin.elapsed(), outcome.map(drop));
        }
    }

    /// Jobs that run at once on many hosts; earlier ones are deleted.
    async fn run_jobs(self) {
        let mut line = Line::to(self.address);
        let mut turns = every(Duration::from_secs(30));
        let mut made = std::collections::VecDeque::new();
        for round in 0.. {
            turns.tick().await;
            let targets: Vec<_> = (0..TARGETS)
                .filter_map(|target| self.somebody(scattered(target, round)))
                .map(|holder| &holder.member.hostname)
                .collect();
            let job = json!({
                "name": format!("job {round}"), "components": [{"type": "script", "path": "load.json"}],
                "targets": targets, "schedule": {"type": "immediately"}, "execution_context": "system",
            });
            let begin = Instant::now();
            let outcome = line
                .post("a job", "/api/scheduled_jobs", self.operator.token(), &job)
                .await;
            let outcome = outcome.map(|answer| {
                made.extend(answer.pointer("/job/id").and_then(Value::as_i64));
            });
            self.ledger.note("job", begin.elapsed(), outcome);
            if made.len() > 4
                && let Some(id) = made.pop_front()
            {
                let path = format!("/api/scheduled_jobs/{id}");
                let begin = Instant::now();
                let outcome = line
                    .ask(
                        "the end of a job",
                        hyper::Method::DELETE,
                        &path,
                        self.operator.token(),
                    )
                    .await;
                self.ledger
                    .note("job deleted", begin.elapsed(), outcome.map(drop));
            }
        }
    }

    /// Scripts are edited, sites made and deleted.
    async fn edit(self) {
        let mut line = Line::to(self.address);
        let mut turns = every(Duration::from_secs(5));
        let token = self.operator.token();
        for round in 0.. {
            turns.tick().await;
            let content =
                json!({"name": "Edited", "type": "powershell", "script": format!("Write-Output {round}")});
            let begin = Instant::now();
            let outcome = async {
                let made = json!({"island": "scripts", "kind": "file", "path": "edited", "content": content});
                line.post("a script", "/api/assembly/create", token, &made)
                    .await?;
                let site = json!({"name": format!("site {round}"), "description": ""});
                let site = line.post("a site", "/api/sites", token, &site).await?;
                let ids = json!({"ids": [site.get("id")]});
                line.post("the end of a site", "/api/sites/delete", token, &ids)
                    .await
            };
            let outcome = outcome.await.map(drop);
            self.ledger.note("edit", begin.elapsed(), outcome);
        }
    }

    /// With an account of its own: a logout ends what else was logged in with it in the same second.
    async fn log_in_and_out(self) {
        let hash: String = Sha512::digest(PASSWORD)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let account = json!({"username": VISITOR, "role": "User", "password_sha512": hash});
        let begin = Instant::now();
        let made = Line::to(self.address)
            .post("an account", "/api/users", self.operator.token(), &account)
            .await;
        self.ledger.note("account made", begin.elapsed(), made.map(drop));
        let mut turns = every(Duration::from_secs(10));
        loop {
            turns.tick().await;
            let begin = Instant::now();
            let outcome = async {
                let operator = Operator::log_in_as(self.address, VISITOR).await?;
                let mut line = Line::to(self.address);
                line.post("a logout", "/api/auth/logout", operator.token(), &json!({}))
                    .await
            };
            let outcome = outcome.await.map(drop);
            self.ledger.note("login and logout", begin.elapsed(), outcome);
        }
    }

    /// A new device, from its install code to its tokens.
    async fn enroll(self) {
        let mut turns = every(Duration::from_secs(15));
        for round in 0_u64.. {
            turns.tick().await;
            let begin = Instant::now();
            let outcome = self.enroll_one(round).await;
            self.ledger.note("enrollment", begin.elapsed(), outcome);
        }
    }

    async fn enroll_one(&self, round: u64) -> Result<(), BenchError> {
        let mut seed = [7; 32];
        for (slot, byte) in seed.iter_mut().zip(round.to_be_bytes()) {
            *slot = byte;
        }
        let agent = agent::Agent {
            name: "soak".to_owned(),
            hostname: format!("NEW-{round}"),
            seed,
        };
        let mut line = Line::to(self.address);
        let token = self.operator.token();
        let code = json!({"ttl_hours": 1, "max_uses": 1});
        let code = line
            .post("an install code", "/api/admin/enrollment-codes", token, &code)
            .await?;
        let asked = json!({
            "hostname": agent.hostname, "enrollment_code": text(&code, "/code"), "agent_pubkey": agent.pubkey(),
            "client_nonce": agent.nonce(),
        });
        let asked = line
            .post("an enrollment", "/api/agent/enroll/request", "", &asked)
            .await?;
        let reference = text(&asked, "/approval_reference");
        let decode = |text: &str| BASE64.decode(text).unwrap_or_default();
        let message = [
            decode(text(&asked, "/server_nonce")).as_slice(),
            reference.as_bytes(),
            decode(&agent.nonce()).as_slice(),
        ]
        .concat();
        let poll = json!({
            "approval_reference": reference, "client_nonce": agent.nonce(),
            "proof_sig": BASE64.encode(agent.key().sign(&message).to_bytes()),
        });
        line.post("a poll", "/api/agent/enroll/poll", "", &poll).await?;
        let waiting = "/api/admin/device-approvals?status=pending";
        let waiting = line
            .ask("the approvals", hyper::Method::GET, waiting, token)
            .await?;
        let id = text(&waiting, "/approvals/0/id");
        let approve = format!("/api/admin/device-approvals/{id}/approve");
        line.post("an approval", &approve, token, &json!({})).await?;
        let given = line.post("a poll", "/api/agent/enroll/poll", "", &poll).await?;
        match text(&given, "/status") {
            "approved" => Ok(()),
            _ => Err(BenchError::Missing("the approval")),
        }
    }

    /// Somebody looks at an agent's screen all day.
    async fn show_screen(self, mut agent: Agent) {
        let task = json!({
            "agent_id": agent.member.agent_id(), "node_id": "n1", "image_base64": "A".repeat(IMAGE_BYTES),
        });
        let mut turns = every(Duration::from_secs(1));
        loop {
            turns.tick().await;
            let begin = Instant::now();
            let outcome = call(&mut agent.client, "agent_screenshot_task", task.clone()).await;
            let is_over = outcome.is_err();
            self.ledger.note("screenshot", begin.elapsed(), outcome);
            if is_over {
                return;
            }
        }
    }
}
