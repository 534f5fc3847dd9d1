//! Changes that a proxy makes in what a server sends over websockets, one at a time: each is found.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use parity::report::Ending;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    engine::Serving,
    planted::{all_found, compared, counted},
};

/// What is sent in place of a packet; nothing where the change makes no sense in it.
type Change = fn(&str) -> Option<Vec<String>>;

fn instead(packet: &str, from: &str, to: &str) -> Option<Vec<String>> {
    packet.contains(from).then(|| vec![packet.replacen(from, to, 1)])
}

fn own(packet: &str) -> String {
    packet.to_owned()
}

/// How an acknowledgement begins.
const ACK: &str = "43";

/// Changes of events.
const EVENTS: &[(&str, Change)] = &[
    ("doubled", |it| Some(vec![own(it), own(it)])),
    ("lost", |_| Some(Vec::new())),
    ("under another name", |it| instead(it, "[\"", "[\"x_")),
    ("with its name alone", |it| {
        let name = it.split(',').next()?;
        Some(vec![format!("{name}]")])
    }),
    ("with an argument more", |it| {
        it.strip_suffix(']').map(|packet| vec![format!("{packet},null]")])
    }),
    ("with a member more", |it| instead(it, "{", "{\"planted\":1,")),
    ("with a member's name in another letter case", |it| {
        instead(it, "{\"a", "{\"A")
    }),
    ("with another letter in a text", |it| {
        ["QUFB", "Notes", "WIN-", "Running", "SYSTEM"]
            .iter()
            .find_map(|text| instead(it, text, &text.replacen(['F', 't', 'I', 'u', 'Y'], "x", 1)))
    }),
    ("with a number that is a float", |it| {
        instead(it, "66050", "66050.0")
    }),
    ("with a number that is a text", |it| {
        instead(it, "66050", "\"66050\"")
    }),
    ("with a truth that is its contrary", |it| {
        instead(it, "true", "false")
    }),
    ("with a truth that is a number", |it| instead(it, "true", "1")),
    ("and one that nobody sent", |it| {
        Some(vec![own(it), it.replacen("[\"", "[\"planted_", 1)])
    }),
    ("and the namespace is left", |it| {
        Some(vec![own(it), "41".to_owned()])
    }),
    ("and the connection ends", |it| {
        Some(vec![own(it), "1".to_owned()])
    }),
    ("and again in another namespace", |it| {
        Some(vec![own(it), it.replacen("42", "42/other,", 1)])
    }),
    ("and the namespace is joined again", |it| {
        Some(vec![own(it), "40{\"sid\":\"another\"}".to_owned()])
    }),
    ("and an acknowledgement of nothing", |it| {
        Some(vec![own(it), "4399999[]".to_owned()])
    }),
    ("and the transport says something", |it| {
        Some(vec![own(it), "6".to_owned()])
    }),
];

/// Changes of acknowledgements: of all of them, since parity asks for some on its own.
const ACKS: &[(&str, Change)] = &[
    ("with an argument", |it| instead(it, "[", "[\"planted\"")),
    ("twice", |it| Some(vec![own(it), own(it)])),
];

/// How a session opens.
const OPEN: &str = "0{";

/// Changes of how a session opens.
const OPENS: &[(&str, Change)] = &[
    ("with another interval of pings", |it| {
        instead(it, "25000", "26000")
    }),
    ("with another timeout of pings", |it| {
        instead(it, "20000", "20001")
    }),
    ("with another limit", |it| instead(it, "100000000", "100000001")),
    ("with an upgrade", |it| instead(it, "[]", "[\"websocket\"]")),
    ("with a blank", |it| instead(it, ",", ", ")),
    ("and an event before the namespace is joined", |it| {
        Some(vec![own(it), "42[\"planted\"]".to_owned()])
    }),
];

type Packets = (&'static str, &'static str, &'static [(&'static str, Change)]);

/// The packets that are changed: the scenario, how the packet begins, and the changes.
const PACKETS: &[Packets] = &[
    ("staging/screenshots", "42[\"new_screenshot\"", EVENTS),
    ("staging/macros", "42[\"list_agent_windows\"", EVENTS),
    ("staging/macros", "42[\"agent_window_list\"", EVENTS),
    ("staging/macros", "42[\"macro_status\"", EVENTS),
    ("staging/quick_run", "42[\"quick_job_run\"", EVENTS),
    ("staging/quick_run", "42[\"device_activity_changed\"", EVENTS),
    ("staging/macros", ACK, ACKS),
    ("staging/macros", OPEN, OPENS),
];

/// How many runs go on at a time.
const AT_A_TIME: usize = 8;
/// So many changes have to be planted.
const LEAST: usize = 68;

/// How the names that a run gives begin, and how many characters of them are its own.
const RUN: (&[u8], usize) = (b"parity-", 15);

/// A proxy that changes the first packet of its run that begins so; how often it did. Operators hear of other runs too.
async fn proxy(engine: SocketAddr, begins: &'static str, change: Change) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let changed = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&changed);
    let run = Arc::new(OnceLock::new());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (changed, run) = (Arc::clone(&changed), Arc::clone(&run));
            tokio::spawn(async move {
                let server = TcpStream::connect(engine).await.ok()?;
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(requests(from_client, to_server, Arc::clone(&run)));
                let is_own = |text: &str| {
                    let run = run.get().map(String::as_str);
                    text.starts_with(begins)
                        && (text.starts_with(ACK)
                            || text.starts_with(OPEN)
                            || run.is_some_and(|run| text.contains(run)))
                };
                answers(from_server, to_client, is_own, change, &changed).await
            });
        }
    });
    (address, told)
}

/// Passes on what the client says, and finds out how its run is called.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, run: Arc<OnceLock<String>>) -> Option<()> {
    let (begins, length) = RUN;
    let mut all = Vec::new();
    loop {
        let before = all.len();
        if from.read_buf(&mut all).await.ok()? == 0 {
            return to.shutdown().await.ok();
        }
        to.write_all(&all[before..]).await.ok()?;
        if let Some(at) = all.windows(begins.len()).position(|window| window == begins)
            && let Some(name) = all.get(at..at + length)
        {
            run.get_or_init(|| String::from_utf8_lossy(name).into_owned());
        }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Whoever is gone need not be told.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Passes on what the server says; frames one by one once the connection is a websocket.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    is_own: impl Fn(&str) -> bool,
    change: Change,
    changed: &AtomicUsize,
) -> Option<()> {
    let mut all = Vec::new();
    while !all.windows(4).any(|window| window == b"\r\n\r\n") {
        if from.read_buf(&mut all).await.ok()? == 0 {
            break;
        }
    }
    if !all.starts_with(b"HTTP/1.1 101 ") {
        to.write_all(&all).await.ok()?;
        pass(from, to).await;
        return Some(());
    }
    let end = all.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    to.write_all(&all[..end]).await.ok()?;
    let mut rest = all.split_off(end);
    loop {
        while let Some((frame, text)) = first_frame(&mut rest) {
            let instead = text
                .filter(|text| {
                    is_own(text) && (text.starts_with(ACK) || changed.load(Ordering::Relaxed) == 0)
                })
                .and_then(|text| change(&text));
            let Some(packets) = instead else {
                to.write_all(&frame).await.ok()?;
                continue;
            };
            changed.fetch_add(1, Ordering::Relaxed);
            for packet in packets {
                to.write_all(&written(&packet)).await.ok()?;
            }
        }
        if from.read_buf(&mut rest).await.ok()? == 0 {
            return to.shutdown().await.ok();
        }
    }
}

/// Takes the first whole frame, with its text where it is one. Servers mask nothing, and the engine splits no message.
fn first_frame(bytes: &mut Vec<u8>) -> Option<(Vec<u8>, Option<String>)> {
    let (opcode, short) = (*bytes.first()? & 0x0f, usize::from(*bytes.get(1)?));
    let (begin, length) = match short {
        126 => (
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        short => (2, short),
    };
    let payload = bytes.get(begin..begin + length)?;
    let text = (opcode == 1).then(|| String::from_utf8(payload.to_vec()).unwrap());
    let rest = bytes.split_off(begin + length);
    Some((std::mem::replace(bytes, rest), text))
}

/// A packet as a frame.
fn written(packet: &str) -> Vec<u8> {
    let length = packet.len();
    let mut frame = vec![0x81];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            frame.push(127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(packet.as_bytes());
    frame
}

#[test]
fn what_a_proxy_changes_in_packets_is_found() {
    let server = Serving::start("legacy");
    let engine = server.address;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (planted, missed) = runtime.block_on(async {
        for scenario in ["staging/screenshots", "staging/macros", "staging/quick_run"] {
            let (nothing, _) = proxy(engine, "42", |_| None).await;
            let same = compared(scenario, engine, nothing).await;
            assert_eq!(same, (Ending::Pass, Vec::new()), "{scenario}");
        }
        let turns = Arc::new(tokio::sync::Semaphore::new(AT_A_TIME));
        let mut all = tokio::task::JoinSet::new();
        for (scenario, begins, changes) in PACKETS {
            for (what, change) in *changes {
                let turns = Arc::clone(&turns);
                all.spawn(async move {
                    let _turn = turns.acquire_owned().await.unwrap();
                    let (address, changed) = proxy(engine, begins, *change).await;
                    let (ending, paths) = compared(scenario, engine, address).await;
                    let planted = changed.load(Ordering::Relaxed) > 0;
                    let missed = planted && ending != Ending::Differs;
                    (
                        planted,
                        missed.then(|| format!("{begins} {what}: {ending:?} {paths:?}")),
                    )
                });
            }
        }
        counted(all).await
    });
    all_found(LEAST, planted, &missed);
}
