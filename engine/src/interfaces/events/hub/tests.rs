use socketio_server::{Limits, engine_io::Frame, testing::TestClient};

use super::*;
use crate::{
    config::{
        bounds::{AnonymousBounds, Bounds},
        settings::AccessPolicy,
    },
    domain::{
        json::Json,
        operator_session::{Issue, OperatorCredential},
    },
    interfaces::events::{handshake::Handshake, peer::Peer},
    services::{device_access::tokens::AccessTokens, operators::OperatorService},
    testkit::Ground,
};

/// Clients with an identity.
const MOST: usize = 5;

async fn hub(policy: AccessPolicy) -> (Hub, Ground) {
    let ground = Ground::at(0).await;
    let environment = ground.environment.clone();
    let tokens = AccessTokens::new(&ed25519_dalek::SigningKey::from_bytes(&[7; 32])).unwrap();
    let operators = Arc::new(OperatorService::new(
        ground.store(),
        environment.clone(),
        policy,
        0,
    ));
    let access = Arc::new(ChannelAccess::new(
        ground.store(),
        environment,
        tokens,
        operators,
        policy,
    ));
    let strangers = AnonymousBounds {
        sockets_per_address: 2,
        sockets: 3,
        ..AnonymousBounds::default()
    };
    let strangers = (policy == AccessPolicy::Strict).then_some(strangers);
    let bounds = Bounds {
        sockets: MOST,
        sockets_of_device: 2,
        ..Bounds::default()
    };
    (Hub::within(access, &bounds, strangers), ground)
}

type Member = TestClient<Peer, Json>;

fn client(id: &str, identity: Identity) -> Member {
    client_at(id, identity, "")
}

fn client_at(id: &str, identity: Identity, address: &str) -> Member {
    let handshake = Handshake {
        limit_key: address.to_owned(),
        ..Handshake::default()
    };
    Member::new(id, Limits::default(), Peer::new(handshake, identity, false))
}

fn join(hub: &Hub, id: &str) -> Member {
    let member = client(id, Identity::Anonymous);
    assert_eq!(hub.add(&member.client), Ok(()));
    member.connect(hub.connections());
    member.enter("/");
    assert_eq!(member.sent().len(), 1);
    member
}

#[tokio::test]
async fn events_reach_rooms_and_connections() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let one = join(&hub, "one");
    let two = join(&hub, "two");
    assert!(one.client.peer.announce("A"));
    for audience in [
        Audience::Agent("A"),
        Audience::Connection("one"),
        Audience::Everyone,
    ] {
        hub.emit(audience, "e", &Payload::default()).await;
    }
    assert_eq!(one.sent().len(), 3);
    assert_eq!(two.sent().len(), 1);
    assert_eq!(hub.live_agents(), ["A"]);
    one.leave("/");
    hub.emit(Audience::Everyone, "e", &Payload::default()).await;
    assert!(one.sent().is_empty());
}

#[tokio::test]
async fn nobody_gets_nothing_where_rights_are_checked() {
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    let one = join(&hub, "one");
    one.client.peer.announce("A");
    for audience in [
        Audience::Everyone,
        Audience::Operators,
        Audience::Agent("A"),
        Audience::Device(&Guid::normalize("A").unwrap()),
    ] {
        hub.emit(audience, "e", &Payload::default()).await;
    }
    assert!(one.sent().is_empty());
}

/// A device's client that has announced its agent.
fn device(hub: &Hub, number: usize) -> (Member, String) {
    let guid = guid(number);
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let tokens = AccessTokens::new(&key).unwrap();
    let token = tokens.issue(&guid, "ab12", 1, 0).unwrap();
    let member = client(&format!("device {number}"), hub.access().device(&token).unwrap());
    assert_eq!(hub.add(&member.client), Ok(()));
    member.connect(hub.connections());
    member.enter("/");
    assert_eq!(member.sent().len(), 1);
    let agent_id = format!("WIN-{number}_{guid}_SYSTEM");
    assert!(member.client.peer.announce(&agent_id));
    (member, agent_id)
}

#[tokio::test]
async fn a_device_that_keeps_connecting_ends_its_own_oldest_connection_and_no_other() {
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    let (other, _) = device(&hub, 1);
    let own: Vec<_> = (0..3).map(|_| device(&hub, 2).0).collect();
    let ended: Vec<_> = own
        .iter()
        .map(|member| member.client.connection().is_ended())
        .collect();
    assert_eq!(ended, [true, false, false]);
    assert!(!other.client.connection().is_ended());
    // Its end, which is heard of later, makes room for one more of anybody's.
    hub.remove(&own[0].client);
    assert_eq!(hub.members().identified, 3);
}

#[tokio::test]
async fn devices_wait_for_operators_who_are_behind_and_for_nobody_else() {
    let (hub, _ground) = hub(AccessPolicy::Strict).await;
    let limits = Limits {
        unsent_frames: 4,
        ..Limits::default()
    };
    let join = |id, identity| {
        let member = Member::new(
            id,
            limits.clone(),
            Peer::new(Handshake::default(), identity, false),
        );
        assert_eq!(hub.add(&member.client), Ok(()));
        member.connect(hub.connections());
        member
    };
    let ann = OperatorCredential {
        username: "ann".to_owned(),
        issue: Issue::new(0, ""),
    };
    let operator = join("operator", Identity::Operator(ann));
    let stranger = join("stranger", Identity::Anonymous);
    let fill = |member: &Member| {
        for _ in 0..3 {
            member.client.connection().send(&[Frame::message("x")]);
        }
    };
    fill(&stranger);
    hub.operators_keep_up().await;
    fill(&operator);
    let mut waiting = Box::pin(hub.operators_keep_up());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(operator.sent().len(), 3);
    waiting.await;
}

fn guid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012X}")
}

#[tokio::test]
async fn each_audience_is_who_may_get_it_now() {
    let (hub, ground) = hub(AccessPolicy::Strict).await;
    for (number, status) in ["active", "quarantined", "revoked"].iter().enumerate() {
        let guid = guid(number);
        ground
            .sql(&format!(
                "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status) \
                 VALUES ('{guid}', 'WIN-{number}', 'ab12', 1, '{status}')"
            ))
            .await;
    }
    let devices: Vec<_> = (0..3).map(|number| device(&hub, number)).collect();
    // One whose row is gone.
    let (deleted, _) = device(&hub, 3);
    let reached = || -> Vec<usize> {
        let all = devices.iter().map(|(member, _)| member).chain([&deleted]);
        all.map(|member| member.sent().len()).collect()
    };
    hub.emit(Audience::Everyone, "e", &Payload::default()).await;
    assert_eq!(reached(), [1, 1, 0, 0]);
    hub.emit(Audience::Operators, "e", &Payload::default()).await;
    assert_eq!(reached(), [0, 0, 0, 0]);
    for (_, agent_id) in &devices {
        hub.emit(Audience::Agent(agent_id), "e", &Payload::default())
            .await;
    }
    assert_eq!(reached(), [1, 1, 0, 0]);
    for number in 0..4 {
        let guid = Guid::normalize(&guid(number)).unwrap();
        hub.emit(Audience::Device(&guid), "e", &Payload::default()).await;
    }
    assert_eq!(reached(), [1, 0, 0, 0]);
    let asked: Vec<_> = [1, 3, 4]
        .into_iter()
        .map(|number| Guid::normalize(&guid(number)).unwrap())
        .collect();
    let live = hub.live_among(&asked.iter().collect::<Vec<_>>());
    assert_eq!(live, asked[..2].iter().cloned().collect());
    // What has changed counts for whoever connects now.
    ground.sql("UPDATE devices SET status = 'revoked'").await;
    hub.remove(&devices[0].0.client);
    let (again, agent_id) = device(&hub, 0);
    hub.emit(Audience::Agent(&agent_id), "e", &Payload::default())
        .await;
    assert_eq!(again.sent().len(), 0);
}

#[tokio::test]
async fn stopping_ends_sessions_without_a_word() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    let one = join(&hub, "one");
    hub.close();
    assert!(one.client.connection().is_ended());
    assert!(one.sent().is_empty());
}

#[tokio::test]
async fn clients_without_identity_leave_places_to_the_others() {
    let (hub, _folder) = hub(AccessPolicy::Strict).await;
    let come = |id: &str, identity: Identity, address: &str| {
        let member = client_at(id, identity, address);
        hub.add(&member.client).map(|()| member)
    };
    let operator = || {
        Identity::Operator(OperatorCredential {
            username: "admin".to_owned(),
            issue: Issue::new(0, ""),
        })
    };
    let operators: Vec<_> = ["1", "2", "3", "4", "5"]
        .iter()
        .map(|id| come(&format!("operator {id}"), operator(), "a").unwrap())
        .collect();
    assert_eq!(come("operator 6", operator(), "b").err().map(drop), Some(()));
    // Of one address the oldest makes room, and then the oldest of all.
    let strangers: Vec<_> = ["a", "a", "a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(id, address)| come(&id.to_string(), Identity::Anonymous, address).unwrap())
        .collect();
    let living = || -> Vec<bool> {
        let is_living = |stranger: &Member| !stranger.client.connection().is_ended();
        strangers.iter().map(is_living).collect()
    };
    assert_eq!(living(), [false, false, true, true, true]);
    // Those that made room have none to give.
    hub.remove(&strangers[0].client);
    hub.remove(&strangers[3].client);
    let another = come("6", Identity::Anonymous, "a").unwrap();
    assert_eq!(living(), [false, false, true, true, true]);
    assert!(!another.client.connection().is_ended());
    hub.remove(&operators[0].client);
    come("operator 7", operator(), "a").unwrap();
}

#[tokio::test]
async fn where_nobody_is_known_all_places_are_for_all() {
    let (hub, _folder) = hub(AccessPolicy::Legacy).await;
    for id in ["1", "2", "3", "4", "5"] {
        assert_eq!(hub.add(&client(id, Identity::Anonymous).client), Ok(()));
    }
    assert_eq!(hub.add(&client("6", Identity::Anonymous).client), Err(Full));
}
