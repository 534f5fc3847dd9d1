use jiff::Timestamp;

use super::*;
use crate::{
    config::settings::AccessPolicy,
    integrations::{clock::ManualClock, random::SeededRandom},
    interfaces::ws::{
        handshake::Handshake,
        packet::Frame,
        session::{Inbound, Transport},
    },
    repositories::sqlite::SqliteStore,
    services::{Environment, access_tokens::AccessTokens, realtime::Standing},
};

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
    (Hub::new(access), folder)
}

type Inbox = tokio::sync::mpsc::Receiver<Inbound>;

fn join(hub: &Hub<SqliteStore>, id: &str) -> (Arc<Session>, Inbox) {
    let (session, inbox) = Session::new(
        id.to_owned(),
        Handshake::default(),
        Standing::new(Identity::Nobody),
        1000,
        Transport::Websocket,
    );
    assert!(hub.add(&session));
    session.enter(format!("{id}-sid"));
    (session, inbox)
}

#[tokio::test]
async fn work_has_arrived_once_a_later_ping_is_answered() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let payload = Payload::from(1);
    let receipt = hub.hand_over("H", "work", &payload).await;
    assert_eq!(receipt.await, Receipt::NobodyThere);

    let (session, _inbox) = join(&hub, "one");
    session.ping();
    let receipt = hub.hand_over("H", "work", &payload).await;
    let sent = session.outbox.take(usize::MAX).await.unwrap();
    assert_eq!(sent, ["2", "42[\"work\",1]", "2"].map(Frame::text));
    let mut receipt = tokio::spawn(receipt);
    // The first answer is to what was asked before the work was sent.
    session.note_pong();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!receipt.is_finished());
    session.note_pong();
    assert_eq!((&mut receipt).await.unwrap(), Receipt::Arrived);

    let receipt = hub.hand_over("H", "work", &payload).await;
    session.end();
    assert_eq!(receipt.await, Receipt::Unknown);
}

#[tokio::test]
async fn a_client_cannot_answer_in_advance() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let (session, _inbox) = join(&hub, "one");
    session.note_pong();
    assert_eq!(session.pongs(), 0);
}

#[tokio::test]
async fn events_reach_rooms_and_connections() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let (one, _one) = join(&hub, "one");
    let (two, _two) = join(&hub, "two");
    assert!(one.join("A"));
    for audience in [
        Audience::Agent("A"),
        Audience::Connection("one"),
        Audience::Everyone,
    ] {
        hub.emit(audience, "e", &Payload::default()).await;
    }
    assert_eq!(one.outbox.take(usize::MAX).await.unwrap().len(), 3);
    assert_eq!(two.outbox.take(usize::MAX).await.unwrap().len(), 1);
    assert_eq!(hub.live_agents(), ["A"]);
    one.leave();
    hub.emit(Audience::Everyone, "e", &Payload::default()).await;
    assert!(one.outbox.is_empty());
    assert!(hub.live_agents().is_empty());
}

#[tokio::test]
async fn nobody_gets_nothing_where_rights_are_checked() {
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    let (session, _inbox) = join(&hub, "one");
    session.join("A");
    for audience in [
        Audience::Everyone,
        Audience::Operators,
        Audience::Agent("A"),
        Audience::Host(""),
    ] {
        hub.emit(audience, "e", &Payload::default()).await;
    }
    assert!(session.outbox.is_empty());
}

#[tokio::test]
async fn stopping_says_goodbye() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let (session, _inbox) = join(&hub, "one");
    hub.close();
    assert_eq!(session.outbox.take(9).await, Some(vec![Frame::text("1")]));
    assert_eq!(session.outbox.take(9).await, None);
}
