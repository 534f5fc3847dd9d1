//! The command itself: what it writes, what it refuses, and how it ends.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use parity::{
    scenario::model::Scenario,
    target::{Beginning, Target as _, embedded::Embedded},
};
use tempfile::TempDir;

fn parity(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parity"));
    command.current_dir(folder);
    command
}

/// A folder with an empty register.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("scenarios")).unwrap();
    std::fs::write(folder.path().join("scenarios/divergences.toml"), "format = 2\n").unwrap();
    folder
}

/// The command, once it listens, and where.
fn recording(folder: &Path, upstream: &str, more: &[&str]) -> (Child, SocketAddr) {
    let mut child = parity(folder)
        .args(["record", "--listen", "127.0.0.1:0", "--upstream", upstream])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split(',').next()?.parse().ok());
    (child, address.unwrap_or_else(|| panic!("{line}")))
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Ends it as a service manager does.
fn end(child: Child) -> Output {
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    texts.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_has_recorded_is_replayed_at_once() {
    let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n  - get: /health\n";
    let scenario = Scenario::read("a/b", text).unwrap();
    let mut engine = Embedded::start(Beginning {
        scenario: &scenario,
        files: &[],
        github: "http://127.0.0.1:9",
    })
    .await
    .unwrap();
    let folder = folder();
    let upstream = format!("http://{}", engine.endpoint().unwrap().address().unwrap());
    let (child, address) = recording(folder.path(), &upstream, &["--out", "platform/recorded"]);
    let body = r#"{"username": "admin", "password": "Password"}"#;
    let login = format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || {
        ask(
            address,
            "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        );
        ask(address, &login)
    });
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 200"));
    let ended = end(child);
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert!(said(&ended).contains("2 steps"), "{}", said(&ended));
    let written = std::fs::read_to_string(folder.path().join("scenarios/platform/recorded.yaml")).unwrap();
    assert!(
        written.contains("  - as: admin\n    post: /api/auth/login\n"),
        "{written}"
    );
    let run = parity(folder.path())
        .args(["run", "platform/recorded"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}\n{written}", said(&run));
    // What is there is not written over by a slip.
    let again = parity(folder.path())
        .args([
            "record",
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            &upstream,
            "--out",
            "platform/recorded",
        ])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("is there already"), "{}", said(&again));
    engine.stop().await;
}

#[test]
fn bad_input_is_told_and_writes_nothing() {
    let folder = folder();
    std::fs::write(folder.path().join("no.key"), "no key").unwrap();
    let usual = [
        "--listen",
        "127.0.0.1:0",
        "--out",
        "a/b",
        "--upstream",
        "http://127.0.0.1:1",
    ];
    let refused = |place: usize, value: &str, more: &[&str]| {
        let mut arguments = usual;
        arguments[place] = value;
        let output = parity(folder.path())
            .arg("record")
            .args(arguments)
            .args(more)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        said(&output)
    };
    assert!(refused(3, "../b", &[]).contains("is no <area>/<name>"));
    assert!(refused(5, "127.0.0.1:1", &[]).contains("is no URL of a server"));
    assert!(refused(5, "http://127.0.0.1:1", &["--agent-key", "no.key"]).contains("no Ed25519 key"));
    assert!(refused(5, "http://127.0.0.1:1", &["--agent-key", "none"]).contains("--agent-key none:"));
    assert!(refused(5, "http://127.0.0.1:1", &["--env", "X"]).contains("is no NAME=VALUE"));
    assert!(refused(5, "https://127.0.0.1:1", &["--ca", "none.pem"]).contains("none.pem"));
    assert!(refused(1, "192.0.2.1:1", &[]).contains("cannot listen at"));
    // Nobody asks anything.
    assert!(refused(1, "127.0.0.1:0", &["--for", "1ms"]).contains("nothing to write"));
    assert_eq!(
        std::fs::read_dir(folder.path().join("scenarios"))
            .unwrap()
            .count(),
        1
    );
}
