//! A write that fails is answered as a failure, leaves nothing behind, and the next one works: on every kind of route
//! that writes.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use borealis_engine::{Settings, domain::digest::sha256_hex};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::testkit::{
    GUID,
    process::{self, ServerProcess, program},
    rows::{WIN_1, refresh_token},
    server::{Server, start},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the routes below need.
const ROWS: &str = "
    INSERT INTO users (username, display_name, password_sha512, role) VALUES ('bob', 'Bob', '00', 'User');
    INSERT INTO credentials (id, name, connection_type, created_at, updated_at) VALUES (1, 'c', 'ssh', 1, 1);
    INSERT INTO enrollment_install_codes (id, code, expires_at, max_uses) VALUES ('free', 'F', '2030-01-01T00:00:00+00:00', 1);
    INSERT INTO scheduled_jobs (id, name, components_json, targets_json, schedule_type, execution_context, enabled)
        VALUES (1, 'j', '[]', '[]', 'once', 'system', 0);
    INSERT INTO scheduled_job_runs (job_id, target_hostname, scheduled_ts, status) VALUES (1, 'WIN-1', 1, 'Success'), (1, 'WIN-1', 2, 'Success');
    INSERT INTO devices (hostname, connection_type, connection_endpoint) VALUES ('winrm-1', 'winrm', 'a');
    INSERT INTO sites (id, name) VALUES (7, 'Kiel');
    INSERT INTO device_sites (device_hostname, site_id) VALUES ('WIN-1', 7);
    INSERT INTO device_list_views (id, name, columns_json) VALUES (7, 'All', '[]');
    INSERT INTO activity_history (id, hostname, status) VALUES (1, 'WIN-1', 'Running');
    INSERT INTO device_approvals (id, approval_reference, hostname_claimed, ssl_key_fingerprint_claimed,
        enrollment_code_id, status, client_nonce, server_nonce, agent_pubkey_der, created_at, updated_at)
        VALUES ('wait', 'r', 'NEW', 'cd', 'free', 'pending', 'bm9uY2Vub25jZW5vbmNl', 'bm9uY2Vub25jZW5vbmNl', x'00',
        '2027-01-15T08:00:00+00:00', '2027-01-15T08:00:00+00:00');";

/// Every kind of route that writes: method, path, body.
fn writes() -> Vec<(Method, &'static str, Value)> {
    let script = json!({"script_path": "Scripts/hello.ps1", "hostnames": ["WIN-1"]});
    let job =
        json!({"name": "n", "components": [{"type": "script", "path": "hello.ps1"}], "targets": ["WIN-1"]});
    vec![
        (Method::POST, "/api/agent/heartbeat", json!({"hostname": "WIN-1"})),
        (
            Method::POST,
            "/api/agent/details",
            json!({"hostname": "WIN-1", "details": {"summary": {"hostname": "WIN-1"}}}),
        ),
        (
            Method::POST,
            "/api/agent/hash",
            json!({"agent_hash": "h", "agent_id": "WIN-1_SYSTEM"}),
        ),
        (
            Method::POST,
            "/api/agent/checkin",
            json!({"agent_id": format!("WIN-1_{GUID}_SYSTEM"), "hostname": "WIN-1"}),
        ),
        (
            Method::POST,
            "/api/agent/service-account/rotate",
            json!({"agent_id": format!("WIN-1_{GUID}_SYSTEM")}),
        ),
        (
            Method::POST,
            "/api/agent/token/refresh",
            json!({"guid": GUID, "refresh_token": "good"}),
        ),
        (
            Method::POST,
            "/api/ansible/recap/report",
            json!({"run_id": "r1", "hostname": "WIN-1", "status": "Running"}),
        ),
        (
            Method::POST,
            "/api/users",
            json!({"username": "eve", "password_sha512": "0".repeat(128)}),
        ),
        (Method::POST, "/api/users/bob/role", json!({"role": "Admin"})),
        (Method::POST, "/api/users/bob/mfa", json!({"enabled": true})),
        (
            Method::POST,
            "/api/users/bob/reset_password",
            json!({"password_sha512": "1".repeat(128)}),
        ),
        (Method::DELETE, "/api/users/bob", Value::Null),
        (
            Method::POST,
            "/api/credentials",
            json!({"name": "d", "connection_type": "ssh", "password": "p"}),
        ),
        (Method::PUT, "/api/credentials/1", json!({"name": "e"})),
        (Method::DELETE, "/api/credentials/1", Value::Null),
        (
            Method::POST,
            "/api/admin/enrollment-codes",
            json!({"ttl_hours": 1}),
        ),
        (Method::DELETE, "/api/admin/enrollment-codes/free", Value::Null),
        (Method::POST, "/api/admin/device-approvals/wait/deny", json!({})),
        (
            Method::POST,
            "/api/admin/device-approvals/wait/approve",
            json!({}),
        ),
        (Method::POST, "/api/scheduled_jobs", job),
        (Method::PUT, "/api/scheduled_jobs/1", json!({"name": "o"})),
        (
            Method::POST,
            "/api/scheduled_jobs/1/toggle",
            json!({"enabled": true}),
        ),
        (Method::DELETE, "/api/scheduled_jobs/1/runs", Value::Null),
        (Method::DELETE, "/api/scheduled_jobs/1", Value::Null),
        (Method::POST, "/api/scripts/quick_run", script),
        (
            Method::POST,
            "/api/device/description/WIN-1",
            json!({"description": "d"}),
        ),
        (
            Method::POST,
            "/api/ssh_devices",
            json!({"hostname": "ssh-2", "address": "a"}),
        ),
        (Method::PUT, "/api/winrm_devices/winrm-1", json!({"address": "b"})),
        (Method::DELETE, "/api/winrm_devices/winrm-1", Value::Null),
        (Method::POST, "/api/sites", json!({"name": "Berlin"})),
        (
            Method::POST,
            "/api/sites/rename",
            json!({"id": 7, "new_name": "Bonn"}),
        ),
        (
            Method::POST,
            "/api/sites/assign",
            json!({"site_id": 7, "hostnames": ["WIN-1", "WIN-2"]}),
        ),
        (Method::POST, "/api/sites/delete", json!({"ids": [7]})),
        (Method::POST, "/api/device_list_views", json!({"name": "Servers"})),
        (
            Method::PUT,
            "/api/device_list_views/7",
            json!({"columns": ["os"]}),
        ),
        (Method::DELETE, "/api/device_list_views/7", Value::Null),
        (Method::DELETE, "/api/device/activity/WIN-1", Value::Null),
    ]
}

/// A server with rows for every route above, and those who call them.
struct Routes {
    server: Server,
    /// The operator's, who is logged in.
    client: Client,
    /// The device's header.
    bearer: String,
}

impl Routes {
    async fn start(deadline: fn(&mut Settings)) -> Self {
        let setup = Server::with(&[]).adjust(deadline);
        let server = setup
            .file("Assemblies/Scripts/hello.ps1", "Write-Output hello")
            .start()
            .await;
        let token = refresh_token(GUID, &sha256_hex(b"good"));
        server
            .sql(format!("{} {ROWS} {token}", String::from(WIN_1)))
            .await;
        let bearer = server.bearer(&WIN_1);
        let client = server.admin().await.client;
        Self {
            server,
            client,
            bearer,
        }
    }

    async fn tables(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .fetch_all(&mut self.server.database().await)
            .await
            .unwrap()
    }

    /// Every row of every table.
    async fn content(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let mut database = self.server.database().await;
        for table in self.tables().await {
            let found = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table} ORDER BY 1")))
                .fetch_all(&mut database)
                .await
                .unwrap();
            for row in found {
                let values: Vec<_> = (0..row.len())
                    .map(|column| {
                        row.try_get_unchecked::<Option<Vec<u8>>, _>(column)
                            .unwrap()
                            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    })
                    .collect();
                rows.push(format!("{table} {values:?}"));
            }
        }
        rows
    }

    async fn ask(&self, method: &Method, path: &str, body: &Value) -> (u16, String) {
        let mut request = self
            .client
            .request(method.clone(), self.server.url(path))
            .timeout(PATIENCE);
        if path.starts_with("/api/agent/") {
            request = request.header("authorization", &self.bearer);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn heartbeat(&self) -> (u16, String) {
        let body = json!({"hostname": "WIN-1"});
        self.ask(&Method::POST, "/api/agent/heartbeat", &body).await
    }
}

/// As on a full disk: SQLite ends the transaction by itself at the first write.
fn full(tables: &[String]) -> String {
    tables
        .iter()
        .flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|change| (table, change)))
        .map(|(table, change)| {
            format!(
                "CREATE TRIGGER full_{table}_{change} BEFORE {change} ON {table} \
                 BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END; "
            )
        })
        .collect()
}

fn free(tables: &[String]) -> String {
    tables
        .iter()
        .flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|change| (table, change)))
        .map(|(table, change)| format!("DROP TRIGGER full_{table}_{change}; "))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_of_any_route_changes_nothing_and_the_next_write_works() {
    let routes = Routes::start(|_| ()).await;
    let tables = routes.tables().await;
    let (full, free) = (full(&tables), free(&tables));
    for (method, path, body) in writes() {
        let before = routes.content().await;
        routes.server.sql(&full).await;
        let (status, answer) = routes.ask(&method, path, &body).await;
        assert_eq!(status, 500, "{method} {path}: {answer}");
        routes.server.sql(&free).await;
        assert_eq!(routes.content().await, before, "{method} {path}");
        let (status, answer) = routes.heartbeat().await;
        assert_eq!(status, 200, "after {method} {path}: {answer}");
    }
    // And each of them is a write that works, or the above says nothing.
    for (method, path, body) in writes() {
        if path.ends_with("/approve") || body.is_null() {
            continue;
        }
        let (status, answer) = routes.ask(&method, path, &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    }
    routes.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_once_however_many_wait() {
    let routes = Routes::start(|settings| settings.timing.database_deadline = Duration::from_secs(1)).await;
    let mut locking = routes.server.database().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut locking)
        .await
        .unwrap();
    let waiting = async {
        let mut asking = JoinSet::new();
        for _ in 0..40 {
            let request = routes
                .client
                .post(format!("http://{}/api/agent/heartbeat", routes.server.address()))
                .header("authorization", &routes.bearer)
                .json(&json!({"hostname": "WIN-1"}));
            asking.spawn(async move {
                let answer = request.send().await.unwrap();
                let retry_after = answer.headers().get("retry-after").cloned();
                (
                    answer.status().as_u16(),
                    retry_after,
                    answer.text().await.unwrap(),
                )
            });
        }
        asking.join_all().await
    };
    // One after the other they would take 40 seconds.
    let answers = tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
    for (status, retry_after, body) in answers {
        assert_eq!((status, body.as_str()), (503, "{\"error\":\"database_busy\"}\n"));
        assert_eq!(retry_after.unwrap(), "5");
    }
    // Where the route has words of its own for the database's failures, it keeps them.
    let job = json!({"enabled": true});
    let (status, body) = routes
        .ask(&Method::POST, "/api/scheduled_jobs/1/toggle", &job)
        .await;
    assert_eq!(
        (status, body.as_str()),
        (500, "{\"error\": \"database is locked\"}")
    );
    let (status, body) = routes.ask(&Method::GET, "/ready", &Value::Null).await;
    assert_eq!(
        (status, body.as_str()),
        (503, "{\"failed\":[\"store\"],\"status\":\"not_ready\"}\n")
    );
    assert_eq!(routes.ask(&Method::GET, "/health", &Value::Null).await.0, 200);
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    assert_eq!(routes.heartbeat().await.0, 200);
    routes.server.stop().await;
}

#[tokio::test]
async fn a_server_that_can_read_and_write_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let engine = start(folder.path(), &[]).await;
    let url = format!("http://{}/ready", engine.address());
    let answer = crate::testkit::http::client().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "{\"status\":\"ready\"}\n");
    let answer = crate::testkit::http::client().head(&url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
        (200, "")
    );
    engine.stop().await;
}

/// The text of a request.
fn request(routes: &Routes, path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        routes.bearer,
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_carried_through_when_its_client_resets_the_connection() {
    let routes = Routes::start(|settings| settings.timing.database_deadline = PATIENCE).await;
    let cookie = routes.server.log_in().await;
    let mut locking = routes.server.database().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut locking)
        .await
        .unwrap();
    for _ in 0..8 {
        let body = json!({"script_path": "Scripts/hello.ps1", "hostnames": ["WIN-1"]});
        let mut client = TcpStream::connect(routes.server.address()).await.unwrap();
        let text = request(&routes, "/api/scripts/quick_run", &body).replace(
            "Host: a",
            &format!("Host: a\r\nCookie: {cookie}\r\nExpect: 100-continue"),
        );
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        client
            .write_all(format!("{head}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        // From here on the handler waits for the body, so that what is read is the handler's.
        let mut answer = [0; 25];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(body.as_bytes()).await.unwrap();
        until_read(&client).await;
        client.set_zero_linger().unwrap();
        drop(client);
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    drop(locking);
    let mut database = routes.server.database().await;
    let counting = async {
        loop {
            let stored: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM activity_history WHERE id > 1")
                .fetch_one(&mut database)
                .await
                .unwrap();
            if stored == 8 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counting)
        .await
        .expect("runs that were asked for are not there");
    routes.server.stop().await;
}

/// Completes when the server has taken everything that was sent, so that a reset cannot overtake it.
async fn until_read(client: &TcpStream) {
    let port = client.local_addr().unwrap().port();
    let waiting = async {
        loop {
            // Columns: local address, remote address, state, send queue:receive queue.
            let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let unread = sockets.lines().skip(1).any(|line| {
                let columns: Vec<_> = line.split_whitespace().collect();
                let of = |column: usize| columns[column].ends_with(&format!(":{port:04X}"));
                (of(1) || of(2)) && columns[4] != "00000000:00000000"
            });
            if !unread {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_listens_after_its_request_gets_its_answer() {
    let routes = Routes::start(|settings| settings.timing.database_deadline = PATIENCE).await;
    let mut locking = routes.server.database().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut locking)
        .await
        .unwrap();
    let mut client = TcpStream::connect(routes.server.address()).await.unwrap();
    let text = request(&routes, "/api/agent/heartbeat", &json!({"hostname": "WIN-1"}));
    client.write_all(text.as_bytes()).await.unwrap();
    until_read(&client).await;
    client.shutdown().await.unwrap();
    // Meanwhile the server has every occasion to see that nothing more comes.
    for _ in 0..20 {
        assert_eq!(routes.ask(&Method::GET, "/health", &Value::Null).await.0, 200);
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, client.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    routes.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_shrinks_once_a_long_reader_has_gone() {
    let routes = Routes::start(|_| ()).await;
    let mut reader = routes.server.database().await;
    sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM devices")
        .execute(&mut reader)
        .await
        .unwrap();
    let write = async |number: usize, size: usize| {
        let credential = json!({
            "name": format!("c{number}"),
            "connection_type": "ssh",
            "description": "x".repeat(size),
        });
        let (status, answer) = routes.ask(&Method::POST, "/api/credentials", &credential).await;
        assert_eq!(status, 201, "{answer}");
    };
    let journal = || {
        std::fs::metadata(routes.server.root().join("database.db-wal"))
            .unwrap()
            .len()
    };
    let mut written = 0;
    while journal() < 40_000_000 {
        write(written, 2_000_000).await;
        written += 1;
        assert!(written < 100, "the journal does not grow: {}", journal());
    }
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    reader.close().await.unwrap();
    // One write empties it into the database, the next begins it anew.
    for more in 0.. {
        if journal() <= 20_000_000 {
            break;
        }
        assert!(more < 50, "{} bytes stay", journal());
        write(written + more, 1).await;
    }
    routes.server.stop().await;
}

/// The program over `root`, which must not write a file beyond `limit` blocks of 1 KiB.
fn limited(root: &Path, limit: u32) -> ServerProcess {
    let server = program(root, &["serve"], &[]);
    let mut command = Command::new("/bin/bash");
    command
        .args(["-c", "ulimit -S -f \"$1\"; exec \"$0\" serve"])
        .arg(server.get_program())
        .arg(limit.to_string())
        .current_dir(root)
        .env_clear()
        .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    process::start(command).serving()
}

fn lift_the_limit(server: &ServerProcess) {
    let done = Command::new("prlimit")
        .args(["--fsize=unlimited", "--pid", &server.id().to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_met_a_file_size_limit_writes_again_once_it_is_gone() {
    let root = tempfile::tempdir().unwrap();
    // Made without a limit, so that the start below finds everything.
    let made: PathBuf = root.path().to_owned();
    start(&made, &[]).await.stop().await;
    let server = limited(root.path(), 512);
    let base = format!("http://{}", server.address);
    let client = crate::testkit::http::builder()
        .cookie_store(true)
        .build()
        .unwrap();
    let login = client
        .post(format!("{base}/api/auth/login"))
        .json(&json!({"username": "admin", "password": "Password"}));
    assert_eq!(login.send().await.unwrap().status(), 200);
    let mut number = 0;
    let mut create = |size: usize| {
        number += 1;
        client
            .post(format!("{base}/api/credentials"))
            .json(&json!({
                "name": format!("c{number}"),
                "connection_type": "ssh",
                "description": "x".repeat(size),
            }))
            .send()
    };
    // Until not even a small one fits.
    for size in [200_000, 20_000, 1_000] {
        let mut tries = 0;
        while create(size).await.unwrap().status() != 500 {
            tries += 1;
            assert!(tries < 1000, "the limit is not met");
        }
    }
    until_ready_is(&base, 503).await;
    lift_the_limit(&server);
    assert_eq!(create(200_000).await.unwrap().status(), 201);
    until_ready_is(&base, 200).await;
}

async fn until_ready_is(base: &str, status: u16) {
    let waiting = async {
        while crate::testkit::http::client()
            .get(format!("{base}/ready"))
            .send()
            .await
            .unwrap()
            .status()
            != status
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}
