use std::sync::Arc;

use super::*;
use crate::{
    domain::guid::Guid,
    services::{device_access::authentication::DeviceStatus, hosts::STRICT},
    testkit::{Ground, START},
};

struct Story {
    ground: Ground,
    heartbeats: HeartbeatService,
}

impl Story {
    async fn new(rows: &'static str) -> Self {
        let ground = Ground::with(rows).await;
        let environment = ground.environment.clone();
        let agents = Arc::new(Agents::new(Arc::clone(&environment.clock)));
        Self {
            heartbeats: HeartbeatService::new(ground.store(), environment, agents, STRICT),
            ground,
        }
    }

    async fn row(&self, guid: &str) -> (Option<String>, Option<String>, Option<i64>, Option<i64>) {
        let query = format!("SELECT hostname, memory, uptime, last_seen FROM devices WHERE guid = '{guid}'");
        let row = self.ground.row(&query).await;
        let number = |column: usize| row[column].as_ref().map(|text| text.parse().unwrap());
        (row[0].clone(), row[1].clone(), number(2), number(3))
    }
}

fn device() -> AuthenticatedDevice {
    AuthenticatedDevice {
        guid: Guid::normalize("a").unwrap(),
        stored_guid: "A".to_owned(),
        fingerprint: "ab".to_owned(),
        token_version: 1,
        status: DeviceStatus::Active,
    }
}

#[tokio::test]
async fn what_is_told_replaces_and_the_rest_stays() {
    let story =
        Story::new("INSERT INTO devices (guid, hostname, memory, uptime) VALUES ('A', 'WIN-1', '[1]', 5)")
            .await;
    story
        .heartbeats
        .report(&device(), DeviceReport::default())
        .await
        .unwrap();
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(
        story.row("A").await,
        (name("WIN-1"), name("[1]"), Some(5), Some(START))
    );
    let report = DeviceReport {
        hostname: name("WIN-2"),
        memory: name("[]"),
        uptime: Some(0),
        ..DeviceReport::default()
    };
    story.heartbeats.report(&device(), report).await.unwrap();
    assert_eq!(
        story.row("A").await,
        (name("WIN-2"), name("[]"), Some(0), Some(START))
    );
}

#[tokio::test]
async fn a_host_name_of_another_device_is_left_out_alone() {
    let story =
        Story::new("INSERT INTO devices (guid, hostname) VALUES ('A', 'WIN-1'), (NULL, 'WIN-2')").await;
    let report = DeviceReport {
        hostname: Some("WIN-2".to_owned()),
        uptime: Some(9),
        ..DeviceReport::default()
    };
    story.heartbeats.report(&device(), report).await.unwrap();
    assert_eq!(
        story.row("A").await,
        (Some("WIN-1".to_owned()), None, Some(9), Some(START))
    );
}

#[tokio::test]
async fn a_stored_name_that_no_device_may_take_any_more_is_kept_by_the_device_that_has_it() {
    let story = Story::new("INSERT INTO devices (guid, hostname) VALUES ('A', ' WIN!1 ')").await;
    // Blanks around it are lost as it comes.
    let told = |name: &str| DeviceReport {
        hostname: Some(name.to_owned()),
        uptime: Some(9),
        ..DeviceReport::default()
    };
    story.heartbeats.report(&device(), told("WIN!1")).await.unwrap();
    let (hostname, _, uptime, _) = story.row("A").await;
    assert_eq!((hostname.as_deref(), uptime), (Some(" WIN!1 "), Some(9)));
    assert!(matches!(
        story.heartbeats.report(&device(), told("WIN!2")).await,
        Err(HeartbeatError::InvalidHostname(_))
    ));
}

#[tokio::test]
async fn a_row_in_another_spelling_becomes_canonical() {
    let story = Story::new("INSERT INTO devices (guid, hostname) VALUES ('a', 'WIN-1')").await;
    story
        .heartbeats
        .report(&device(), DeviceReport::default())
        .await
        .unwrap();
    assert_eq!(story.row("A").await.3, Some(START));
    let nobody = Story::new("SELECT 1").await;
    assert!(matches!(
        nobody.heartbeats.report(&device(), DeviceReport::default()).await,
        Err(HeartbeatError::NotRegistered)
    ));
}

#[tokio::test]
async fn a_repeated_name_is_stored_with_the_rest_and_a_name_that_cannot_be_read_with_nothing() {
    let story = Story::new("INSERT INTO devices (guid, hostname, memory) VALUES ('A', 'WIN-1', '[1]')").await;
    let report = DeviceReport {
        hostname: Some("WIN-1".to_owned()),
        uptime: Some(9),
        ..DeviceReport::default()
    };
    story.heartbeats.report(&device(), report.clone()).await.unwrap();
    let stored = (
        Some("WIN-1".to_owned()),
        Some("[1]".to_owned()),
        Some(9),
        Some(START),
    );
    assert_eq!(story.row("A").await, stored);
    assert!(story.heartbeats.agents.has_reported("WIN-1"));

    let story = Story::new("INSERT INTO devices (guid, hostname) VALUES ('A', x'57')").await;
    for report in [report, DeviceReport::default()] {
        let error = story.heartbeats.report(&device(), report).await.unwrap_err();
        assert!(error.to_string().contains("devices.hostname"), "{error}");
    }
    assert_eq!(
        story
            .ground
            .count("SELECT COUNT(*) FROM devices WHERE last_seen IS NOT NULL AND last_seen > 0")
            .await,
        0
    );
}
