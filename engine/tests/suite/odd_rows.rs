//! Rows that no server wrote as they are: what somebody put into the file by hand, and what older tables allow. One of them
//! costs nobody the others.

use reqwest::Method;
use serde_json::{Value, json};

use crate::testkit::{GUID, browser::Browser, rows::WIN_1, server::Server};

async fn start(rows: &str) -> (Server, Browser) {
    let server = Server::start("legacy", rows).await;
    let admin = server.admin().await;
    (server, admin)
}

/// The row of the list under `list` whose member `by` is `name`.
fn named<'a>(body: &'a Value, list: &str, by: &str, name: &str) -> &'a Value {
    let rows = body[list].as_array().unwrap();
    rows.iter().find(|row| row[by] == name).unwrap()
}

#[tokio::test]
async fn times_of_an_account_are_shown_as_they_stand() {
    let (server, admin) = start("").await;
    admin.create("bob", "User").await;
    server
        .sql("UPDATE users SET last_login = 1.5, created_at = 'yesterday', updated_at = NULL WHERE username = 'bob'")
        .await;
    let (status, body) = admin.get("/api/users").await;
    assert_eq!(status, 200, "{body}");
    let bob = named(&body, "users", "username", "bob");
    assert_eq!(
        (&bob["last_login"], &bob["created_at"], &bob["updated_at"]),
        (&json!(1.5), &json!("yesterday"), &json!(0))
    );
    let (status, body) = server.browser().login("bob", "pw").await;
    assert_eq!(status, 200, "{body}");
    server.stop().await;
}

#[tokio::test]
async fn what_an_older_table_of_accounts_leaves_out_has_its_usual_meaning() {
    let (server, admin) = start("").await;
    server
        .sql(
            "CREATE TABLE older (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE, display_name TEXT, \
             password_sha512 TEXT, role TEXT, last_login INTEGER, created_at INTEGER, updated_at INTEGER, \
             mfa_enabled INTEGER, mfa_secret TEXT); \
             INSERT INTO older SELECT * FROM users; \
             INSERT INTO older (username, password_sha512) SELECT 'carol', password_sha512 FROM users; \
             INSERT INTO older (username) VALUES ('dave'); \
             DROP TABLE users; ALTER TABLE older RENAME TO users",
        )
        .await;
    let (status, body) = admin.get("/api/users").await;
    assert_eq!(status, 200, "{body}");
    let carol = named(&body, "users", "username", "carol");
    assert_eq!(
        (&carol["role"], &carol["mfa_enabled"]),
        (&json!("User"), &json!(0))
    );
    let (status, body) = server.browser().login("carol", "Password").await;
    assert_eq!((status, &body["role"]), (200, &json!("User")), "{body}");
    assert_eq!(server.browser().login("dave", "Password").await.0, 401);
    server.stop().await;
}

#[tokio::test]
async fn an_odd_number_empties_no_list_of_credentials() {
    let (server, admin) = start(
        "PRAGMA foreign_keys = OFF; INSERT INTO credentials (id, name, created_at, updated_at, site_id) \
         VALUES (1, 'odd', 1.5, 'soon', 2.5), (2, 'even', 7, 7, NULL)",
    )
    .await;
    let (status, body) = admin.get("/api/credentials").await;
    assert_eq!(status, 200, "{body}");
    let odd = named(&body, "credentials", "name", "odd");
    assert_eq!(
        (&odd["created_at"], &odd["updated_at"], &odd["site_id"]),
        (&json!(1), &json!(0), &json!(2.5))
    );
    assert_eq!(named(&body, "credentials", "name", "even")["created_at"], 7);
    assert_eq!(admin.get("/api/credentials/1").await.0, 200);
    for (method, body) in [
        (Method::PUT, json!({"description": "d"})),
        (Method::DELETE, Value::Null),
    ] {
        let answer = admin.send(method, "/api/credentials/1", body).await;
        assert_eq!(answer.status_and_json().0, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn numbers_of_a_device_are_read_as_python_reads_them() {
    let (server, admin) = start(&String::from(WIN_1)).await;
    for (stored, uptime) in [
        ("'1_0'", json!(10)),
        ("'\u{ff11}\u{ff12}'", json!(12)),
        ("'abc'", json!(0)),
        ("2.9", json!(2)),
        ("9e999", json!(0)),
        ("x'3132'", json!(12)),
    ] {
        server
            .sql(format!("UPDATE devices SET uptime = {stored}, last_seen = 9e999"))
            .await;
        let (status, body) = admin.get("/api/devices").await;
        assert_eq!(status, 200, "{stored}: {body}");
        let device = named(&body, "devices", "hostname", "WIN-1");
        assert_eq!(device["uptime"], uptime, "{stored}");
        assert_eq!(
            (&device["last_seen"], &device["status"]),
            (&json!(0), &json!("Offline"))
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn bytes_in_a_device_spoil_no_list() {
    let (server, admin) = start(&String::from(WIN_1)).await;
    server
        .sql(
            "INSERT INTO devices (guid, hostname, description, domain, memory, software) \
             VALUES ('odd', 'ODD', x'6f6464', x'4c4142', x'5b315d', x'ff')",
        )
        .await;
    let (status, body) = admin.get("/api/devices").await;
    assert_eq!(status, 200, "{body}");
    let odd = named(&body, "devices", "hostname", "ODD");
    assert_eq!(
        (
            &odd["description"],
            &odd["domain"],
            &odd["memory"],
            &odd["software"]
        ),
        (&json!("b'odd'"), &json!("b'LAB'"), &json!([1]), &json!([]))
    );
    assert_eq!(admin.get(&format!("/api/devices/{GUID}")).await.0, 200);
    let (status, body) = admin.get("/api/search/suggest?q=odd").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["devices"][0]["description"], "b'odd'", "{body}");
    server.stop().await;
}

#[tokio::test]
async fn times_of_sites_and_views_are_shown_as_they_stand() {
    let (server, admin) = start(
        "INSERT INTO sites (name, created_at) VALUES ('s', 1.5); \
         INSERT INTO device_list_views (name, columns_json, created_at, updated_at) VALUES ('v', '[]', 'abc', 1.5)",
    )
    .await;
    let (_, body) = admin.get("/api/sites").await;
    assert_eq!(body["sites"][0]["created_at"], 1.5, "{body}");
    let (_, body) = admin.get("/api/device_list_views").await;
    let view = &body["views"][0];
    assert_eq!(
        (&view["created_at"], &view["updated_at"]),
        (&json!("abc"), &json!(1.5))
    );
    server.stop().await;
}
