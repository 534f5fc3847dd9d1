//! What the server sends: acknowledgements, receipts, order, and clients that do not read.

use std::{future::pending, sync::Arc};

use serde_json::{Value, json};
use socketio_server::{
    Limits, Settings,
    engine_io::{Budget, Connections, Rejection, Senders, Unconfirmed},
    environment::{SystemClock, SystemRandom},
    socket_io::{Admission, Application, Arguments, Client, Emit, Event, Handled, Request, Socket, SocketIo},
};
use tokio::sync::mpsc;

use crate::support::{self, Server};

/// Tells of every event, and handles none to its end that is called `stuck`. Who names a sender in the query shares its part
/// of the budget.
struct Teller {
    told: mpsc::UnboundedSender<String>,
    senders: Senders<String>,
}

impl Application for Teller {
    type Peer = ();
    type Data = Value;

    fn admit(&self, request: &Request<'_>) -> Result<Admission<()>, Rejection> {
        if request.parts.headers.contains_key("x-refused") {
            return Err(Rejection {
                status: http::StatusCode::FORBIDDEN,
                reason: "not you".to_owned(),
            });
        }
        let query = request.parts.uri.query().unwrap_or_default();
        let budget = query
            .rsplit_once("&sender=")
            .map(|(_, sender)| self.senders.budget_of(sender.to_owned()));
        let limits = budget.map(|budget| Limits {
            budget,
            ..request.limits.clone()
        });
        Ok(Admission {
            limits,
            ..Admission::of(())
        })
    }

    async fn event(&self, _socket: &Socket<'_, (), Value>, event: Event<Value>) -> Handled<Value> {
        let _ = self.told.send(event.name().to_owned());
        if event.name() == "stuck" {
            pending::<()>().await;
        }
        Handled::Done(Arguments::none())
    }

    fn left(&self, _client: &Client<(), Value>, namespace: &str, _sid: &str) {
        let _ = self.told.send(format!("left {namespace}"));
    }
}

struct Running {
    server: Server,
    connections: Arc<Connections<Client<(), Value>>>,
    told: mpsc::UnboundedReceiver<String>,
}

impl Running {
    async fn start(settings: Settings) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let connections = Arc::default();
        let random = Arc::new(SystemRandom);
        let teller = Teller {
            told: tell,
            senders: Senders::new(settings.limits.budget.clone()),
        };
        let server = socketio_server::engine_io::Server::new(
            SocketIo::new(teller, &settings, random.clone()),
            Arc::clone(&connections),
            settings,
            Arc::new(SystemClock::default()),
            random,
        );
        Self {
            server: Server::start(Arc::new(server).router(), "/socket.io/").await,
            connections,
            told,
        }
    }

    /// A websocket in the main namespace, and the client that it is to the server.
    async fn connect(&self) -> (support::Socket, Arc<Client<(), Value>>) {
        let before: Vec<_> = self.connections.all();
        let mut socket = self.server.open().await;
        socket.send("40").await;
        assert!(socket.text().await.starts_with("40{"));
        let is_new = |client: &Arc<_>| !before.iter().any(|other| Arc::ptr_eq(client, other));
        let client = self.connections.all().into_iter().find(is_new).unwrap();
        (socket, client)
    }
}

#[tokio::test]
async fn clients_acknowledge_with_arguments_and_attachments() {
    let running = Running::start(Settings::default()).await;
    let (mut socket, client) = running.connect().await;
    let question = [json!("?")];
    let emit = Emit::new("/", "question", &question);
    let (first, second) = (client.emit_with_ack(&emit), client.emit_with_ack(&emit));
    assert_eq!(socket.text().await, "420[\"question\",\"?\"]");
    assert_eq!(socket.text().await, "421[\"question\",\"?\"]");
    // What nobody asked for means nothing.
    socket.send("4399[\"nobody\"]").await;
    socket.send("461-1[{\"_placeholder\":true,\"num\":0}]").await;
    socket.send_binary(b"image").await;
    socket.send("430[1,2]").await;
    assert_eq!(first.await, Ok(Arguments::of([json!(1), json!(2)])));
    let second = second.await.unwrap();
    assert_eq!(second.values, [json!({"_placeholder": true, "num": 0})]);
    assert_eq!(second.attachments, ["image"]);
    let unanswered = client.emit_with_ack(&emit);
    drop(socket);
    assert_eq!(unanswered.await, Err(Unconfirmed));
}

#[tokio::test]
async fn what_was_handed_over_has_arrived_once_the_ping_behind_it_is_answered() {
    let running = Running::start(Settings::default()).await;
    let (mut socket, client) = running.connect().await;
    let work = [json!({"script": "sleep"})];
    let emit = Emit::new("/", "work", &work);
    let mut by_pong = client.hand_over(&emit);
    assert_eq!(socket.text().await, "420[\"work\",{\"script\":\"sleep\"}]");
    assert_eq!(socket.text().await, "2");
    assert!(futures_util::poll!(&mut by_pong).is_pending());
    socket.send("3").await;
    assert_eq!(by_pong.await, Ok(()));
    let by_ack = client.hand_over(&emit);
    assert_eq!(socket.text().await, "421[\"work\",{\"script\":\"sleep\"}]");
    socket.send("431[]").await;
    assert_eq!(by_ack.await, Ok(()));
    let lost = client.hand_over(&emit);
    drop(socket);
    assert_eq!(lost.await, Err(Unconfirmed));
}

#[tokio::test]
async fn what_a_client_sent_is_handled_to_its_last_event_before_it_has_left() {
    let mut running = Running::start(Settings::default()).await;
    let (mut socket, client) = running.connect().await;
    for number in 0..500 {
        socket.send(&format!("42[\"{number}\"]")).await;
    }
    socket.send("1").await;
    for number in 0..500 {
        assert_eq!(running.told.recv().await.unwrap(), number.to_string());
    }
    assert_eq!(running.told.recv().await.unwrap(), "left /");
    assert!(!client.is_in("/"));
    running.connections.finished().await;
    assert!(running.connections.is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_costs_no_more_than_its_limits() {
    let settings = Settings {
        limits: Limits {
            unsent_bytes: 1_000_000,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let (_socket, client) = running.connect().await;
    let image = [json!("x".repeat(100_000))];
    let packets = Emit::new("/", "image", &image).packets();
    // Far more than the kernel holds for both sides.
    let mut sent = 0;
    while !client.connection().is_ended() {
        assert!(sent < 1000, "everything was taken");
        client.send(&packets);
        sent += 1;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_is_busy_with_a_client_reads_no_more_of_it_and_goes_on_with_others() {
    let settings = Settings {
        limits: Limits {
            waiting_messages: 4,
            ..Limits::default()
        },
        ..Settings::default()
    };
    let mut running = Running::start(settings).await;
    let (mut stuck, client) = running.connect().await;
    stuck.send("42[\"stuck\"]").await;
    assert_eq!(running.told.recv().await.unwrap(), "stuck");
    let (mut other, _) = running.connect().await;
    let flood = format!("42[\"flood\",\"{}\"]", "x".repeat(100_000));
    let flooding = tokio::spawn(async move {
        // Far more than the kernel holds for both sides.
        for _ in 0..1000 {
            stuck.send(&flood).await;
        }
    });
    for _ in 0..10 {
        other.send("421[\"calm\"]").await;
        assert_eq!(other.text().await, "431[]");
        assert_eq!(running.told.recv().await.unwrap(), "calm");
    }
    assert!(!flooding.is_finished());
    flooding.abort();
    client.connection().end();
}

fn with_budget(bytes: usize, message: usize) -> (Settings, Budget) {
    let budget = Budget::new(bytes);
    let settings = Settings {
        limits: Limits {
            message,
            budget: budget.clone(),
            ..Limits::default()
        },
        ..Settings::default()
    };
    (settings, budget)
}

fn event_of(bytes: usize) -> String {
    format!("421[\"large\",\"{}\"]", "x".repeat(bytes))
}

#[tokio::test]
async fn long_messages_of_many_clients_do_not_wait_for_each_other_for_ever() {
    let (settings, budget) = with_budget(8_000_000, 20_000_000);
    let running = Running::start(settings).await;
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut socket, _) = running.connect().await;
        sending.spawn(async move {
            socket.send(&event_of(6_000_000)).await;
            assert_eq!(socket.text().await, "431[]");
        });
    }
    // By polling, too.
    let query = running.server.poller().await;
    assert_eq!(running.server.http("POST", &query, "40").await.0, 200);
    let (status, _) = running.server.http("POST", &query, &event_of(6_000_000)).await;
    assert_eq!(status, 200);
    sending.join_all().await;
    assert_eq!(Budget::waiting(&[budget]), 0);
}

#[tokio::test]
async fn who_begins_long_messages_on_many_connections_keeps_nobody_waiting_but_himself() {
    let (settings, budget) = with_budget(16_000_000, 20_000_000);
    let running = Running::start(settings).await;
    let open = async |sender: &str| {
        let query = format!("EIO=4&transport=websocket&sender={sender}");
        let mut socket = running.server.websocket(&query).await.unwrap();
        assert!(socket.text().await.starts_with("0{"));
        socket.send("40").await;
        assert!(socket.text().await.starts_with("40{"));
        socket
    };
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut socket = open("slow").await;
        // Beside the test: not all of it is read.
        slow.spawn(async move {
            socket.begin(event_of(2_950_000)).await;
            pending::<()>().await;
        });
    }
    // A quarter of eight pieces is one sender's, and another of its messages goes on beyond them.
    while Budget::waiting(std::slice::from_ref(&budget)) < 2_000_000 {
        tokio::task::yield_now().await;
    }
    let mut other = open("other").await;
    for bytes in [6_000_000, 900_000, 19_000_000] {
        other.send(&event_of(bytes)).await;
        assert_eq!(other.text().await, "431[]");
    }
    assert_eq!(Budget::waiting(std::slice::from_ref(&budget)), 2_000_000);
    drop(slow);
    while Budget::waiting(std::slice::from_ref(&budget)) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_no_message_takes_nothing_of_what_messages_take() {
    let (settings, budget) = with_budget(4_000_000, 20_000_000);
    let running = Running::start(settings).await;
    let (mut idle, _) = running.connect().await;
    for _ in 0..100 {
        idle.send(&format!("3{}", "x".repeat(60_000))).await;
    }
    idle.send("421[\"calm\"]").await;
    assert_eq!(idle.text().await, "431[]");
    idle.ping(100, 100_000).await;
    let (mut other, _) = running.connect().await;
    other.send(&event_of(6_000_000)).await;
    assert_eq!(other.text().await, "431[]");
    assert_eq!(Budget::waiting(&[budget]), 0);
}

#[tokio::test]
async fn attachments_that_wait_for_others_are_within_the_budget() {
    static PART: [u8; 1_000_000] = [1; 1_000_000];
    let (settings, budget) = with_budget(8_000_000, PART.len());
    let running = Running::start(settings).await;
    let both = "452-1[\"image\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";
    let (mut first, _) = running.connect().await;
    first.send(both).await;
    first.send_binary(&PART).await;
    let (mut second, _) = running.connect().await;
    second.send(both).await;
    second.send_binary(&PART).await;
    second.send_binary(b"little").await;
    assert_eq!(second.text().await, "431[]");
    let (mut third, _) = running.connect().await;
    third.send(&both.replace("452-", "453-")).await;
    third.send_binary(&PART).await;
    while Budget::waiting(std::slice::from_ref(&budget)) < 2 * (PART.len() - 4000) {
        tokio::task::yield_now().await;
    }
    let (mut fourth, _) = running.connect().await;
    fourth.send(both).await;
    fourth.send_binary(&PART).await;
    assert!(fourth.ends().await);
    first.send_binary(&PART).await;
    assert_eq!(first.text().await, "431[]");
    drop(third);
    while Budget::waiting(std::slice::from_ref(&budget)) > 0 {
        tokio::task::yield_now().await;
    }
    // Alone, too, nothing that waits is larger than what there is for all.
    let (mut alone, _) = running.connect().await;
    alone.send(&both.replace("452-", "453-")).await;
    alone.send_binary(&PART).await;
    alone.send_binary(&PART).await;
    assert!(alone.ends().await);
}

#[tokio::test]
async fn who_stops_sending_attachments_is_closed() {
    let settings = Settings {
        body_timeout: std::time::Duration::from_millis(50),
        ..Settings::default()
    };
    let running = Running::start(settings).await;
    let (mut socket, _) = running.connect().await;
    socket
        .send("452-1[\"image\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]")
        .await;
    socket.send_binary(b"first").await;
    assert!(socket.ends().await);
}

#[tokio::test]
async fn the_end_of_a_server_says_nothing() {
    let running = Running::start(Settings::default()).await;
    let (mut socket, client) = running.connect().await;
    running.connections.end_all();
    assert!(socket.next().await.is_none());
    assert!(client.connection().is_ended());
}
