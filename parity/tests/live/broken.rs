//! Servers that are not there, or not well: what happened is told with side, scenario and step, and nothing hangs.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    Said,
    engine::{Serving, parity_toml},
    parity_run,
};

/// What a broken server answers to `GET /api/auth/me`; everything else is the engine's.
type Answer = &'static [u8];

/// A server that answers one path in its own way and passes everything else on.
#[allow(
    clippy::disallowed_methods,
    reason = "a server of the real world has the real time"
)]
fn broken(engine: &Serving, answer: Answer) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = engine.address;
    let asked = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let asked = Arc::clone(&asked);
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                    match client.read(&mut piece) {
                        Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
                        _ => return,
                    }
                }
                let logged_in = String::from_utf8_lossy(&request).contains("\r\nCookie: ");
                if request.starts_with(b"GET /api/auth/me ") && !(answer == MOODY && logged_in) {
                    if answer == ENDLESS {
                        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                        let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
                        while client.write_all(chunk.as_bytes()).is_ok() {}
                    } else if answer == SILENT {
                        thread::sleep(Duration::from_secs(30));
                    } else if answer == MOODY {
                        let turn = asked.fetch_add(1, Ordering::Relaxed);
                        let body = match turn {
                            0 => "{\"error\":\"unauthorized\"}\n".to_owned(),
                            turn => format!("{{\"error\":\"mood {turn}\"}}\n"),
                        };
                        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 401 UNAUTHORIZED\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                             Vary: Cookie\r\nDate: {date}\r\n\r\n"
                        );
                        let _ = client.write_all(format!("{head}{body}").as_bytes());
                    } else {
                        let _ = client.write_all(answer);
                    }
                    return;
                }
                let mut server = TcpStream::connect(behind).unwrap();
                server.write_all(&request).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                });
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    url
}

const ENDLESS: Answer = b"<endless>";
const SILENT: Answer = b"<silent>";
/// Who is not logged in is told another error each time, after one that is the engine's.
const MOODY: Answer = b"<moody>";

/// What `parity run` says of the login of a server, held against that of an engine.
fn held_against(engine: &Serving, url: &str, more: &[&str]) -> Said {
    let legacy = engine.url();
    let mut arguments = vec![
        "staging/login",
        "--legacy",
        &legacy,
        "--engine",
        url,
        "--without-register",
    ];
    arguments.extend(more);
    parity_run(&arguments)
}

#[test]
fn an_answer_that_cannot_be_read_is_told_with_its_step_and_the_rest_is_compared() {
    let engine = Serving::start("legacy");
    for (answer, reason) in [
        (&b""[..], "the connection ended early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "the connection ended early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "two lengths"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "no status line"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            "packed with gzip",
        ),
        (ENDLESS, "it is too long"),
    ] {
        let url = broken(&engine, answer);
        let said = held_against(&engine, &url, &[]);
        assert_eq!(said.code, 2, "{reason}: {}", said.text);
        let place = format!("engine ({url}), staging/login, step `GET auth/me`: ");
        for told in [&said.text, &said.table] {
            assert!(told.contains(&place) && told.contains(reason), "{place} {reason}: {told}");
        }
        // The login between was compared.
        assert!(said.text.contains("3 steps compared"), "{}", said.text);
    }
}

#[test]
fn odd_answers_that_can_be_read_are_differences() {
    let engine = Serving::start("legacy");
    for (answer, difference) in [
        (
            &b"HTTP/1.1 401 UNAUTHORIZED\r\ntransfer-ENCODING: Chunked\r\nContent-Type: application/json\r\n\r\n\
               19\r\n{\"error\":\"unauthorized\"}\n\r\n0\r\n\r\n"[..],
            "transfer-encoding",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe", "/status"),
    ] {
        let url = broken(&engine, answer);
        let said = held_against(&engine, &url, &[]);
        assert_eq!(said.code, 1, "{}", said.text);
        assert!(said.text.contains(difference), "{difference}: {}", said.text);
    }
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_for_ever() {
    let engine = Serving::start("legacy");
    let url = broken(&engine, SILENT);
    let said = held_against(&engine, &url, &["--patience", "1"]);
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(
        said.text
            .contains("no whole answer within 1 seconds; look why it hangs"),
        "{}",
        said.text
    );
}

#[test]
fn what_the_legacy_does_not_agree_with_itself_on_is_noise_and_never_silent() {
    let engine = Serving::start("legacy");
    let url = broken(&engine, MOODY);
    let said = parity_run(&[
        "staging/login",
        "--legacy",
        &url,
        "--engine",
        &engine.url(),
        "--without-register",
        "--legacy-twice",
    ]);
    assert_eq!(
        said.code, 3,
        "it hides what the engine shows there: {}",
        said.text
    );
    for told in [&said.text, &said.table] {
        assert!(told.contains("Noise") && told.contains("/body/error"), "{told}");
        assert!(told.contains("A mask no wider than this place"), "{told}");
    }
}

#[test]
fn what_differs_in_some_runs_only_is_flaky() {
    let engine = Serving::start("legacy");
    let url = broken(&engine, MOODY);
    let said = held_against(&engine, &url, &["--runs", "3"]);
    assert_eq!(said.code, 1, "{}", said.text);
    for told in [&said.text, &said.table] {
        assert!(
            told.contains("Flaky") && told.contains("`/body/error`: differed in "),
            "{told}"
        );
        assert!(told.contains(" of 3 runs"), "{told}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_before_anything_runs() {
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let said = parity_run(&["staging", "--engine", &url]);
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(
        said.text.contains(&format!("engine ({url}): connecting to")),
        "{}",
        said.text
    );
    assert!(said.table.contains("The run could not be done"), "{}", said.table);
}

#[test]
fn a_target_that_cannot_be_chosen_is_told_with_the_cure() {
    for (arguments, reason) in [
        (&["--engine", "nowhere"][..], "there is no target nowhere"),
        (&["--engine", "recorded"], "the engine's side is a server"),
        (&["--engine", "http://x/path"], "without path"),
        (&["--legacy-twice"], "name a server with --legacy"),
        (
            &["--engine", "https://localhost:9", "--pin", "abc"],
            "64 hexadecimal digits",
        ),
        (
            &["--engine", "engine", "--parity-toml", "no-such.toml"],
            "no-such.toml: No such file",
        ),
    ] {
        let said = parity_run(arguments);
        assert_eq!(said.code, 2, "{}", said.text);
        assert!(said.text.contains(reason), "{reason}: {}", said.text);
    }
}

#[test]
fn a_certificate_that_does_not_fit_is_told_and_one_that_nobody_looks_at_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let run = |tls: &str| {
        let file = parity_toml(
            &folder,
            &format!("tls = {tls}\nready = {{ within_seconds = 20 }}"),
        );
        let text = std::fs::read_to_string(&file).unwrap() + "BOREALIS_TLS = \"on\"\n";
        std::fs::write(&file, text).unwrap();
        parity_run(&["staging/login", "--engine", "engine", "--parity-toml", &file])
    };
    let made = "{root}/Certificates/Server/borealis-server-cert.pem";
    let root = "{root}/Certificates/Server/borealis-root-ca.pem";
    for tls in [
        format!("{{ certificate = \"{made}\" }}"),
        format!("{{ ca = \"{root}\" }}"),
    ] {
        let said = run(&tls);
        assert_eq!(said.code, 0, "{tls}: {}", said.text);
        assert!(!said.text.contains("INSECURE"), "{}", said.text);
    }
    let said = run("{ insecure = true }");
    assert_eq!(said.code, 0, "{}", said.text);
    for told in [&said.text, &said.table] {
        assert!(told.contains("WARNING: ") && told.contains("INSECURE"), "{told}");
    }
    let other = "ab".repeat(32);
    let said = run(&format!("{{ fingerprint = \"{other}\" }}"));
    assert_eq!(said.code, 2, "{}", said.text);
    for told in [
        "TLS with https://localhost",
        "its SHA-256 is ",
        &format!("and {other} is pinned"),
    ] {
        assert!(said.text.contains(told), "{told}: {}", said.text);
    }

    // A server that runs already: what to do is told too.
    let engine = Serving::start_over_tls();
    let refused = |url: &str, more: &[&str]| {
        let said = parity_run(&[&["staging/login", "--engine", url][..], more].concat());
        assert_eq!(said.code, 2, "{}", said.text);
        said.text
    };
    let text = refused(&engine.tls_url("localhost"), &[]);
    assert!(
        text.contains("UnknownIssuer; name the authority that issued its certificate (--ca FILE"),
        "{text}"
    );
    let text = refused(&engine.tls_url("127.0.0.2"), &["--ca", &engine.bundle()]);
    assert!(
        text.contains("connecting to") && text.contains("check that the server runs there"),
        "{text}"
    );
    let text = refused(&engine.url(), &[]);
    assert!(
        text.contains("it is TLS, so the URL begins with https://"),
        "{text}"
    );
}
