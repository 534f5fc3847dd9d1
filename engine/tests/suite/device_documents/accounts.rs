//! The accounts that agents run as: checked in, rotated, and never another device's.

use reqwest::Method;
use serde_json::json;

use super::{CHECK_IN, Fleet, OTHER, ROTATE, error};
use crate::testkit::{GUID, START};

#[tokio::test]
async fn an_agent_keeps_its_password_until_it_is_rotated() {
    let server = Fleet::start("legacy").await;
    let request = json!({ "agent_id": "a-1", "hostname": "WIN-1" });
    let (status, first) = server.post(CHECK_IN, request.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(first["agent_guid"], GUID);
    assert_eq!(first["username"], ".\\svcBorealis");
    assert_eq!(first["policy"], json!({ "force_rotation_minutes": 43_200 }));
    assert_eq!(first["password"].as_str().unwrap().len(), 24);
    let sealed = "SELECT CAST(password_encrypted AS TEXT) FROM agent_service_account";
    let stored = server.text(sealed).await.unwrap();
    assert!(stored.starts_with("gAAAAA") && stored.len() == 120, "{stored}");
    assert_eq!(server.post(CHECK_IN, request.clone()).await.1, first);
    assert_eq!(
        server.text(sealed).await.unwrap(),
        stored,
        "nothing is written again"
    );
    assert_eq!(
        server
            .text("SELECT agent_id || last_seen FROM devices LIMIT 1")
            .await,
        Some(format!("a-1{START}"))
    );

    let rotate = json!({ "agent_id": "a-1", "username": "LAB\\x", "hostname": 5 });
    let (status, rotated) = server.post(ROTATE, rotate).await;
    assert_eq!(status, 200);
    assert_eq!(rotated["username"], "LAB\\x");
    assert_ne!(rotated["password"], first["password"]);
    assert_eq!(rotated.get("agent_guid"), None);
    assert_eq!(
        server.post(CHECK_IN, request).await.1["password"],
        rotated["password"]
    );
    let written = "SELECT last_rotated_utc || ' ' || version FROM agent_service_account";
    let written = server.text(written).await.unwrap();
    assert!(
        written.starts_with("2027-01-15T08:00:00") && written.ends_with("Z 1"),
        "{written}"
    );
    server.0.stop().await;
}

#[tokio::test]
async fn stored_accounts_are_read_in_every_form() {
    let server = Fleet::start("legacy").await;
    let alien = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    server
        .sql(&format!(
            "INSERT INTO agent_service_account (agent_id, username, password_encrypted, last_rotated_utc, version) \
             VALUES ('base64', '.\\svcBorealis', 'UEBzc3cwcmQ=', 'then', 3), \
             ('retired', 'svcBorealisAnsibleRunner', 'UEBzc3cwcmQ=', 'then', 3), \
             ('nameless', '', 'UEBzc3cwcmQ=', 'then', 3), ('alien', 'LAB\\x', '{alien}', 'then', 3), \
             ('blank', '  ', 'UEBzc3cwcmQ=', 'then', 3), ('padded', ' LAB\\x ', 'UEBzc3cwcmQ=', 'then', 3), \
             ('padded-retired', ' svcBorealisAnsibleRunner ', 'UEBzc3cwcmQ=', 'then', 3)"
        ))
        .await;
    let ask = async |id: &str| {
        let request = json!({ "agent_id": id, "username": "LAB\\asked" });
        let (status, answer) = server.post(CHECK_IN, request).await;
        assert_eq!(status, 200);
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (text("username"), text("password"))
    };
    let known = |name: &str| (name.to_owned(), "P@ssw0rd".to_owned());
    assert_eq!(ask("base64").await, known(".\\svcBorealis"));
    assert_eq!(ask("retired").await, known(".\\svcBorealis"));
    assert_eq!(ask("nameless").await, known("LAB\\asked"));
    assert_eq!(ask("blank").await, known("LAB\\asked"));
    assert_eq!(ask("padded").await, known("LAB\\x"));
    assert_eq!(ask("padded-retired").await, known(".\\svcBorealis"));
    let (username, password) = ask("alien").await;
    assert_eq!((username.as_str(), password.len()), ("LAB\\x", 24), "DEV-11");
    assert_ne!(password, "hello");
    assert_eq!(ask("alien").await.1, password, "the new password is kept");
    let touched = "SELECT group_concat(agent_id) FROM (SELECT agent_id FROM agent_service_account \
                   WHERE last_rotated_utc <> 'then' AND version = 3 ORDER BY agent_id)";
    assert_eq!(
        server.text(touched).await.as_deref(),
        Some("alien,padded-retired,retired")
    );
    for (id, username) in [("padded", "LAB\\x"), ("blank", ".\\svcBorealis")] {
        let (status, rotated) = server.post(ROTATE, json!({ "agent_id": id })).await;
        assert_eq!((status, &rotated["username"]), (200, &json!(username)), "{id}");
    }
    server.0.stop().await;
}

#[tokio::test]
async fn a_device_reaches_only_its_own_agents_and_its_own_row() {
    let server = Fleet::start("legacy").await;
    server
        .sql(&format!(
            "UPDATE devices SET agent_id = 'a-2' WHERE guid = '{OTHER}'"
        ))
        .await;
    for path in [CHECK_IN, ROTATE] {
        assert_eq!(
            server.post(path, json!({ "agent_id": " a-2 " })).await,
            error(403, "guid_mismatch"),
            "the table knows whose agent it is (DEV-8)"
        );
    }
    assert_eq!(
        server
            .text("SELECT group_concat(agent_id) FROM agent_service_account")
            .await,
        None
    );
    for hostname in ["WIN-2", "WIN-NEW", "UNKNOWN"] {
        let request = json!({ "agent_id": "a-1", "hostname": hostname });
        assert_eq!(server.post(CHECK_IN, request).await.0, 200);
    }
    let rows = "SELECT group_concat(hostname || ' ' || agent_id || ' ' || last_seen) FROM devices";
    assert_eq!(
        server.text(rows).await,
        Some(format!("WIN-1 a-1 {START},WIN-2 a-2 5")),
        "DEV-9"
    );
    assert_eq!(
        server
            .send(Method::POST, OTHER, CHECK_IN, json!({ "agent_id": "a-1" }))
            .await,
        error(403, "guid_mismatch"),
        "the registry knows whose agent it is"
    );
    for (name, word) in [
        ("agent_id", "agent_id required"),
        ("username", "invalid payload"),
        ("hostname", "invalid payload"),
    ] {
        let mut request = json!({ "agent_id": "a-1" });
        request[name] = json!(5);
        assert_eq!(server.post(CHECK_IN, request).await, error(400, word));
    }
    server.0.stop().await;
}

#[tokio::test]
async fn of_two_devices_that_ask_at_once_one_gets_the_agent() {
    let server = Fleet::start("legacy").await;
    for number in 0..10 {
        let request = json!({ "agent_id": format!("a-{number}") });
        let (one, two) = tokio::join!(
            server.post(CHECK_IN, request.clone()),
            server.send(Method::POST, OTHER, CHECK_IN, request.clone())
        );
        let mut statuses = [one.0, two.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403]);
    }
    server.0.stop().await;
}
