//! `devices`, beside a server that serves the same folder.

use serde_json::{Value, json};

use super::program::{migrated, run, sql};
use crate::testkit::{
    GUID, START,
    server::{start, tokens},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_refuses_a_revoked_device_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let engine = start(root, &[]).await;
    // The digest is that of the refresh token `r`.
    sql(
        root,
        "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, last_seen) VALUES \
         ('3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'WIN-1', 'f1', 1, 1893553445), \
         ('6BA7B810-9DAD-11D1-80B4-00C04FD430C8', 'WIN-2', 'f2', 1, NULL); \
         INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) VALUES \
         ('1', '3f2504e0-4f89-11d3-9a0c-0305e82c3301', \
          '454349e422f05297191ead13e21d3db520e5abef52055e4964b82fb213f593a1', '', ''), \
         ('2', '6BA7B810-9DAD-11D1-80B4-00C04FD430C8', 'x', '', '')",
    )
    .await;
    let token = tokens(root).issue(GUID, "f1", 1, START).unwrap();
    let post = async |path: &str, body: Value| -> (u16, Value) {
        let answer = crate::testkit::http::client()
            .post(format!("http://{}{path}", engine.address()))
            .bearer_auth(&token)
            .json(&body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    let refresh = json!({"guid": GUID.to_lowercase(), "refresh_token": "r"});
    assert_eq!(post("/api/agent/token/refresh", refresh.clone()).await.0, 200);
    assert_eq!(post("/api/agent/heartbeat", json!({})).await.0, 200);

    let revoked = run(root, &["devices", "revoke", "win-1"], &[]).done();
    assert_eq!(revoked, format!("revoked the device {GUID} (WIN-1)\n"));
    assert_eq!(
        post("/api/agent/heartbeat", json!({})).await,
        (403, json!({"error": "device_revoked"}))
    );
    assert_eq!(
        post("/api/agent/token/refresh", refresh).await,
        (401, json!({"error": "refresh_token_revoked"}))
    );
    sql(root, "UPDATE refresh_tokens SET revoked_at = NULL WHERE id = '1'").await;
    let again = run(
        root,
        &[
            "devices",
            "revoke",
            "{3f2504e04f8911d39a0c0305e82c3301}",
            "--json",
        ],
        &[],
    )
    .json();
    assert_eq!(
        again,
        json!({"status": "revoked", "guid": GUID, "hostnames": ["WIN-1"], "was_revoked": true})
    );

    let list = run(root, &["devices", "list", "--json"], &[]).json();
    let states: Vec<_> = list["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| {
            (
                device["hostname"].as_str().unwrap(),
                device["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(states, [("WIN-1", "revoked"), ("WIN-2", "active")]);
    let mut connection = super::program::connect(root).await;
    let ended: Vec<bool> =
        sqlx::query_scalar("SELECT revoked_at IS NOT NULL FROM refresh_tokens ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(ended, [true, false]);
    engine.stop().await;
}

#[tokio::test]
async fn a_device_that_is_not_meant_clearly_is_left_alone() {
    let root = migrated();
    sql(
        root.path(),
        "INSERT INTO devices (guid, hostname) VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'web'), \
         ('6BA7B810-9DAD-11D1-80B4-00C04FD430C8', 'WEB'), (NULL, 'ssh' || char(27))",
    )
    .await;
    let revoke = |device: &str| run(root.path(), &["devices", "revoke", device], &[]).refusal();
    let told = revoke("Web");
    assert!(
        told.contains(&format!(
            "{GUID} (web), 6BA7B810-9DAD-11D1-80B4-00C04FD430C8 (WEB)"
        )),
        "{told}"
    );
    let told = revoke("mail");
    assert!(told.contains("mail") && told.contains("devices list"), "{told}");
    assert!(revoke("ssh\u{1b}").contains("never enrolled"));
    let list = run(root.path(), &["devices", "list"], &[]).done();
    assert!(!list.contains("revoked") && list.contains("ssh\\u{1b}"), "{list}");
}

#[tokio::test]
async fn devices_whose_names_are_one_host_are_listed() {
    let root = migrated();
    sql(
        root.path(),
        "INSERT INTO devices (guid, hostname) VALUES ('A', 'WIN-A'), ('B', 'win-a'), ('C', 'WIN-C')",
    )
    .await;
    let check = run(root.path(), &["check"], &[]);
    assert_eq!(check.code, Some(0), "{}", check.output);
    let line = check.line("warning", "database");
    assert!(line.contains("WIN-A, win-a") && !line.contains("WIN-C"), "{line}");
}
