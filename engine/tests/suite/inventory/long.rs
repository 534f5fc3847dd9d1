//! Lists that are longer than what is made before its first byte is sent.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;

use crate::testkit::{browser::Browser, server::Server};

/// How long something that must come may take; never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with some devices of all kinds, among them columns that somebody else wrote, and cookies of an operator.
async fn start(devices: &str) -> (Server, String, Browser) {
    let server = Server::start("strict", devices).await;
    let cookies = server.log_in().await;
    let admin = server.admin().await;
    (server, cookies, admin)
}

/// `count` devices with some eighty kilobytes of software each.
fn large_devices(count: u32) -> String {
    format!(
        "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {count}) \
         INSERT INTO devices (guid, hostname, created_at, last_seen, software, connection_type) \
         SELECT printf('00000000-0000-4000-8000-%012X', number), 'LARGE-' || number, 7, 5, \
         '[' || replace(hex(zeroblob(2000)), '00', '{{\"version\": \"1.0\", \"name\": \"A \\u00e9 ' || number || '\"}}, ') || '0]', \
         CASE number % 3 WHEN 0 THEN 'ssh' WHEN 1 THEN 'WinRM' END FROM numbers;"
    )
}

/// More devices than a page has, and some with odd columns.
const SMALL_DEVICES: &str = "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE \
                             number < 1100) INSERT INTO devices (guid, hostname, memory, network, storage, cpu) \
                             SELECT printf('10000000-0000-4000-8000-%012X', number), 'SMALL-' || number, \
                             CASE number % 5 WHEN 0 THEN '[NaN]' WHEN 1 THEN '{}' WHEN 2 THEN '[\"\u{e9}\"]' END, \
                             CASE number % 7 WHEN 0 THEN '{oops' WHEN 1 THEN '[{\"a\": 1, \"a\": 2}]' END, \
                             '[1.50, -0, 1E2, {\"z\": 1, \"a b\": {}, \"a\": []}]', '{\"b\": 1, \"a\": null}' \
                             FROM numbers;";

fn request(server: &Server, method: Method, path: &str, cookies: &str) -> reqwest::RequestBuilder {
    server.request(method, path).header("cookie", cookies)
}

/// The lists that a kind of devices is in, and the condition for it.
const LISTS: [(&str, &str); 4] = [
    ("/api/devices", "1"),
    ("/api/agent_devices", "connection_type IS NULL"),
    ("/api/ssh_devices", "connection_type = 'ssh'"),
    ("/api/winrm_devices", "connection_type = 'WinRM'"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_says_of_each_device_what_is_said_of_it_alone() {
    let (server, cookies, _) = start(&format!("{}{SMALL_DEVICES}", large_devices(60))).await;
    let mut alone = std::collections::HashMap::new();
    let mut database = server.database().await;
    let guids: Vec<String> = sqlx::query_scalar("SELECT guid FROM devices")
        .fetch_all(&mut database)
        .await
        .unwrap();
    for guid in guids {
        let one = request(&server, Method::GET, &format!("/api/devices/{guid}"), &cookies);
        let one = one.send().await.unwrap().text().await.unwrap();
        alone.insert(guid, one.strip_suffix('\n').unwrap().to_owned());
    }
    for (list, condition) in LISTS {
        let query = format!("SELECT guid FROM devices WHERE {condition} ORDER BY rowid");
        let guids: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut database)
            .await
            .unwrap();
        let items: Vec<&str> = guids.iter().map(|guid| alone[guid].as_str()).collect();
        let answer = request(&server, Method::GET, list, &cookies)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{list}");
        assert_eq!(answer.headers().get("content-length"), None, "{list}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let text = answer.text().await.unwrap();
        assert!(
            text == format!("{{\"devices\":[{}]}}\n", items.join(",")),
            "{list}: {} bytes",
            text.len()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_short_list_says_its_length() {
    let (server, cookies, _) = start(&large_devices(3)).await;
    for method in [Method::GET, Method::HEAD] {
        let answer = request(&server, method.clone(), "/api/devices", &cookies);
        let answer = answer.send().await.unwrap();
        let length = answer.headers()["content-length"].to_str().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        if method == Method::GET {
            assert_eq!(length, text.len().to_string());
        } else {
            assert!(text.is_empty());
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn head_tells_of_a_long_list_what_get_tells() {
    let (server, cookies, _) = start(&large_devices(20)).await;
    let mut both = Vec::new();
    for method in [Method::GET, Method::HEAD] {
        let answer = request(&server, method, "/api/devices", &cookies)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let mut headers = answer.headers().clone();
        headers.remove("date");
        both.push(headers);
    }
    // How a body is framed is nothing that an answer without one says (RFC 9110, 9.3.2).
    assert_eq!(both[0].remove("transfer-encoding").unwrap(), "chunked");
    assert_eq!(both[0], both[1]);
    assert_eq!(both[0].get("content-length"), None);
    server.stop().await;
}

/// Asks for a list that is longer than what waits in sockets, takes the first piece of it, and then nothing more. Once it
/// is known that the server waits for the client, gives the answer.
async fn stop_reading(server: &Server, cookies: &str) -> Response {
    let mut answer = request(server, Method::GET, "/api/devices", cookies)
        .send()
        .await
        .unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    answer
}

/// Whether the journal can be emptied, which nobody lets happen who reads from the database.
async fn is_left_alone(server: &Server) -> bool {
    let row: (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut server.database().await)
        .await
        .unwrap();
    row.0 == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_holds_nothing_of_the_database() {
    let (server, cookies, admin) = start(&large_devices(150)).await;
    let mut stopped = Vec::new();
    for _ in 0..5 {
        stopped.push(stop_reading(&server, &cookies).await);
    }
    // More of them than the database has readers, and everybody else reads and writes.
    for number in 0..3 {
        let site = serde_json::json!({"name": format!("Site {number}")});
        assert_eq!(admin.send(Method::POST, "/api/sites", site).await.status, 200);
        assert_eq!(
            admin.send(Method::GET, "/api/sites", Value::Null).await.status,
            200
        );
    }
    let until_left = async {
        while !is_left_alone(&server).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, until_left)
        .await
        .expect("the journal can be emptied");
    // And whoever reads on gets all of it.
    for answer in stopped {
        let rest = answer.bytes().await.unwrap();
        assert!(rest.ends_with(b"]}\n"));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_in_the_middle_of_a_list_cuts_it_off() {
    let (server, cookies, admin) = start(&large_devices(150)).await;
    let answer = stop_reading(&server, &cookies).await;
    server.sql("ALTER TABLE device_sites RENAME TO gone;").await;
    // A client that looks at what it takes knows that it is not the whole.
    answer.bytes().await.unwrap_err();
    let whole = admin.send(Method::GET, "/api/devices", Value::Null).await;
    assert_eq!(whole.status, 500);
    assert!(whole.body.starts_with("{\"error\":"), "{}", whole.body);
    server.stop().await;
}
