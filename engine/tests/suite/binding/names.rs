//! Which names a device may take.

use insta::assert_snapshot;
use serde_json::json;

use super::{A, C, all_devices, as_operator, error, server};
use crate::testkit::server::Server;

const IS_WIN_C: &str = "SELECT COUNT(*) FROM devices WHERE hostname = 'WIN-C'";
const SEEN: &str = "SELECT last_seen FROM devices WHERE ssl_key_fingerprint = 'cc'";

#[tokio::test]
async fn no_heartbeat_takes_a_name_that_another_device_has_in_whatever_letter_case() {
    let (server, _) = server().await;
    for name in ["WIN-A", "win-a", " Win-A "] {
        let (status, answer) = C
            .post(&server, "/api/agent/heartbeat", json!({"hostname": name}))
            .await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(server.count(IS_WIN_C).await, 1, "{name}");
    }
    // Its own name may change its letter case.
    C.post(&server, "/api/agent/heartbeat", json!({"hostname": "win-c"}))
        .await;
    assert_eq!(
        server
            .count("SELECT COUNT(*) FROM devices WHERE hostname = 'win-c'")
            .await,
        1
    );
    server.stop().await;
}

#[tokio::test]
async fn a_new_name_is_of_letters_digits_and_a_few_signs() {
    let (server, _) = server().await;
    let long = "x".repeat(254);
    for name in [
        "{{ lookup('pipe','id') }}",
        "a/b",
        "a\nb",
        "\u{202e}nimda",
        "a'b",
        &long,
    ] {
        for (path, body) in [
            ("/api/agent/heartbeat", json!({"hostname": name})),
            ("/api/agent/details", json!({"hostname": name, "details": {}})),
        ] {
            let answer = C.post(&server, path, body).await;
            assert_eq!(answer, (400, error("invalid_hostname")), "{path} {name}");
        }
    }
    assert_eq!(server.count(SEEN).await, 5);
    let (status, _) = C
        .post(
            &server,
            "/api/agent/heartbeat",
            json!({"hostname": "B\u{fc}ro 2.\u{6771}\u{4eac}_x-1"}),
        )
        .await;
    assert_eq!(status, 200);
    assert_eq!(server.count(IS_WIN_C).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_device_that_keeps_its_name_is_never_refused() {
    let (server, _) = server().await;
    server
        .sql("UPDATE devices SET hostname = '{{ odd }}' WHERE ssl_key_fingerprint = 'cc'")
        .await;
    for (path, body) in [
        ("/api/agent/heartbeat", json!({"hostname": "{{ odd }}"})),
        (
            "/api/agent/details",
            json!({"hostname": "{{ odd }}", "details": {"memory": [1]}}),
        ),
    ] {
        let (status, answer) = C.post(&server, path, body).await;
        assert_eq!(status, 200, "{path} {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn details_are_of_the_device_that_sends_them() {
    let (server, _) = server().await;
    let details =
        |hostname: &str| json!({"hostname": hostname, "details": {"summary": {"os": "X"}, "memory": [7]}});
    for name in ["WIN-A", "win-a", "\u{1f}WIN-A"] {
        let answer = C.post(&server, "/api/agent/details", details(name)).await;
        assert_eq!(answer, (403, error("guid_mismatch")), "{name}");
    }
    let count = "SELECT COUNT(*) FROM devices WHERE memory = '[7]'";
    assert_eq!(server.count(count).await, 0);
    // However it spells its own name, there is one row of it.
    let (status, answer) = C.post(&server, "/api/agent/details", details("win-c")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        server
            .count(&*format!("{count} AND hostname = 'WIN-C'").leak())
            .await,
        1
    );
    assert_eq!(server.count("SELECT COUNT(*) FROM devices").await, 4);
    server.stop().await;
}

#[tokio::test]
async fn under_the_policy_legacy_names_are_what_their_letters_are() {
    let server = Server::start("legacy", all_devices()).await;
    for name in ["{{ odd }}", "win-a"] {
        let (status, answer) = C
            .post(&server, "/api/agent/heartbeat", json!({"hostname": name}))
            .await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(
        server
            .count("SELECT COUNT(*) FROM devices WHERE hostname = 'win-a'")
            .await,
        1
    );
    let (status, _) = A
        .post(&server, "/api/agent/heartbeat", json!({"hostname": "WIN-A"}))
        .await;
    assert_eq!(status, 200);
    server.stop().await;
}

const APPROVALS: &str = "INSERT INTO device_approvals (id, approval_reference, hostname_claimed, ssl_key_fingerprint_claimed, \
     enrollment_code_id, status, client_nonce, server_nonce, agent_pubkey_der, created_at, updated_at) VALUES \
     ('1', 'r1', 'win-a', 'f1', 'c', 'pending', '', '', x'00', '1', ''), \
     ('2', 'r2', '{{ odd }}', 'f2', 'c', 'pending', '', '', x'00', '2', ''), \
     ('3', 'r3', '[odd]', 'f3', 'c', 'pending', '', '', x'00', '3', ''); \
     UPDATE devices SET hostname = '[odd]' WHERE hostname = 'WIN-C'";

#[tokio::test]
async fn an_operator_is_asked_about_a_name_that_another_device_has_in_another_letter_case() {
    let (server, cookies) = server().await;
    server.sql(APPROVALS).await;
    let path = "/api/admin/device-approvals";
    let listed = server.send("GET", path, &[("cookie", &cookies)], "").await;
    let (_, listed) = listed.status_and_json();
    assert_snapshot!(format!("{:#}", listed["approvals"][0]), @r#"
    {
      "alternate_hostname": "win-a-1",
      "approval_reference": "r1",
      "approved_by_user_id": null,
      "approved_by_username": null,
      "client_nonce": "",
      "conflict_requires_prompt": true,
      "created_at": "1",
      "enrollment_code_id": "c",
      "fingerprint_match": false,
      "guid": null,
      "hostname_claimed": "win-a",
      "hostname_conflict": {
        "fingerprint_match": false,
        "guid": "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        "requires_prompt": true,
        "site_id": null,
        "site_name": "",
        "ssl_key_fingerprint": "aa"
      },
      "id": "1",
      "server_nonce": "",
      "ssl_key_fingerprint_claimed": "f1",
      "status": "pending",
      "updated_at": ""
    }
    "#);
    let approve =
        async |id: &str, body| as_operator(&server, &cookies, &format!("{path}/{id}/approve"), body).await;
    let (status, answer) = approve("1", json!({})).await;
    assert_eq!(
        (status, &answer["error"]),
        (409, &json!("conflict_resolution_required"))
    );
    let (status, _) = approve("1", json!({"conflict_resolution": "coexist"})).await;
    assert_eq!(status, 200);
    server.stop().await;
}

#[tokio::test]
async fn no_device_is_made_under_a_name_that_is_none() {
    let (server, cookies) = server().await;
    server.sql(APPROVALS).await;
    let approve = async |id: &str, body| {
        as_operator(
            &server,
            &cookies,
            &format!("/api/admin/device-approvals/{id}/approve"),
            body,
        )
        .await
    };
    let refused = (400, error("invalid_hostname"));
    assert_eq!(approve("2", json!({})).await, refused);
    assert_eq!(
        approve("3", json!({"conflict_resolution": "coexist"})).await,
        refused
    );
    let pending = "SELECT COUNT(*) FROM device_approvals WHERE status = 'pending'";
    assert_eq!(server.count(pending).await, 3);
    // A device that is called so already may come back with another key.
    let (status, _) = approve("3", json!({"conflict_resolution": "overwrite"})).await;
    assert_eq!(status, 200);
    server.stop().await;
}
