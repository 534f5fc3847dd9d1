//! Changes that a proxy makes on the wire, one at a time: each is found, and the proxy that changes nothing changes nothing.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parity::{
    campaign::{Campaign, Places, Sides},
    report::{self, Ending},
    runner::Silent,
    target::{
        Side, Spec, endpoint::Url, operator::Operator, side::Kind, tls::Verification, url::UrlSettings,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{engine::Serving, top};

/// An answer on its way.
struct Answer {
    /// The first line.
    line: String,
    /// The header lines.
    headers: Vec<String>,
    body: String,
}

/// A change, and where it shows: the beginning of a difference's path.
type Change = (&'static str, fn(&mut Answer) -> bool, &'static str);

/// Changes the text of a body, if it is there.
fn body(answer: &mut Answer, from: &str, to: &str) -> bool {
    let changed = answer.body.replacen(from, to, 1);
    let is_other = changed != answer.body;
    answer.body = changed;
    is_other
}

/// Changes a header, if it is there.
fn header(answer: &mut Answer, name: &str, change: impl FnOnce(&str) -> String) -> bool {
    let mut lines = answer.headers.iter_mut();
    let Some(line) = lines.find(|line| line.to_ascii_lowercase().starts_with(name)) else {
        return false;
    };
    *line = change(line);
    true
}

/// Every change that makes sense in any JSON answer.
const CHANGES: &[Change] = &[
    (
        "another status",
        |it| {
            it.line = it.line.replacen(" 200 ", " 201 ", 1);
            it.line.contains(" 201 ")
        },
        "/status",
    ),
    (
        "another reason",
        |it| {
            it.line.push('!');
            true
        },
        "/wire/reason",
    ),
    (
        "another version",
        |it| {
            it.line = it.line.replacen("HTTP/1.1", "HTTP/1.0", 1);
            true
        },
        "/wire/version",
    ),
    (
        "a header in another letter case",
        |it| {
            header(it, "content-type:", |line| {
                line.replacen("Content-Type", "content-type", 1)
            })
        },
        "/wire/headers",
    ),
    (
        "a charset",
        |it| header(it, "content-type:", |line| format!("{line}; charset=utf-8")),
        "/headers/content-type",
    ),
    (
        "a header more",
        |it| {
            it.headers.push("X-Served-By: proxy".to_owned());
            true
        },
        "/headers/x-served-by",
    ),
    (
        "the cookie's Vary is gone",
        |it| {
            let before = it.headers.len();
            it.headers
                .retain(|line| !line.to_ascii_lowercase().starts_with("vary:"));
            it.headers.len() < before
        },
        "/headers/vary",
    ),
    (
        "a date an hour later",
        |it| {
            header(it, "date:", |line| {
                let time = line.split_once(": ").map_or("", |(_, time)| time);
                let time = jiff::fmt::rfc2822::parse(time).unwrap().timestamp() + Duration::from_secs(3600);
                format!("Date: {}", time.strftime("%a, %d %b %Y %H:%M:%S GMT"))
            })
        },
        "/headers/date",
    ),
    (
        "a blank behind the first colon",
        |it| body(it, "\":", "\": "),
        "/wire/json",
    ),
    (
        "the line's end is missing",
        |it| body(it, "}\n", "}"),
        "/wire/json",
    ),
    (
        "a member more",
        |it| {
            it.body = it.body.replacen('{', "{\"planted\":1,", 1);
            true
        },
        "/body",
    ),
    (
        "a member's name in another letter case",
        |it| {
            let mut letters: Vec<char> = it.body.chars().collect();
            let Some(first) = letters.iter_mut().find(|one| one.is_ascii_lowercase()) else {
                return false;
            };
            first.make_ascii_uppercase();
            it.body = letters.into_iter().collect();
            true
        },
        "/body",
    ),
    (
        "another letter in a text",
        |it| body(it, "Admin", "Bdmin") || body(it, "ok", "no") || body(it, "job", "jab"),
        "",
    ),
    (
        "a number that is a float",
        |it| body(it, ":0,", ":0.0,") || body(it, ":1,", ":1.0,"),
        "/body",
    ),
    ("null becomes false", |it| body(it, "null", "false"), "/body"),
    (
        "a truth becomes its contrary",
        |it| body(it, "true", "false") || body(it, "false", "true"),
        "/body",
    ),
    (
        "half of the body",
        |it| {
            it.body.truncate(it.body.len() / 2);
            true
        },
        "",
    ),
    (
        "an empty body",
        |it| {
            it.body.clear();
            true
        },
        "/body",
    ),
];

/// The answers that are changed: the scenario, the beginning of the request, and which of those it is.
const ANSWERS: [(&str, &str, usize); 5] = [
    ("staging/accounts", "GET /api/auth/me ", 0),
    ("staging/accounts", "POST /api/auth/login ", 1),
    ("staging/jobs", "POST /api/scheduled_jobs ", 0),
    ("staging/jobs", "GET /api/scheduled_jobs/", 0),
    ("staging/heartbeat_and_details", "GET /api/device/details/", 0),
];

/// How many runs go on at a time.
const AT_A_TIME: usize = 4;
/// So many changes have to be planted.
const LEAST: usize = 50;

/// A proxy that changes one answer; how often it did.
async fn proxy(
    engine: SocketAddr,
    request: &'static str,
    which: usize,
    change: fn(&mut Answer) -> bool,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, changed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&changed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (seen, changed) = (Arc::clone(&seen), Arc::clone(&changed));
            tokio::spawn(
                async move { converse(client, engine, request, which, change, &seen, &changed).await },
            );
        }
    });
    (address, told)
}

/// One request and its answer: parity's client opens a connection for each.
async fn converse(
    mut client: TcpStream,
    engine: SocketAddr,
    request: &str,
    which: usize,
    change: fn(&mut Answer) -> bool,
    seen: &AtomicUsize,
    changed: &AtomicUsize,
) -> Option<()> {
    let mut server = TcpStream::connect(engine).await.ok()?;
    let asked = message(&mut client).await?;
    server.write_all(&asked).await.ok()?;
    let answer = message(&mut server).await?;
    let answer = if asked.starts_with(request.as_bytes()) && seen.fetch_add(1, Ordering::Relaxed) == which {
        rewritten(&answer, change, changed)
    } else {
        answer
    };
    client.write_all(&answer).await.ok()
}

fn rewritten(bytes: &[u8], change: fn(&mut Answer) -> bool, changed: &AtomicUsize) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let mut answer = Answer {
        line: lines.next().unwrap(),
        headers: lines.collect(),
        body: body.to_owned(),
    };
    if !change(&mut answer) {
        return bytes.to_vec();
    }
    changed.fetch_add(1, Ordering::Relaxed);
    let length = answer.body.len();
    header(&mut answer, "content-length:", |_| {
        format!("Content-Length: {length}")
    });
    format!(
        "{}\r\n{}\r\n\r\n{}",
        answer.line,
        answer.headers.join("\r\n"),
        answer.body
    )
    .into_bytes()
}

/// A whole message with a length.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        if let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if all.len() >= end + 4 + length.unwrap_or(0) {
                return Some(all);
            }
        }
        if stream.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    }
}

fn at(address: SocketAddr) -> Arc<Spec> {
    let text = format!("http://{address}");
    Arc::new(Spec::new(
        text.clone(),
        Kind::Url(Box::new(UrlSettings {
            url: Url::read(&text).unwrap(),
            text,
            verification: Verification::System,
            secret: Some("the secret of the tests".to_owned()),
            operator: Operator::default(),
            patience: Duration::from_secs(60),
        })),
    ))
}

/// How the engine compares with itself behind a proxy: the ending, and the paths that differ.
pub(super) async fn compared(scenario: &str, engine: SocketAddr, proxy: SocketAddr) -> (Ending, Vec<String>) {
    let places = Places {
        scenarios: top().join("scenarios"),
        snapshots: top().join("snapshots"),
    };
    let sides = Sides {
        legacy: Side::Live(at(engine)),
        engine: at(proxy),
        ..Sides::default()
    };
    let campaign = Campaign::prepare(places, &[scenario.to_owned()]).unwrap();
    let campaign = campaign.of_sides(sides).without_register();
    let report = campaign
        .run(1, jiff::civil::date(2026, 11, 29), Arc::new(Silent))
        .await;
    let report = report.allowing_not_compared(Some("the database is the server's own".to_owned()));
    let verdict = &report.judgement.verdicts[0];
    let paths = verdict.different.iter().map(|one| one.path.clone()).collect();
    (report::ending(&report), paths)
}

/// How many changes were made, and which of them were missed.
pub(super) async fn counted(mut all: JoinSet<(bool, Option<String>)>) -> (usize, Vec<String>) {
    let (mut planted, mut missed) = (0, Vec::new());
    while let Some(one) = all.join_next().await {
        let (was_planted, was_missed) = one.unwrap();
        planted += usize::from(was_planted);
        missed.extend(was_missed);
    }
    (planted, missed)
}

/// Fails where one was missed, or fewer were made than should be.
pub(super) fn all_found(least: usize, planted: usize, missed: &[String]) {
    println!("{} of {planted} found", planted - missed.len());
    assert!(planted >= least, "only {planted} could be planted");
    assert!(
        missed.is_empty(),
        "{} of {planted} were missed: {missed:#?}",
        missed.len()
    );
}

#[test]
fn what_a_proxy_changes_on_the_wire_is_found() {
    assert!(Path::new(&top()).is_dir());
    let server = Serving::start("legacy");
    let engine = server.address;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (planted, missed) = runtime.block_on(async {
        let (nothing, _) = proxy(engine, "GET /", usize::MAX, |_| false).await;
        assert_eq!(
            compared("staging/accounts", engine, nothing).await,
            (Ending::Pass, Vec::new())
        );
        let turns = Arc::new(tokio::sync::Semaphore::new(AT_A_TIME));
        let mut all = JoinSet::new();
        for (scenario, request, which) in ANSWERS {
            for (what, change, path) in CHANGES {
                let turns = Arc::clone(&turns);
                all.spawn(async move {
                    let _turn = turns.acquire_owned().await.unwrap();
                    let (address, changed) = proxy(engine, request, which, *change).await;
                    let (ending, paths) = compared(scenario, engine, address).await;
                    let found =
                        ending == Ending::Differs && paths.iter().any(|found| found.starts_with(path));
                    let planted = changed.load(Ordering::Relaxed) > 0;
                    (
                        planted,
                        (planted && !found).then(|| format!("{what} in {request}: {ending:?} {paths:?}")),
                    )
                });
            }
        }
        counted(all).await
    });
    all_found(LEAST, planted, &missed);
}
