//! The rules of the channel, without a socket.
//!
//! Long because each event has rules of its own, and all are told on one story.

use std::sync::Mutex;

use super::*;
use crate::{
    builders::agents::JobResult,
    config::settings::AccessPolicy,
    domain::{
        agent_id::{NamedDevice, named_device},
        agents::{AgentHeartbeat, CollectorStatus, ConnectAgent, LastSeen, ServiceMode},
        guid::Guid,
    },
    services::scheduler::channel::Receipt,
    testkit::{AGENT, GUID, Ground, START},
};

/// Writes down what is sent.
#[derive(Debug, Default)]
struct Wire {
    sent: Mutex<Vec<(String, String, Json)>>,
    live: Mutex<Vec<String>>,
}

impl Wire {
    fn take(&self) -> Vec<(String, String, Json)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

impl Channel for Wire {
    fn emit<'a>(&'a self, audience: Audience<'a>, event: &'a str, payload: &'a Payload) -> BoxFuture<'a> {
        let sent = (format!("{audience:?}"), event.to_owned(), payload.value.clone());
        self.sent.lock().unwrap().push(sent);
        Box::pin(async {})
    }

    fn hand_over<'a>(
        &'a self,
        device: Option<&'a Guid>,
        _: Option<&'static str>,
        event: &'a str,
        payload: &'a Payload,
        before: Eventual<'a, bool>,
    ) -> Eventual<'a, PendingReceipt> {
        Box::pin(async move {
            if !before.await {
                return PendingReceipt::ready(Receipt::Cancelled);
            }
            let Some(device) = device else {
                return PendingReceipt::ready(Receipt::NotConnected);
            };
            self.emit(Audience::Device(device), event, payload).await;
            PendingReceipt::ready(Receipt::Delivered)
        })
    }

    fn end(&self, _: Whose<'_>) {}

    fn live_agents(&self) -> Vec<String> {
        self.live.lock().unwrap().clone()
    }

    fn live_among(&self, devices: &[&Guid]) -> HashSet<Guid> {
        let live = self.live.lock().unwrap();
        let named = live.iter().filter_map(|id| match named_device(id) {
            NamedDevice::One(guid) => Some(guid),
            _ => None,
        });
        named.filter(|guid| devices.contains(&guid)).collect()
    }
}

struct Story {
    ground: Ground,
    wire: Arc<Wire>,
    agents: Arc<Agents>,
    service: RealtimeService,
}

impl Story {
    async fn begin(rows: &'static str) -> Self {
        let ground = Ground::with(rows).await;
        let environment = ground.environment.clone();
        let wire = Arc::new(Wire::default());
        let agents = Arc::new(Agents::new(Arc::clone(&environment.clock)));
        let channel = Arc::clone(&wire) as Arc<dyn Channel>;
        Self {
            wire,
            agents: Arc::clone(&agents),
            service: RealtimeService::new(
                ground.store(),
                environment,
                agents,
                HostRules::new(AccessPolicy::Strict),
                channel,
            ),
            ground,
        }
    }

    /// The one column of every row, as text.
    async fn column(&self, sql: &str) -> Vec<Option<String>> {
        self.ground.column(sql).await
    }
}

fn device() -> Rights {
    Rights::Device {
        guid: Guid::normalize(GUID).unwrap(),
        hostname: Some("WIN-1".to_owned()),
        is_quarantined: false,
    }
}

fn heartbeat(agent_id: &str, hostname: Option<&str>) -> AgentHeartbeat {
    AgentHeartbeat {
        agent_id: agent_id.to_owned(),
        hostname: hostname.map(str::to_owned),
        operating_system: None,
        last_seen: LastSeen::At(7),
        mode: ServiceMode::System,
    }
}

fn connect(agent_id: &str) -> ConnectAgent {
    ConnectAgent {
        agent_id: agent_id.to_owned(),
        mode: ServiceMode::System,
    }
}

#[tokio::test]
async fn a_heartbeat_rewrites_its_host_s_row() {
    let story = Story::begin(
        "INSERT INTO devices (guid, hostname, external_ip, memory, last_seen) \
         VALUES ('{3f2504e0-4f89-11d3-9a0c-0305e82c3301}', 'WIN-1', '192.0.2.7', '{}', 3)",
    )
    .await;
    let event = heartbeat(AGENT, Some("WIN-1"));
    let outcome = story.service.agent_heartbeat(&Rights::Everything, &event).await;
    assert_eq!(outcome, Outcome::Done);
    let row = story
        .column(
            "SELECT guid || '|' || last_seen || '|' || agent_id || '|' || memory || '|' || connection_endpoint \
             FROM devices",
        )
        .await;
    assert_eq!(row, [Some(format!("{GUID}|7|{AGENT}|[]|192.0.2.7"))]);
}

#[tokio::test]
async fn a_device_speaks_for_its_own_agents_and_host_alone() {
    let story = Story::begin("").await;
    let service = &story.service;
    let refused = Outcome::Refused;
    assert_eq!(
        service.connect_agent(&device(), &connect("WIN-1_SYSTEM")).await,
        refused
    );
    assert_eq!(
        service
            .agent_heartbeat(&device(), &heartbeat(AGENT, Some("WIN-2")))
            .await,
        refused
    );
    for rights in [Rights::Operator, Rights::Nothing] {
        assert_eq!(service.connect_agent(&rights, &connect(AGENT)).await, refused);
    }
    assert!(service.listing().is_empty());
    assert_eq!(
        service.connect_agent(&device(), &connect(AGENT)).await,
        Outcome::Done
    );
    assert_eq!(story.column("SELECT hostname FROM devices").await, []);
}

#[tokio::test]
async fn nobody_makes_a_device_called_unknown_under_a_policy_that_checks() {
    let story = Story::begin("").await;
    let event = CollectorStatus {
        agent_id: AGENT.to_owned(),
        hostname: None,
        active: true,
        last_user: Some("DOM\\bob".to_owned()),
        mode: ServiceMode::System,
    };
    for rights in [device(), Rights::Everything] {
        story.service.connect_agent(&rights, &connect(AGENT)).await;
        assert_eq!(
            story.service.collector_status(&rights, &event).await,
            Outcome::Done
        );
    }
    let users = story
        .column("SELECT hostname || '=' || last_user FROM devices")
        .await;
    assert_eq!(users, [Some("unknown=DOM\\bob".to_owned())]);
}

#[tokio::test]
async fn commands_need_an_operator_and_reports_an_agent() {
    let story = Story::begin("").await;
    let service = &story.service;
    let payload = Payload::from(Json::object([("agent_id", AGENT.into())]));
    for rights in [device(), Rights::Nothing] {
        assert_eq!(
            service
                .relay_command(&rights, "list_agent_windows", &payload)
                .await,
            Outcome::Refused
        );
    }
    for (rights, id) in [
        (Rights::Operator, Some(AGENT)),
        (device(), None),
        (device(), Some("x")),
    ] {
        let outcome = service.relay_report(&rights, id, "macro_status", &payload).await;
        assert_eq!(outcome, Outcome::Refused);
    }
    assert_eq!(story.wire.take(), []);
    service
        .relay_command(&Rights::Operator, "list_agent_windows", &payload)
        .await;
    service
        .relay_report(&device(), Some(AGENT), "macro_status", &payload)
        .await;
    let sent: Vec<_> = story
        .wire
        .take()
        .into_iter()
        .map(|(audience, ..)| audience)
        .collect();
    assert_eq!(sent, [format!("Agent({AGENT:?})").as_str(), "Operators"]);
}

#[tokio::test]
async fn a_command_goes_to_the_agent_or_run_that_it_names_alone() {
    let story = Story::begin(
        "INSERT INTO devices (guid, hostname) VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-1');
         INSERT INTO ansible_play_recaps (run_id, hostname, agent_id, status) VALUES ('r1', 'WIN-1', 'a', 'Running')",
    )
    .await;
    let device = format!("Device(Guid(\"{GUID}\"))");
    let event = "ansible_playbook_cancel";
    for (name, value, expected) in [
        ("agent_id", AGENT, Some(format!("Agent({AGENT:?})"))),
        ("target_hostname", "win-1", Some(device.clone())),
        ("run_id", "r1", Some(device)),
        // Nobody has them, so nobody hears of it.
        ("target_hostname", "WIN-2", None),
        ("run_id", "r2", None),
        ("agent_id", "", None),
    ] {
        let payload = Payload::from(Json::object([(name, value.into())]));
        let outcome = story
            .service
            .relay_command(&Rights::Operator, event, &payload)
            .await;
        let heard = story.wire.take().first().map(|sent| sent.0.clone());
        assert_eq!(heard, expected, "{name}={value}");
        let refused = if expected.is_some() {
            Outcome::Done
        } else {
            Outcome::Refused
        };
        assert_eq!(outcome, refused, "{name}={value}");
        // Where nobody is checked everybody gets it, as from the legacy.
        story
            .service
            .relay_command(&Rights::Everything, event, &payload)
            .await;
        assert_eq!(story.wire.take()[0].0, "Everyone", "{name}={value}");
    }
}

#[tokio::test]
async fn an_operators_socket_starts_no_playbook() {
    let story = Story::begin("").await;
    let payload = Payload::from(Json::object([("target_hostname", "WIN-1".into())]));
    let event = "ansible_playbook_run";
    for rights in [Rights::Operator, device(), Rights::Nothing] {
        assert_eq!(
            story.service.relay_playbook(&rights, event, &payload).await,
            Outcome::Refused
        );
    }
    assert_eq!(story.wire.take(), []);
    story
        .service
        .relay_playbook(&Rights::Everything, event, &payload)
        .await;
    assert_eq!(story.wire.take()[0].0, "Everyone");
}

const JOB: &str = "PRAGMA foreign_keys = OFF; \
     INSERT INTO devices (guid, hostname) VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-1'); INSERT INTO activity_history (id, hostname, script_path, script_name, script_type, ran_at, status) \
     VALUES (21, 'WIN-1', 'p', 'n', 'powershell', 1, 'Running'); \
     INSERT INTO scheduled_job_runs (id, job_id, status, target_hostname) VALUES (5, 1, 'Scheduled', 'WIN-1'); \
     INSERT INTO scheduled_job_run_activity (run_id, activity_id, component_kind) VALUES (5, 21, 'script')";

fn result(status: &str) -> JobResult {
    JobResult {
        job_id: 21,
        status: status.to_owned(),
        stdout: "out".to_owned(),
        stderr: String::new(),
    }
}

#[tokio::test]
async fn a_result_that_is_not_stored_has_failed() {
    let refusing =
        "CREATE TRIGGER full BEFORE UPDATE ON scheduled_job_runs BEGIN SELECT RAISE(ABORT, 'full'); END";
    let story = Story::begin(format!("{JOB}; {refusing}").leak()).await;
    for rights in [Rights::Everything, device()] {
        let outcome = story.service.job_result(&rights, &result("Success")).await;
        assert_eq!(outcome, Outcome::Failed);
    }
    let state = "SELECT a.status || '|' || r.status FROM activity_history a, scheduled_job_runs r";
    assert_eq!(story.column(state).await, [Some("Running|Scheduled".to_owned())]);
    assert_eq!(story.wire.take(), []);
}

#[tokio::test]
async fn a_result_moves_activity_and_run_and_is_told() {
    let story = Story::begin(JOB).await;
    let state = "SELECT a.status || '|' || a.stdout || '|' || r.status || '|' || COALESCE(r.finished_ts, '-') \
                 FROM activity_history a, scheduled_job_runs r";
    assert_eq!(
        story
            .service
            .job_result(&Rights::Everything, &result("RUNNING"))
            .await,
        Outcome::Done
    );
    assert_eq!(
        story.column(state).await,
        [Some("RUNNING|out|Running|-".to_owned())]
    );
    assert_eq!(
        story.service.job_result(&device(), &result("Success")).await,
        Outcome::Done
    );
    assert_eq!(
        story.column(state).await,
        [Some(format!("Success|out|Success|{START}"))]
    );
    let told = story.wire.take();
    let names: Vec<_> = told.iter().map(|(_, event, _)| event.as_str()).collect();
    assert_eq!(
        names,
        [
            "device_activity_changed",
            "device_activity_changed",
            "job_run_completed"
        ]
    );
    assert_eq!(told[2].2.get("status"), Some(&"Success".into()));
    assert_eq!(
        told[1].2,
        Json::object([
            ("activity_id", 21.into()),
            ("hostname", "WIN-1".into()),
            ("status", "Success".into()),
            ("change", "updated".into()),
            ("source", "quick_job".into()),
        ])
    );
}

#[tokio::test]
async fn a_result_comes_from_the_host_that_it_is_about() {
    let story = Story::begin(JOB).await;
    let other = Rights::Device {
        guid: Guid::normalize("00000000-0000-4000-8000-000000000002").unwrap(),
        hostname: Some("WIN-2".to_owned()),
        is_quarantined: false,
    };
    for rights in [other, Rights::Operator, Rights::Nothing] {
        assert_eq!(
            story.service.job_result(&rights, &result("Success")).await,
            Outcome::Refused
        );
    }
    let status = story.column("SELECT status FROM activity_history").await;
    assert_eq!(status, [Some("Running".to_owned())]);
    assert_eq!(story.wire.take(), []);
}

#[tokio::test]
async fn a_host_is_online_by_collector_report_or_connection() {
    let story = Story::begin(
        "INSERT INTO devices (guid, hostname) VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-1')",
    )
    .await;
    let is_online = async || story.service.is_online("WIN-1").await.unwrap();
    assert!(!is_online().await);
    story.wire.live.lock().unwrap().push("WIN-1_SYSTEM".to_owned());
    assert!(!is_online().await);
    story.wire.live.lock().unwrap().push(AGENT.to_owned());
    assert!(is_online().await);
    story.wire.live.lock().unwrap().clear();
    story
        .agents
        .note_report(&Guid::normalize(GUID).unwrap(), Some("WIN-1"));
    assert!(is_online().await);
}
