//! Who did what stands in the audit log.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use super::program::{migrated, program, run, run_with_input};
use crate::testkit::{http::json_of, process::start};

const SECRETS: [(&str, &str); 1] = [("BOREALIS_SECRET", "a secret of sixteen letters")];

/// The entries so far, each without its time.
fn entries(root: &Path) -> Vec<Value> {
    fs::read_to_string(root.join("Logs/Server/audit.log"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            let time = entry.as_object_mut().unwrap().remove("time").unwrap();
            time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            entry
        })
        .collect()
}

#[tokio::test]
async fn each_change_is_one_line_with_who_from_where_and_what() {
    let root = tempfile::tempdir().unwrap();
    let server = start(program(root.path(), &["serve"], &SECRETS)).serving();
    let client = crate::testkit::http::client();
    let url = |path: &str| format!("http://{}{path}", server.address);
    let login = async |from: &str| {
        let answer = json_of(
            client
                .post(url("/api/auth/login"))
                .header("X-Forwarded-For", from)
                .json(&json!({"username": "admin", "password": "Password"})),
        )
        .await;
        answer["token"].as_str().unwrap().to_owned()
    };
    // What a client claims about itself stands left of what the proxy has seen.
    let token = login("198.51.100.1, 192.0.2.7").await;
    login("2001:db8::7").await;
    login("2001:db8::7").await;
    let send = async |method: Method, path: &str, body: Value| {
        client
            .request(method, url(path))
            .bearer_auth(&token)
            .header("X-Forwarded-For", "192.0.2.7")
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let uma = json!({"username": "uma", "role": "User", "password_sha512": "e".repeat(128)});
    assert_eq!(send(Method::POST, "/api/users", uma.clone()).await.status(), 200);
    assert_eq!(send(Method::POST, "/api/users", uma).await.status(), 409);
    let code: Value = send(
        Method::POST,
        "/api/admin/enrollment-codes",
        json!({"ttl_hours": 1}),
    )
    .await
    .json()
    .await
    .unwrap();
    let credential = json!({"name": "c", "credential_type": "domain", "connection_type": "winrm", "username": "u", "password": "hunter22"});
    let made: Value = send(Method::POST, "/api/credentials", credential)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        send(Method::DELETE, "/api/users/uma", json!({})).await.status(),
        200
    );
    for (path, body) in [
        ("/api/sites", json!({"name": "Berlin"})),
        (
            "/api/ssh_devices",
            json!({"hostname": "srv-1", "address": "192.0.2.9"}),
        ),
        ("/api/device/description/srv-1", json!({"description": "rack"})),
        (
            "/api/sites/assign",
            json!({"site_id": 1, "hostnames": ["srv-1", "srv-2"]}),
        ),
        ("/api/device_list_views", json!({"name": "Servers"})),
        ("/api/sites/delete", json!({"ids": [1, 2]})),
    ] {
        let status = send(Method::POST, path, body).await.status();
        assert!(status.is_success(), "{path}: {status}");
    }
    // Who is nobody changes nothing, and reading changes nothing.
    let nobody = client.delete(url("/api/users/admin")).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    assert_eq!(send(Method::GET, "/api/users", json!({})).await.status(), 200);
    let by_hand = run_with_input(
        root.path(),
        &["users", "create", "ann", "--password-stdin"],
        "a password\n",
    );
    assert_eq!(by_hand.code, Some(0), "{by_hand:?}");

    let entry = |by: &str, who: Value, from: Value, what: &str, id: &str| json!({"by": by, "who": who, "from": from, "what": what, "id": id});
    let admin = |from: &str, what: &str, id: &str| entry("operator", json!("admin"), json!(from), what, id);
    let found = entries(root.path());
    let mut found = found.iter();
    for expected in [
        entry(
            "server",
            Value::Null,
            json!("console"),
            "account.made_admin",
            "admin",
        ),
        admin("192.0.2.7", "session.begun", "admin"),
        // However alike.
        admin("2001:db8::7", "session.begun", "admin"),
        admin("2001:db8::7", "session.begun", "admin"),
        admin("192.0.2.7", "account.created", "uma"),
        admin("192.0.2.7", "install_code.created", code["id"].as_str().unwrap()),
        admin(
            "192.0.2.7",
            "credential.created",
            &made["credential"]["id"].to_string(),
        ),
        admin("192.0.2.7", "account.deleted", "uma"),
        admin("192.0.2.7", "site.created", "1"),
        admin("192.0.2.7", "remote_device.created", "srv-1"),
        admin("192.0.2.7", "device.described", "srv-1"),
        admin("192.0.2.7", "site.assigned", "1 srv-1"),
        admin("192.0.2.7", "site.assigned", "1 srv-2"),
        admin("192.0.2.7", "device_view.created", "1"),
        admin("192.0.2.7", "site.deleted", "1"),
    ] {
        assert_eq!(found.next(), Some(&expected));
    }
    let by_hand = found.next().unwrap();
    assert_eq!(
        [&by_hand["by"], &by_hand["from"], &by_hand["what"], &by_hand["id"]],
        ["console", "console", "account.created", "ann"]
    );
    assert_eq!(found.next(), None);
    let text = fs::read_to_string(root.path().join("Logs/Server/audit.log")).unwrap();
    for secret in ["hunter22", "a password", code["code"].as_str().unwrap(), &token] {
        assert!(!text.contains(secret), "{secret}");
    }
    let log = fs::read_to_string(root.path().join("Logs/Server/engine.log")).unwrap();
    assert!(
        !log.contains("install_code.created"),
        "it is no other log's business"
    );
}

#[test]
fn check_says_which_log_cannot_be_written() {
    let root = migrated();
    let written = [("BOREALIS_ACCESS_LOG", "on")];
    let check = run(root.path(), &["check"], &written);
    for subject in ["log", "audit log", "access log"] {
        check.line("ok", subject);
    }
    for (name, subject) in [("audit.log", "audit log"), ("access.log", "access log")] {
        fs::create_dir_all(root.path().join("Logs/Server").join(name)).unwrap();
        let check = run(root.path(), &["check"], &written);
        let line = check.line("warning", subject);
        assert!(
            line.contains(name) && line.contains("cannot be written"),
            "{line}"
        );
    }
}
