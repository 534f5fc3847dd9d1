//! What passes between reports and the agent registry; what is stored is tested on a whole server.

use std::sync::Arc;

use super::*;
use crate::{
    builders::device_reports::{
        details::{DetailsContents, DetailsReport},
        hash::HashReport,
    },
    domain::{
        agents::{AgentHeartbeat, ConnectAgent, HashNote, LastSeen, ServiceMode},
        devices::NewDevice,
        guid::Guid,
        hash_list::HashSource,
        json::JsonObject,
        json_reader::read_text,
    },
    services::{
        device_access::authentication::{AuthenticatedDevice, DeviceStatus},
        hosts::STRICT,
    },
    testkit::{AGENT, GUID, Ground, START},
};

struct Story {
    ground: Ground,
    reports: DeviceReportService,
    agents: Arc<Agents>,
}

impl Story {
    /// One device, `WIN-1`, seen at `START`.
    async fn new() -> Self {
        let ground = Ground::at(START + 100).await;
        let environment = ground.environment.clone();
        let store = ground.store();
        let mut work = store.begin().await.unwrap();
        work.insert_device(&NewDevice {
            guid: GUID,
            hostname: "WIN-1",
            fingerprint: "aa",
            token_version: 1,
            now: START,
            now_iso: "",
        })
        .await
        .unwrap();
        work.save().await.unwrap();
        let agents = Arc::new(Agents::new(Arc::clone(&environment.clock)));
        Self {
            reports: DeviceReportService::new(store, environment, Arc::clone(&agents), STRICT),
            agents,
            ground,
        }
    }

    async fn report(&self, agent_id: &str, details: &str) {
        let report = DetailsReport {
            hostname: "WIN-1".to_owned(),
            contents: Ok(DetailsContents {
                agent_id: Some(agent_id.to_owned()),
                agent_hash: None,
                details: object(details),
            }),
        };
        self.reports.store_details(&device(), report).await.unwrap();
    }

    async fn last_seen(&self) -> i64 {
        self.reports
            .device_named("WIN-1")
            .await
            .unwrap()
            .unwrap()
            .last_seen
    }

    fn connect(&self, agent_id: &str, mode: ServiceMode, now: i64) {
        let event = ConnectAgent {
            agent_id: agent_id.to_owned(),
            mode,
        };
        self.agents.registry().connect(&event, now);
    }

    fn heartbeat(&self, agent_id: &str, hostname: &str) {
        let event = AgentHeartbeat {
            agent_id: agent_id.to_owned(),
            hostname: Some(hostname.to_owned()),
            operating_system: None,
            last_seen: LastSeen::Now,
            mode: ServiceMode::System,
        };
        self.agents.registry().heartbeat(&event, None, START);
    }
}

fn object(text: &str) -> JsonObject {
    read_text(text).unwrap().as_object().unwrap().clone()
}

fn device() -> AuthenticatedDevice {
    AuthenticatedDevice {
        guid: Guid::normalize(GUID).unwrap(),
        stored_guid: GUID.to_owned(),
        fingerprint: "aa".to_owned(),
        token_version: 1,
        status: DeviceStatus::Active,
    }
}

#[tokio::test]
async fn a_report_is_no_sign_of_life_by_itself() {
    let story = Story::new().await;
    story.report("a", "{}").await;
    assert_eq!(story.last_seen().await, START);
    story.connect("a", ServiceMode::System, START + 7);
    story.report("other", "{}").await;
    assert_eq!(story.last_seen().await, START);
    story.report("a", r#"{"summary": {"last_seen": 0}}"#).await;
    assert_eq!(story.last_seen().await, START + 7);
    story.report("a", r#"{"summary": {"last_seen": "12"}}"#).await;
    assert_eq!(story.last_seen().await, 12);
}

#[tokio::test]
async fn the_registry_learns_from_the_merged_document() {
    let story = Story::new().await;
    story.connect("a", ServiceMode::System, START);
    story.heartbeat("b", "WIN-1");
    story
        .report(
            "a",
            r#"{"summary": {"operating_system": " Windows ", "device_type": "Laptop", "agent_hash": "mem"}}"#,
        )
        .await;
    let system = || story.agents.record("a").unwrap().operating_system;
    assert_eq!(system(), Some(" Windows ".into()), "as the agent said it");
    story.report("a", "{}").await;
    assert_eq!(system(), Some("Windows".into()), "as it is stored");
    let record = story.agents.record("a").unwrap();
    assert_eq!(record.device_type.as_deref(), Some("Laptop"));
    let same_host = story.agents.record("b").unwrap();
    for record in [record, same_host] {
        assert_eq!(record.agent_guid, Guid::normalize(GUID));
        assert_eq!(
            record.agent_hash.as_deref(),
            Some("mem"),
            "memory takes a hash that the table does not"
        );
    }
    let answer = story.reports.hash_of(&device(), None).await.unwrap();
    assert_eq!(
        (answer.source, answer.agent_id.as_deref()),
        (HashSource::Memory, Some("a"))
    );
    let stored = story.reports.device_named("WIN-1").await.unwrap().unwrap();
    assert_eq!(stored.agent_hash, "");
}

#[tokio::test]
async fn a_reported_hash_reaches_every_agent_of_the_device() {
    let story = Story::new().await;
    story.connect("first", ServiceMode::System, START);
    story.agents.note_check_in("first", &device().guid);
    story.heartbeat("same-host", "WIN-1");
    story.heartbeat("elsewhere", "WIN-2");
    let report = HashReport {
        claimed_guid: None,
        agent_id: None,
        agent_hash: "h".to_owned(),
    };
    let stored = story.reports.store_hash(&device(), report).await.unwrap();
    assert_eq!(stored.agent_id.as_deref(), Some("first"), "an agent lends its id");
    let answer = story.reports.hash_of(&device(), None).await.unwrap();
    assert_eq!(answer.agent_id.as_deref(), Some("first"));
    let hash = |id: &str| story.agents.record(id).unwrap().agent_hash;
    assert_eq!(hash("first").as_deref(), Some("h"));
    assert_eq!(hash("same-host").as_deref(), Some("h"));
    assert_eq!(hash("elsewhere"), None);
}

#[tokio::test]
async fn an_agent_lends_its_id_once_it_is_the_device_s() {
    let story = Story::new().await;
    story.heartbeat("same-host", "WIN-1");
    let report = HashReport {
        claimed_guid: None,
        agent_id: None,
        agent_hash: "h".to_owned(),
    };
    for lent in [None, Some("same-host")] {
        let stored = story.reports.store_hash(&device(), report.clone()).await.unwrap();
        assert_eq!(stored.agent_id.as_deref(), lent);
    }
}

#[tokio::test]
async fn an_agent_that_only_checked_in_has_an_id_and_a_host_is_shown_without_blanks() {
    let story = Story::new().await;
    let hash = HashNote {
        guid: &device().guid,
        agent_hash: "h",
        agent_id: Some("first"),
        hostname: None,
        own_only: false,
    };
    story.agents.note_check_in("first", &device().guid);
    story.agents.note_hash(&hash);
    let answer = story.reports.hash_of(&device(), None).await.unwrap();
    assert_eq!(
        (answer.agent_id.as_deref(), answer.hostname),
        (Some("first"), None)
    );
    story.heartbeat("first", " WIN-1 ");
    let answer = story.reports.hash_of(&device(), None).await.unwrap();
    assert_eq!(answer.hostname.as_deref(), Some("WIN-1"));
}

#[tokio::test]
async fn script_helpers_are_not_listed() {
    let story = Story::new().await;
    story.connect("x-script", ServiceMode::System, START);
    story.connect("y-script", ServiceMode::CurrentUser, START);
    let listed = story.reports.hashes().await.unwrap();
    let ids: Vec<_> = listed.iter().map(|entry| entry.agent_id.as_deref()).collect();
    assert_eq!(ids, [Some("y-script"), None]);
}

#[tokio::test]
async fn details_leave_a_line_where_they_change_who_the_device_is() {
    let story = Story::new().await;
    let _guard = story.ground.audited();
    let other = format!("{AGENT}-2");
    for agent_id in [AGENT, AGENT, &other, &other] {
        story
            .report(
                agent_id,
                &format!(r#"{{"summary": {{"agent_id": "{agent_id}"}}}}"#),
            )
            .await;
    }
    let lines: Vec<_> = story
        .ground
        .audit_lines()
        .iter()
        .map(|line| line.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            format!("device.agent_changed {GUID}"),
            format!("device.key_added {GUID}"),
            format!("device.agent_changed {GUID}"),
        ]
    );
}
