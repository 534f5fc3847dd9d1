//! What the server shows of itself to those who run it: the access log, the log as JSON, and metrics.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use crate::{
    command_line::program::run,
    testkit::{
        agents::{system, two_devices, work},
        http,
        process::{program, start},
        server::Server,
        socket::Client,
    },
};

/// What `/metrics` says.
async fn metrics(address: SocketAddr) -> String {
    let answer = http::client()
        .get(format!("http://{address}/metrics"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    answer.text().await.unwrap()
}

/// The value of one series.
fn value(metrics: &str, series: &str) -> f64 {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {series} in\n{metrics}"))
        .parse()
        .unwrap()
}

fn lines(root: &Path) -> Vec<Value> {
    fs::read_to_string(root.join("Logs/Server/access.log"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn each_request_is_one_line_of_the_access_log_and_none_holds_a_secret() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::with(&[("BOREALIS_ACCESS_LOG", "on")])
        .over(root.path())
        .await;
    let cookies = server.log_in().await;
    let from = ("x-forwarded-for", "192.0.2.7");
    let operator = [("cookie", cookies.as_str()), from];
    for (method, path, headers) in [
        ("GET", "/health", &[][..]),
        ("GET", "/api/search/suggest?field=hostname&q=s3cr3t", &operator),
        (
            "GET",
            "/api/devices/00000000-0000-4000-8000-000000000009?token=s3cr3t",
            &operator,
        ),
        ("GET", "/nowhere", &[from]),
        ("POST", "/api/none", &[from]),
        ("brew", "/api/none", &[from]),
        ("GET", &format!("/{}", "a".repeat(9000)), &[from]),
    ] {
        server.ask(method, path, headers, "").await;
    }
    let mut socket = Client::open_at(&server, "&token=s3cr3t", &[]).await;
    socket.frame().await;
    drop(socket);
    server.stop().await;

    let text = fs::read_to_string(root.path().join("Logs/Server/access.log")).unwrap();
    assert!(!text.contains("s3cr3t"), "{text}");
    for cookie in cookies.split("; ") {
        assert!(!text.contains(cookie.split_once('=').unwrap().1), "{text}");
    }
    assert!(!text.contains("Password"), "{text}");
    let lines = lines(root.path());
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            let part = |name: &str| line[name].as_str().unwrap().to_owned();
            let path: String = part("path").chars().take(30).collect();
            format!(
                "{} {path} {} {} {}",
                part("method"),
                part("route"),
                line["status"],
                part("from")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    POST /api/auth/login /api/auth/login 200 127.0.0.1
    GET /health /health 200 127.0.0.1
    GET /api/search/suggest /api/search/suggest 200 192.0.2.7
    GET /api/devices/00000000-0000-400 /api/devices/{guid} 404 192.0.2.7
    GET /nowhere pages 404 192.0.2.7
    POST /api/none none 405 192.0.2.7
    brew /api/none none 405 192.0.2.7
    GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaa none 414 127.0.0.1
    GET /socket.io/ /socket.io/ 101 127.0.0.1
    ");
    let health = &lines[1];
    assert_eq!(health["bytes"], json!("{\"status\":\"ok\"}\n".len()));
    assert!(health["ms"].as_f64().unwrap() > 0.0, "{health}");
    assert!(health["time"].as_str().unwrap().ends_with('Z'), "{health}");
    let longest = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap().chars().count())
        .max();
    assert_eq!(longest, Some(65));
}

#[tokio::test]
async fn an_answer_that_is_streamed_counts_all_its_bytes() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::with(&[("BOREALIS_ACCESS_LOG", "on")])
        .over(root.path())
        .await;
    server.file("Data/Server/web-interface/build/large.js", &"x".repeat(300_000));
    for (method, headers) in [
        ("GET", &[][..]),
        ("GET", &[("range", "bytes=0-9")]),
        ("HEAD", &[]),
    ] {
        server.ask(method, "/large.js", headers, "").await;
    }
    server.stop().await;
    let bytes: Vec<_> = lines(root.path())
        .iter()
        .map(|line| line["bytes"].clone())
        .collect();
    assert_eq!(bytes, [json!(300_000), json!(10), json!(0)]);
}

#[tokio::test]
async fn without_the_setting_there_is_no_access_log_and_there_are_no_metrics() {
    let server = Server::with(&[]).start().await;
    assert_eq!(server.get("/health", &[]).await.0, 200);
    assert_eq!(server.get("/metrics", &[]).await.0, 404);
    assert!(!server.root().join("Logs/Server/access.log").exists());
    server.stop().await;
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own_and_count_what_was_answered() {
    let root = tempfile::tempdir().unwrap();
    let server = start(program(
        root.path(),
        &["serve"],
        &[("BOREALIS_METRICS_ADDR", "127.0.0.1:0")],
    ))
    .serving();
    let (_, address) = server.log.split_once("metrics at http://").unwrap();
    let address: SocketAddr = address.split_once("/metrics").unwrap().0.parse().unwrap();
    let before = metrics(address).await;
    assert_eq!(value(&before, "borealis_runs_ended_total{end=\"Success\"}"), 0.0);
    assert_eq!(
        value(&before, "borealis_log_lines_lost_total{log=\"engine\"}"),
        0.0
    );
    assert_eq!(value(&before, "borealis_sockets{kind=\"anonymous\"}"), 0.0);

    for _ in 0..3 {
        assert_eq!(server.health(), 200);
    }
    let client = http::client();
    let url = format!("http://{}", server.address);
    let login = json!({"username": "admin", "password": "Password"});
    let answer = client
        .post(format!("{url}/api/auth/login"))
        .json(&login)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    // What callers choose makes no series of its own.
    for number in 0..50 {
        let method = format!("M{number}").parse().unwrap();
        for path in ["", "api/devices/", "api/none/", "socket.io/?sid="] {
            client
                .request(reqwest::Method::clone(&method), format!("{url}/{path}{number}"))
                .send()
                .await
                .unwrap();
            client.get(format!("{url}/{path}{number}")).send().await.unwrap();
        }
    }
    let mut socket = Client::join_new(server.address, &[]).await;
    socket.nothing_came().await;

    let after = metrics(address).await;
    let health = "method=\"GET\",route=\"/health\"";
    for (series, expected) in [
        (
            format!("borealis_http_requests_total{{{health},status=\"200\"}}"),
            3.0,
        ),
        (
            format!("borealis_http_request_duration_seconds_bucket{{{health},le=\"+Inf\"}}"),
            3.0,
        ),
        (
            format!("borealis_http_request_duration_seconds_count{{{health}}}"),
            3.0,
        ),
        (
            "borealis_http_response_bytes_total{route=\"/health\"}".to_owned(),
            48.0,
        ),
        (
            "borealis_http_requests_total{method=\"POST\",route=\"/api/auth/login\",status=\"200\"}"
                .to_owned(),
            1.0,
        ),
        ("borealis_sockets{kind=\"anonymous\"}".to_owned(), 1.0),
        ("borealis_sockets{kind=\"agent\"}".to_owned(), 0.0),
        ("borealis_sockets{kind=\"operator\"}".to_owned(), 0.0),
        ("borealis_socket_bytes_waiting".to_owned(), 0.0),
        ("borealis_undelivered_work{kind=\"job\"}".to_owned(), 0.0),
        ("borealis_undelivered_work{kind=\"quick_run\"}".to_owned(), 0.0),
        ("borealis_server_playbooks{state=\"waiting\"}".to_owned(), 0.0),
        ("borealis_database_busy_total{access=\"write\"}".to_owned(), 0.0),
        ("borealis_database_waiting{access=\"write\"}".to_owned(), 0.0),
    ] {
        assert_eq!(value(&after, &series), expected, "{series}");
    }
    // Of the process itself, under the names that every Prometheus client gives them.
    for series in [
        "resident_memory_bytes",
        "open_fds",
        "max_fds",
        "start_time_seconds",
    ] {
        assert!(value(&after, &format!("process_{series}")) > 0.0, "{series}");
    }
    for access in ["read", "write"] {
        let series = format!("borealis_database_wait_seconds_count{{access=\"{access}\"}}");
        assert!(value(&after, &series) >= 1.0, "{series}");
    }
    let routes: BTreeSet<_> = after
        .lines()
        .filter(|line| line.starts_with("borealis_http_requests_total"))
        .map(|line| line.split("route=\"").nth(1).unwrap().split('"').next().unwrap())
        .collect();
    assert_eq!(
        routes.into_iter().collect::<Vec<_>>(),
        [
            "/api/auth/login",
            "/api/devices/{guid}",
            "/health",
            "/socket.io/",
            "none",
            "pages"
        ]
    );
    // Nothing but metrics is there, and they are nowhere else.
    for (method, url, status) in [
        ("GET", format!("http://{address}/health"), 404),
        ("GET", format!("http://{address}/api/devices"), 404),
        ("POST", format!("http://{address}/metrics"), 405),
        ("GET", format!("{url}/metrics"), 404),
    ] {
        let answer = client
            .request(method.parse().unwrap(), &url)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{method} {url}");
    }
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_run_counts_by_how_it_ended() {
    let setup = Server::with(&[("BOREALIS_METRICS_ADDR", "127.0.0.1:0")]);
    let server = setup
        .file("Assemblies/Scripts/hello.ps1", "Write-Output hello\n")
        .start()
        .await;
    server.sql(two_devices()).await;
    let cookies = server.log_in().await;
    let mut agent = system(&server).await;
    // A word that nobody else in this process says: several servers in one process count together.
    let series = "borealis_runs_ended_total{end=\"other\"}";
    assert_eq!(value(&metrics(server.metrics()).await, series), 0.0);
    let job = json!({"name": "hello", "components": [{"type": "script", "path": "hello.ps1"}], "targets": ["WIN-1"]});
    let (status, made) = server
        .ask(
            "POST",
            "/api/scheduled_jobs",
            &[("cookie", &cookies)],
            &job.to_string(),
        )
        .await;
    assert_eq!(status, 200, "{made}");
    server.pass_and_settle(std::time::Duration::from_secs(60)).await;
    let (number, _, payload) = work(&mut agent).await;
    agent.send(&format!("43{}[]", number.unwrap())).await;
    let result = json!({"job_id": payload["job_id"], "status": "Sideways", "stdout": "", "stderr": ""});
    agent.call("quick_job_result", result).await;
    let text = metrics(server.metrics()).await;
    assert_eq!(value(&text, series), 1.0);
    assert!(!text.contains("Sideways"), "{text}");
    assert_eq!(value(&text, "borealis_sockets{kind=\"agent\"}"), 1.0);
    server.stop().await;
}

#[test]
fn the_terminal_gets_json_where_that_is_asked_for_and_the_file_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let ran = run(
        root.path(),
        &["migrate"],
        &[("BOREALIS_LOG_FORMAT", "json"), ("BOREALIS_PROT", "1")],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<Value> = ran
        .errors
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(lines.len() >= 3, "{}", ran.errors);
    assert_eq!(lines[0]["level"], "warn");
    assert!(
        lines[0]["message"]
            .as_str()
            .unwrap()
            .contains("is BOREALIS_PORT meant?"),
        "{}",
        lines[0]
    );
    assert!(lines[0]["time"].as_str().unwrap().ends_with('Z'));
    let last = lines.last().unwrap();
    assert_eq!(
        (last["level"].as_str(), last["message"].as_str()),
        (Some("info"), Some("migrations-complete"))
    );
    let file = fs::read_to_string(root.path().join("Logs/Server/engine.log")).unwrap();
    assert!(file.ends_with("-engine-migrations-complete\n"), "{file}");
}

#[test]
fn what_shows_the_server_is_looked_at_before_a_start() {
    let root = tempfile::tempdir().unwrap();
    let check = |name: &str, value: &str| run(root.path(), &["check"], &[(name, value)]);
    for (name, value) in [
        ("BOREALIS_LOG_FORMAT", "xml"),
        ("BOREALIS_ACCESS_LOG", "maybe"),
        ("BOREALIS_METRICS_ADDR", "9464"),
        ("BOREALIS_METRICS_ADDR", "localhost:9464"),
    ] {
        let told = check(name, value);
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.line("problem", "variables").contains(name), "{told:?}");
    }
    let told = check("BOREALIS_METRICS_ADDR", "0.0.0.0:0");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.line("warning", "metrics").contains("BOREALIS_METRICS_ADDR"),
        "{told:?}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = check("BOREALIS_METRICS_ADDR", &address);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.line("problem", "metrics").contains(&address), "{told:?}");
    let serve = run(root.path(), &["serve"], &[("BOREALIS_METRICS_ADDR", &address)]);
    assert_eq!(serve.code, Some(1), "{serve:?}");
    assert!(serve.errors.contains("metrics"), "{serve:?}");
    // Without a web client in it a folder is none.
    fs::create_dir_all(root.path().join("Data/Server/web-interface/build")).unwrap();
    let told = run(root.path(), &["check"], &[]);
    assert!(
        told.line("warning", "web client").contains("holds no index.html"),
        "{told:?}"
    );
}
