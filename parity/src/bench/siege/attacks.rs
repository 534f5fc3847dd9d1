//! The attacks. Each finds out itself what becomes of it.
//!
//! Long because it is a list: one attack after the other.

use std::{
    net::SocketAddr,
    pin::Pin,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use tokio::task::JoinSet;

use super::Tally;
use crate::{
    bench::{
        BenchError,
        client::{ClientError, Connection},
        crowd::{Agent, call},
        raw::{Raw, frame},
    },
    socket_io::Incoming,
};

/// Connections of an attack that sends many requests.
const CONNECTIONS: usize = 16;
/// What one peer may make the server hold, in megabytes.
const MOST: f64 = 150.0;

type Attacking = Pin<Box<dyn Future<Output = Result<Tally, BenchError>> + Send>>;

pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) tried: &'static str,
    pub(super) most_megabytes: f64,
    /// The soft limit of open files that the server starts with.
    pub(super) soft_limit: Option<u32>,
    pub(super) run: fn(SocketAddr, Agent, Duration) -> Attacking,
    /// What is not as it should be.
    pub(super) judge: fn(&Tally) -> Option<String>,
}

const PLAIN: Attack = Attack {
    name: "",
    tried: "",
    most_megabytes: MOST,
    soft_limit: None,
    run: |_, _, _| Box::pin(async { Ok(Tally::default()) }),
    judge: |_| None,
};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "handshakes",
        tried: "52,000 polling sessions opened",
        run: |address, _, _| Box::pin(handshakes(address)),
        ..PLAIN
    },
    Attack {
        name: "deaf websockets",
        tried: "websockets that send pings and read nothing",
        run: |address, _, duration| Box::pin(deaf(address, duration)),
        ..PLAIN
    },
    Attack {
        name: "large logins",
        tried: "logins with bodies of 15 MB, six at a time",
        run: |address, _, _| Box::pin(large_logins(address)),
        judge: |outcome| (outcome.of("413") != 12).then(|| "not all were refused".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "unfinished bodies",
        tried: "60 bodies of 15 MB and 600 of 60 kB whose end does not come, a byte every second",
        run: |address, _, duration| Box::pin(unfinished_bodies(address, duration)),
        judge: |outcome| (outcome.of("held") > 0).then(|| "some were held".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "unfinished heads",
        tried: "1,000 heads of 60 kB whose end does not come",
        run: |address, _, duration| Box::pin(unfinished_heads(address, duration)),
        ..PLAIN
    },
    Attack {
        name: "echoes",
        tried: "sockets that ask for namespaces with names of 60 kB and 990 kB and read nothing",
        run: |address, _, _| Box::pin(echoes(address)),
        ..PLAIN
    },
    Attack {
        name: "http/2",
        tried: "200 connections that speak HTTP/2 and then wait",
        run: |address, _, _| Box::pin(http_2(address)),
        judge: |outcome| (outcome.of("answered in HTTP/2") > 0).then(|| "it was answered".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "idle connections",
        tried: "1,030 connections that say nothing, under a soft limit of 1,024 open files",
        soft_limit: Some(1024),
        run: |address, _, duration| Box::pin(idle(address, duration)),
        ..PLAIN
    },
    Attack {
        name: "kept connections",
        tried: "2,000 connections kept open after a request for /health",
        run: |address, _, duration| Box::pin(kept(address, duration)),
        judge: |outcome| (outcome.of("ended") == 0).then(|| "all of them stay".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "guesses through a proxy",
        tried: "200 passwords for one name from one address, the client's own forwarding header each time another",
        run: |address, _, _| Box::pin(guesses(address)),
        judge: |outcome| (outcome.of("401") > 10).then(|| "more than 10 were tried".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "guesses from everywhere",
        tried: "300 passwords for one name from 300 addresses",
        run: |address, _, _| Box::pin(sprayed_guesses(address)),
        judge: |outcome| (outcome.of("401") > 50).then(|| "more than 50 were tried".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "other names",
        tried: "50,400 other names guessed, so that a blocked one is forgotten",
        run: |address, _, _| Box::pin(other_names(address)),
        judge: |outcome| (outcome.of("then 429") != 1).then(|| "the name was forgotten".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "one network",
        tried: "400 requests to enroll from 400 addresses of one /64",
        run: |address, _, _| Box::pin(one_network(address)),
        judge: |outcome| (outcome.of("400") > 40).then(|| "more than 40 were taken".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "long contexts",
        tried: "2,000 requests whose context header has 8 kB",
        run: |address, _, _| Box::pin(long_contexts(address)),
        judge: |outcome| {
            (outcome.of("bytes of log") > 2000 * 1000).then(|| "more than 1 kB of log a request".to_owned())
        },
        ..PLAIN
    },
    Attack {
        name: "many values",
        tried: "requests to enroll of 1 MB that hold half a million values, 40 at a time",
        run: |address, _, _| Box::pin(many_values(address)),
        judge: |outcome| (outcome.of("400") != 40).then(|| "not all were refused".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "a device's long event",
        tried: "a screenshot of 40 MB to two operators from a device that stays connected",
        most_megabytes: 250.0,
        run: |_, agent, _| Box::pin(long_event(agent)),
        judge: |outcome| (outcome.of("acknowledged") != 1).then(|| "it was not handled".to_owned()),
        ..PLAIN
    },
    Attack {
        name: "a device's many values",
        tried: "an event of 40 MB that holds 20 million values",
        most_megabytes: 250.0,
        run: |address, agent, _| Box::pin(many_values_of_a_device(address, agent)),
        ..PLAIN
    },
];

/// Sends requests over some connections at a time; what came back.
async fn requests(
    address: SocketAddr,
    count: usize,
    make: impl Fn(usize) -> Result<Request<Full<Bytes>>, http::Error> + Clone + Send + Sync + 'static,
) -> Result<Tally, BenchError> {
    let mut load = JoinSet::new();
    for number in 0..CONNECTIONS {
        let make = make.clone();
        load.spawn(async move {
            let mut tally = Tally::default();
            let mut connection = None;
            for number in (number..count).step_by(CONNECTIONS) {
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => match Connection::open(address).await {
                        Ok(open) => open,
                        Err(_) => {
                            tally.note("not connected");
                            continue;
                        }
                    },
                };
                match open.send(make(number).map_err(ClientError::from)?).await {
                    Ok((status, _)) => {
                        tally.note(status.to_string());
                        connection = Some(open);
                    }
                    Err(_) => tally.note("closed"),
                }
            }
            Ok::<_, BenchError>(tally)
        });
    }
    let mut all = Tally::default();
    while let Some(part) = load.join_next().await {
        all.merge(part??);
    }
    Ok(all)
}

async fn handshakes(address: SocketAddr) -> Result<Tally, BenchError> {
    let open = |_| Request::get("/socket.io/?EIO=4&transport=polling").body(Full::default());
    requests(address, 52_000, open).await
}

/// A login with these forwarded addresses.
fn login(name: &str, forwarded: &str) -> Result<Request<Full<Bytes>>, http::Error> {
    let body = json!({"username": name, "password": "wrong"}).to_string();
    Request::post("/api/auth/login")
        .header("content-type", "application/json")
        .header("x-forwarded-for", forwarded)
        .body(Full::new(body.into()))
}

async fn guesses(address: SocketAddr) -> Result<Tally, BenchError> {
    let guess = |number: usize| {
        let client = format!("10.{}.0.1, 203.0.113.7:{}", number % 250, 1000 + number);
        login("admin", &client)
    };
    requests(address, 200, guess).await
}

async fn sprayed_guesses(address: SocketAddr) -> Result<Tally, BenchError> {
    let guess = |number: usize| login("admin", &format!("198.51.{}.{}", number / 250, number % 250));
    requests(address, 300, guess).await
}

async fn other_names(address: SocketAddr) -> Result<Tally, BenchError> {
    const FROM: &str = "203.0.113.8";
    let mut tally = requests(address, 11, |_| login("somebody", FROM)).await?;
    tally.merge(requests(address, 50_400, |number| login(&format!("name {number}"), FROM)).await?);
    let mut connection = Connection::open(address).await?;
    let again = login("somebody", FROM).map_err(ClientError::from)?;
    let (status, _) = connection.send(again).await?;
    tally.note(format!("then {status}"));
    Ok(tally)
}

async fn one_network(address: SocketAddr) -> Result<Tally, BenchError> {
    let ask = |number: usize| {
        Request::post("/api/agent/enroll/request")
            .header("x-forwarded-for", format!("2001:db8:1:2::{number:x}"))
            .body(Full::new(Bytes::from_static(b"{}")))
    };
    requests(address, 400, ask).await
}

async fn long_contexts(address: SocketAddr) -> Result<Tally, BenchError> {
    let context = "A".repeat(8000);
    let ask = move |number: usize| {
        Request::post("/api/agent/enroll/poll")
            .header("x-borealis-agent-context", context.as_str())
            .body(Full::new(
                format!("{{\"approval_reference\":\"{number}\"}}").into(),
            ))
    };
    requests(address, 2000, ask).await
}

async fn many_values(address: SocketAddr) -> Result<Tally, BenchError> {
    let body = Bytes::from(format!("{{\"a\":[{}0]}}", "0,".repeat(500_000)));
    let ask = move |_| Request::post("/api/agent/enroll/request").body(Full::new(body.clone()));
    requests(address, 40, ask).await
}

async fn large_logins(address: SocketAddr) -> Result<Tally, BenchError> {
    let body = format!("{{\"a\":[{}0]}}", "0,".repeat(7_500_000));
    let head = format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = Bytes::from(head + &body);
    let mut tally = Tally::default();
    for _ in 0..2 {
        let mut sending = JoinSet::new();
        for _ in 0..6 {
            let request = request.clone();
            sending.spawn(async move {
                match Raw::open(address, &request).await {
                    Ok(mut raw) => raw.answer().await,
                    Err(_) => "closed".to_owned(),
                }
            });
        }
        while let Some(answer) = sending.join_next().await {
            tally.note(answer?);
        }
    }
    Ok(tally)
}

/// Holds connections open, and says at the end what became of them.
async fn hold(mut held: Vec<Raw>, duration: Duration, byte: Option<u8>) -> Tally {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        if let Some(byte) = byte {
            for raw in &mut held {
                // A connection that has ended is counted below.
                let _ = raw.say(&[byte]).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut tally = Tally::default();
    for raw in &mut held {
        tally.note(if raw.is_over().await { "ended" } else { "held" });
    }
    tally
}

async fn unfinished_bodies(address: SocketAddr, duration: Duration) -> Result<Tally, BenchError> {
    let head = |length: usize| {
        format!(
            "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let (long, short) = (15_000_000, 60_000);
    let long = head(long + 1000) + &" ".repeat(long);
    let short = head(short + 1000) + &" ".repeat(short);
    let mut tally = Tally::default();
    let mut held = Vec::new();
    for text in std::iter::repeat_n(&long, 60).chain(std::iter::repeat_n(&short, 600)) {
        match Raw::open(address, text.as_bytes()).await {
            Ok(raw) => held.push(raw),
            Err(_) => tally.note("ended"),
        }
    }
    // Longer than a body that comes at its pace may take.
    tally.merge(hold(held, duration.max(Duration::from_secs(25)), Some(b' ')).await);
    Ok(tally)
}

async fn unfinished_heads(address: SocketAddr, duration: Duration) -> Result<Tally, BenchError> {
    let lines: String = (0..10)
        .map(|number| format!("X-{number}: {}\r\n", "a".repeat(6000)))
        .collect();
    let head = format!("GET /health HTTP/1.1\r\nHost: a\r\n{lines}");
    hold_many(address, 1000, head.as_bytes(), duration).await
}

async fn idle(address: SocketAddr, duration: Duration) -> Result<Tally, BenchError> {
    hold_many(address, 1030, b"", duration).await
}

async fn kept(address: SocketAddr, duration: Duration) -> Result<Tally, BenchError> {
    hold_many(
        address,
        2000,
        b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        duration,
    )
    .await
}

/// Opens connections, says this on each, and holds them open.
async fn hold_many(
    address: SocketAddr,
    count: usize,
    text: &[u8],
    duration: Duration,
) -> Result<Tally, BenchError> {
    let mut tally = Tally::default();
    let mut held = Vec::new();
    for _ in 0..count {
        match Raw::open(address, text).await {
            Ok(raw) => held.push(raw),
            Err(_) => tally.note("not connected"),
        }
    }
    tally.merge(hold(held, duration, None).await);
    Ok(tally)
}

async fn http_2(address: SocketAddr) -> Result<Tally, BenchError> {
    let mut tally = Tally::default();
    let mut held = Vec::new();
    for _ in 0..200 {
        match Raw::open(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await {
            Ok(raw) => held.push(raw),
            Err(_) => tally.note("closed"),
        }
    }
    for raw in &mut held {
        tally.note(raw.answer().await);
    }
    Ok(tally)
}

async fn deaf(address: SocketAddr, duration: Duration) -> Result<Tally, BenchError> {
    let pings = frame(0x89, &[b'x'; 125]).repeat(1000);
    let mut sending = JoinSet::new();
    for _ in 0..4 {
        let pings = pings.clone();
        sending.spawn(async move {
            let begin = Instant::now();
            let mut megabytes = 0.0;
            let Ok(mut raw) = Raw::websocket(address).await else {
                return ("not connected", 0.0);
            };
            while begin.elapsed() < duration {
                match raw.say(&pings).await {
                    Ok(()) => megabytes += pings.len() as f64 / 1e6,
                    Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                        // It is kept open for as long as the attack goes on.
                        tokio::time::sleep(duration.saturating_sub(begin.elapsed())).await;
                        return ("not read from any more", megabytes);
                    }
                    Err(_) => return ("ended", megabytes),
                }
            }
            ("read from to the end", megabytes)
        });
    }
    let mut tally = Tally::default();
    let mut all = 0.0;
    while let Some(sent) = sending.join_next().await {
        let (outcome, megabytes) = sent?;
        tally.note(outcome);
        all += megabytes;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "megabytes of seconds"
    )]
    tally.add("MB taken", all as u64);
    Ok(tally)
}

async fn echoes(address: SocketAddr) -> Result<Tally, BenchError> {
    let mut tally = Tally::default();
    let mut held = Vec::new();
    for (length, count) in [(990_000, 50), (60_000, 60)] {
        let packet = frame(0x81, format!("40/{},", "a".repeat(length)).as_bytes());
        for _ in 0..count {
            let Ok(mut raw) = Raw::websocket(address).await else {
                tally.note("not connected");
                continue;
            };
            for _ in 0..20 {
                match raw.say(&packet).await {
                    Ok(()) => tally.note("taken"),
                    Err(_) => {
                        tally.note("not taken");
                        break;
                    }
                }
            }
            held.push(raw);
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(tally)
}

async fn long_event(mut agent: Agent) -> Result<Tally, BenchError> {
    let event = json!({"agent_id": agent.member.agent_id(), "image_base64": "A".repeat(40_000_000)});
    let mut tally = Tally::default();
    tally.note(match call(&mut agent.client, "screenshot", event).await {
        Ok(()) => "acknowledged",
        Err(_) => "ended",
    });
    // Until the server is stopped: what it keeps of the event it keeps for as long as the connection lasts.
    tokio::spawn(async move { while !matches!(agent.client.next().await, Incoming::Closed(_)) {} });
    Ok(tally)
}

async fn many_values_of_a_device(address: SocketAddr, agent: Agent) -> Result<Tally, BenchError> {
    let id = agent.member.agent_id();
    let zeros = "0,".repeat(20_000_000);
    let event =
        format!("42[\"agent_screenshot_task\",{{\"agent_id\":\"{id}\",\"node_id\":1,\"x\":[{zeros}0]}}]");
    let next = format!("421[\"agent_screenshot_task\",{{\"agent_id\":\"{id}\",\"node_id\":1}}]");
    let lines = format!("Authorization: Bearer {}\r\n", agent.token);
    let mut tally = Tally::default();
    let mut raw = Raw::websocket_with(address, &lines)
        .await
        .map_err(ClientError::from)?;
    let sent = raw.say_all(&frame(0x81, event.as_bytes())).await;
    let sent = sent.and(raw.say_all(&frame(0x81, next.as_bytes())).await);
    tally.note(match sent {
        Ok(()) if raw.hears(b"431[]").await => "passed over",
        Ok(()) => "ended",
        Err(_) => "not taken",
    });
    Ok(tally)
}
