use jiff::Timestamp;

use super::*;
use crate::{
    config::{
        bounds::{AnonymousBounds, Bounds},
        settings::AccessPolicy,
        timing::Timing,
    },
    domain::{
        json_reader::JsonReader,
        operator_session::{Issue, OperatorCredential},
    },
    integrations::{clock::ManualClock, random::SeededRandom},
    interfaces::ws::{
        handshake::Handshake,
        heartbeat::Heartbeat,
        packet::Frame,
        room::Shares,
        session::{Inbound, Transport},
    },
    repositories::sqlite::SqliteStore,
    services::{
        Environment, device_access::tokens::AccessTokens, operators::OperatorService, realtime::Standing,
    },
};

/// Sessions with an identity.
const MOST: usize = 5;

async fn hub(policy: AccessPolicy) -> (Hub, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("database.db"))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let environment = Environment {
        clock: Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)),
        random: Arc::new(SeededRandom::new(1)),
    };
    let tokens = AccessTokens::new(&ed25519_dalek::SigningKey::from_bytes(&[7; 32])).unwrap();
    let operators = Arc::new(OperatorService::new(
        Arc::new(store.clone()),
        environment.clone(),
        policy,
        0,
    ));
    let access = Arc::new(ChannelAccess::new(
        Arc::new(store),
        environment,
        tokens,
        operators,
        policy,
    ));
    let strangers = AnonymousBounds {
        sockets_an_address: 2,
        sockets: 3,
        ..AnonymousBounds::default()
    };
    let strangers = (policy == AccessPolicy::Strict).then_some(strangers);
    (Hub::within(access, MOST, strangers), folder)
}

type Inbox = tokio::sync::mpsc::Receiver<Inbound>;

fn session(id: &str, identity: Identity) -> (Arc<Session>, Inbox) {
    session_at(id, identity, "")
}

fn session_at(id: &str, identity: Identity, address: &str) -> (Arc<Session>, Inbox) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    Session::new(
        id.to_owned(),
        Handshake {
            limit_key: address.to_owned(),
            ..Handshake::default()
        },
        Standing::new(identity),
        Shares::new(&Bounds::default()).for_session(JsonReader::default()),
        Transport::Websocket,
        Heartbeat::new(clock, Timing::default()),
    )
}

async fn join(hub: &Hub, id: &str) -> (Arc<Session>, Inbox) {
    let (session, inbox) = session(id, Identity::Nobody);
    assert_eq!(hub.add(&session), Ok(()));
    let answer = Frame::text("40");
    session.enter(format!("{id}-sid"), &answer);
    assert_eq!(
        session.outbox.take(usize::MAX, usize::MAX).await,
        Some(vec![answer])
    );
    (session, inbox)
}

#[tokio::test]
async fn a_client_cannot_answer_in_advance() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let (session, _inbox) = join(&hub, "one").await;
    session.note_pong();
    assert_eq!(session.pongs(), 0);
}

#[tokio::test]
async fn events_reach_rooms_and_connections() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let (one, _one) = join(&hub, "one").await;
    let (two, _two) = join(&hub, "two").await;
    assert!(one.join("A"));
    for audience in [
        Audience::Agent("A"),
        Audience::Connection("one"),
        Audience::Everyone,
    ] {
        hub.emit(audience, "e", &Payload::default()).await;
    }
    assert_eq!(one.outbox.take(9, usize::MAX).await.unwrap().len(), 3);
    assert_eq!(two.outbox.take(9, usize::MAX).await.unwrap().len(), 1);
    assert_eq!(hub.live_agents(), ["A"]);
    one.leave();
    hub.emit(Audience::Everyone, "e", &Payload::default()).await;
    assert!(one.outbox.is_empty());
    assert!(hub.live_agents().is_empty());
}

#[tokio::test]
async fn nobody_gets_nothing_where_rights_are_checked() {
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    let (session, _inbox) = join(&hub, "one").await;
    session.join("A");
    for audience in [
        Audience::Everyone,
        Audience::Operators,
        Audience::Agent("A"),
        Audience::Device(&Guid::normalize("A").unwrap()),
    ] {
        hub.emit(audience, "e", &Payload::default()).await;
    }
    assert!(session.outbox.is_empty());
}

#[tokio::test]
async fn stopping_ends_sessions_without_a_word() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let (session, _inbox) = join(&hub, "one").await;
    hub.close();
    assert_eq!(session.outbox.take(9, 9).await, None);
}

#[tokio::test]
async fn sessions_without_identity_leave_places_to_the_others() {
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    let come = |id: &str, identity: Identity, address: &str| {
        let session = session_at(id, identity, address).0;
        hub.add(&session).map(|()| session)
    };
    let operator = || {
        Identity::Operator(OperatorCredential {
            username: "admin".to_owned(),
            issue: Issue::new(0, ""),
        })
    };
    for id in ["1", "2", "3", "4", "5"] {
        come(&format!("operator {id}"), operator(), "a").unwrap();
    }
    assert_eq!(come("operator 6", operator(), "b").err(), Some(Full));
    // Of one address the oldest makes room, and then the oldest of all.
    let strangers: Vec<_> = ["a", "a", "a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(id, address)| come(&id.to_string(), Identity::Nobody, address).unwrap())
        .collect();
    let living = |hub: &Hub| -> Vec<bool> { (0..5).map(|id| hub.get(&id.to_string()).is_some()).collect() };
    assert_eq!(living(&hub), [false, false, true, true, true]);
    for stranger in &strangers {
        let is_ended = stranger.ended.is_cancelled();
        assert_eq!(is_ended, hub.get(&stranger.id).is_none(), "{}", stranger.id);
    }
    hub.remove("0");
    hub.remove("3");
    come("6", Identity::Nobody, "a").unwrap();
    assert_eq!(living(&hub), [false, false, true, false, true]);
    hub.remove("operator 1");
    come("operator 7", operator(), "a").unwrap();
}

#[tokio::test]
async fn where_nobody_is_known_all_places_are_for_all() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    for id in ["1", "2", "3", "4", "5"] {
        assert_eq!(hub.add(&session(id, Identity::Nobody).0), Ok(()));
    }
    assert_eq!(hub.add(&session("6", Identity::Nobody).0), Err(Full));
}
