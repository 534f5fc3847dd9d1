use std::time::Duration;

use super::*;

/// A server in a few lines, which says on its way what it was started with.
const SERVER: &str = r#"
import http.server, os, signal, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ.get("WHO", "nobody") + " " + os.getcwd()).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
subprocess.Popen(["sleep", "300"])
open(os.path.join(sys.argv[2], "made.txt"), "a").write("x")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

fn settings(script: &str) -> ProcessSettings {
    ProcessSettings {
        command: ["python3", "-c", script, "{port}", "{root}"]
            .map(str::to_owned)
            .to_vec(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        directory: "{root}".into(),
        ready_path: "/".to_owned(),
        ready_within: Duration::from_secs(60),
        stop_signal: Signal::TERM,
        stop_within: Duration::from_secs(60),
        database: "database.db".to_owned(),
        secret: None,
        port: None,
        template: None,
        web: "web".to_owned(),
        tls: None,
        operator: Operator::default(),
        patience: Duration::from_secs(60),
        keep: false,
    }
}

fn scenario() -> Scenario {
    let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nenv: {WHO: \"${root}\"}\nsteps:\n  - get: /\n";
    Scenario::read("a/b", text).unwrap()
}

async fn start(settings: &ProcessSettings) -> Result<Process, TargetError> {
    let scenario = scenario();
    let beginning = Beginning {
        scenario: &scenario,
        files: &[],
        github: "",
    };
    Process::start(settings, beginning).await
}

async fn ask(process: &Process) -> String {
    let request = Outgoing {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let answer = send(process.endpoint().unwrap(), &request).await.unwrap();
    String::from_utf8(answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_a_root_and_a_port_of_its_own_and_nothing_of_it_stays() {
    let settings = settings(SERVER);
    let (mut one, other) = tokio::join!(start(&settings), start(&settings));
    let (one, mut other) = (one.as_mut().unwrap(), other.unwrap());
    assert_ne!(one.port, other.port);
    let root = one.root().unwrap();
    assert_eq!(ask(one).await, format!("{0} {0}", root.display()));
    assert_ne!(ask(one).await, ask(&other).await);

    let before = one.process_id();
    one.restart().await.unwrap();
    assert_ne!(one.process_id(), before);
    assert_eq!(
        std::fs::read_to_string(root.join("made.txt")).unwrap(),
        "xx",
        "it is the same root"
    );

    let group = one.running.as_ref().unwrap().id;
    assert_eq!(one.stop().await, None);
    while rustix::process::test_kill_process_group(group).is_ok() {
        pause().await;
    }
    other.stop().await;
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_kept_stays() {
    let settings = ProcessSettings {
        keep: true,
        ..settings(SERVER)
    };
    let mut process = start(&settings).await.unwrap();
    let kept = process.stop().await.unwrap();
    drop(process);
    assert!(kept.join("made.txt").is_file());
    std::fs::remove_dir_all(kept.parent().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_up_says_why() {
    let failed = |settings: ProcessSettings| async move { start(&settings).await.unwrap_err().to_string() };
    let error = failed(settings("import sys; print('no such key'); sys.exit(3)")).await;
    assert!(
        error.contains("exit status: 3") && error.contains("no such key"),
        "{error}"
    );

    let mut missing = settings("");
    missing.command = vec!["/no/such/program".to_owned(), "{port}".to_owned()];
    let error = failed(missing).await;
    assert!(error.contains("/no/such/program cannot be started"), "{error}");

    let silent = ProcessSettings {
        ready_within: Duration::from_millis(100),
        ..settings("import time; print('thinking', flush=True); time.sleep(300)")
    };
    let error = failed(silent).await;
    assert!(error.contains("/ was not answered with success"), "{error}");

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = ProcessSettings {
        port: Some(listener.local_addr().unwrap().port()),
        ..settings(SERVER)
    };
    let error = failed(taken).await;
    assert!(error.contains("something listens at its port"), "{error}");
}
