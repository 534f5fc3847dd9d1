use jiff::Timestamp;

use super::*;
use crate::{
    config::{settings::AccessPolicy, socket_places::SocketPlaces, timing::Timing},
    integrations::{clock::ManualClock, random::SeededRandom},
    interfaces::ws::{
        handshake::Handshake,
        heartbeat::Heartbeat,
        packet::Frame,
        session::{Inbound, Transport},
    },
    repositories::sqlite::SqliteStore,
    services::{Environment, access_tokens::AccessTokens, realtime::Standing},
};

const PLACES: SocketPlaces = SocketPlaces { all: 5, anonymous: 3 };

async fn hub(policy: AccessPolicy) -> (Hub<SqliteStore>, tempfile::TempDir) {
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
    let access = Arc::new(ChannelAccess::new(store, environment, tokens, policy));
    (Hub::new(access, PLACES), folder)
}

type Inbox = tokio::sync::mpsc::Receiver<Inbound>;

fn session(id: &str, identity: Identity) -> (Arc<Session>, Inbox) {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    Session::new(
        id.to_owned(),
        Handshake::default(),
        Standing::new(identity),
        1000,
        Transport::Websocket,
        Heartbeat::new(clock, Timing::default()),
    )
}

async fn join(hub: &Hub<SqliteStore>, id: &str) -> (Arc<Session>, Inbox) {
    let (session, inbox) = session(id, Identity::Nobody);
    assert!(hub.add(&session));
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
    let admits = |hub: &Hub<SqliteStore>, ids: std::ops::Range<u8>, identity: &Identity| {
        ids.filter(|id| hub.add(&session(&format!("{identity:?}-{id}"), identity.clone()).0))
            .count()
    };
    let operator = Identity::Operator("admin".to_owned());
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    assert_eq!(admits(&hub, 0..9, &Identity::Nobody), 3);
    assert_eq!(admits(&hub, 0..9, &operator), 2);
    hub.remove("Operator(\"admin\")-0");
    assert_eq!(admits(&hub, 10..19, &Identity::Nobody), 0);
    hub.remove("Nobody-0");
    assert_eq!(admits(&hub, 10..19, &Identity::Nobody), 1);
    assert_eq!(admits(&hub, 10..19, &operator), 1);
}

#[tokio::test]
async fn where_nobody_is_known_all_places_are_for_all() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    for id in ["1", "2", "3", "4", "5"] {
        assert!(hub.add(&session(id, Identity::Nobody).0));
    }
    assert!(!hub.add(&session("6", Identity::Nobody).0));
}
