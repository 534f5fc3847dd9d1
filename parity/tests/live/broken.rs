//! Servers that are not there, or not well: what happened is told with side, scenario and step, and nothing hangs.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use super::{
    engine::{Serving, parity_toml},
    parity_run,
};

/// What a broken server answers to `GET /api/auth/me`; everything else is the engine's.
type Answer = &'static [u8];

/// A server that answers one path in its own way and passes everything else on.
fn broken(engine: &Serving, answer: Answer) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = engine.address;
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                    match client.read(&mut piece) {
                        Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
                        _ => return,
                    }
                }
                if request.starts_with(b"GET /api/auth/me ") {
                    if answer == ENDLESS {
                        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                        let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
                        while client.write_all(chunk.as_bytes()).is_ok() {}
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
        let said = parity_run(&["staging/login", "--legacy", &engine.url(), "--engine", &url, "--without-register"]);
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
        let said = parity_run(&["staging/login", "--legacy", &engine.url(), "--engine", &url, "--without-register"]);
        assert_eq!(said.code, 1, "{}", said.text);
        assert!(said.text.contains(difference), "{difference}: {}", said.text);
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
    let said = run(&format!("{{ fingerprint = \"{}\" }}", "ab".repeat(32)));
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(said.text.contains("TLS with https://localhost"), "{}", said.text);
}
