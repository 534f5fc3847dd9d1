//! Devices that the server reaches over SSH or WinRM.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Asking, start, start_as};

const ROWS: &str = "SELECT group_concat(hostname || ' ' || coalesce(connection_type, '-') || ' ' || \
                    coalesce(connection_endpoint, '-') || ' ' || coalesce(description, '-'), '; ') FROM devices";

/// Status, host name, address and description, or the error.
fn shown((status, body): (u16, Value)) -> String {
    let device = &body["device"];
    match body["error"].as_str() {
        Some(error) => format!("{status} {error}"),
        None => format!(
            "{status} {} {} {}",
            device["hostname"], device["connection_endpoint"], device["description"]
        ),
    }
}

#[tokio::test]
async fn an_agents_device_does_not_become_a_remote_one() {
    let rows = "UPDATE devices SET memory = '[1]', description = 'desk'; \
                INSERT INTO devices (hostname, agent_id) VALUES ('bare-agent', 'a1'); \
                INSERT INTO devices (hostname) VALUES ('nobody');";
    let (server, admin) = start(rows).await;
    let mut asking = Asking::new(admin);
    for hostname in ["WIN-1", "bare-agent"] {
        for path in ["/api/ssh_devices", "/api/winrm_devices"] {
            asking
                .post(path, json!({"hostname": hostname, "address": "a"}))
                .await;
        }
    }
    let body = json!({"hostname": "nobody", "address": "a"});
    let taken = asking.admin.post("/api/ssh_devices", body).await;
    assert_eq!(shown(taken), r#"201 "nobody" "a" """#);
    assert_snapshot!(asking.answers, @r#"
    /api/ssh_devices {"hostname":"WIN-1","address":"a"}: 409 {"error":"device already exists with different connection type"}
    /api/winrm_devices {"hostname":"WIN-1","address":"a"}: 409 {"error":"device already exists with different connection type"}
    /api/ssh_devices {"hostname":"bare-agent","address":"a"}: 409 {"error":"device already exists with different connection type"}
    /api/winrm_devices {"hostname":"bare-agent","address":"a"}: 409 {"error":"device already exists with different connection type"}
    "#);
    assert_snapshot!(server.text(ROWS).await.unwrap(), @"WIN-1 - - desk; bare-agent - - -; nobody ssh a ");
    server.stop().await;
}

#[tokio::test]
async fn an_operating_system_that_stays_is_trimmed_like_all_the_rest() {
    let rows = "INSERT INTO devices (hostname, connection_type, connection_endpoint, operating_system) VALUES \
                ('changed', 'ssh', 'a', '  Debian '), ('again', 'ssh', 'a', '  Debian '), ('blank', 'ssh', 'a', '  ');";
    let (server, admin) = start(rows).await;
    for hostname in ["changed", "blank"] {
        let path = format!("/api/ssh_devices/{hostname}");
        let changed = admin
            .send(reqwest::Method::PUT, &path, json!({"address": "b"}))
            .await;
        assert_eq!(changed.status, 200);
    }
    let again = json!({"hostname": "again", "address": "b"});
    assert_eq!(admin.post("/api/ssh_devices", again).await.0, 201);
    let stored =
        "SELECT group_concat('[' || operating_system || ']', ' ') FROM devices WHERE connection_type = 'ssh'";
    assert_snapshot!(server.text(stored).await.unwrap(), @"[Debian] [Debian] [  ]");
    server.stop().await;
}

#[tokio::test]
async fn the_device_that_is_answered_with_is_the_one_that_was_written() {
    let (server, admin) = start_as("legacy", "").await;
    let mut shown_ones = Vec::new();
    for (hostname, address) in [("CASE", "a"), ("case", "b")] {
        let body = json!({"hostname": hostname, "address": address, "description": hostname});
        shown_ones.push(shown(admin.post("/api/ssh_devices", body).await));
    }
    let change = admin.send(
        reqwest::Method::PUT,
        "/api/ssh_devices/case",
        json!({"address": "c"}),
    );
    shown_ones.push(shown(change.await.status_and_json()));
    assert_snapshot!(shown_ones.join("\n"), @r#"
    201 "CASE" "a" "CASE"
    201 "case" "b" "case"
    200 "case" "c" "case"
    "#);
    server.stop().await;
}

#[tokio::test]
async fn under_strict_a_remote_device_takes_no_name_that_another_one_has_and_none_that_is_no_name() {
    let (server, admin) =
        start("INSERT INTO devices (hostname, connection_type) VALUES ('a b%', 'ssh');").await;
    let mut shown_ones = Vec::new();
    for hostname in ["win-1", "srv-1", "SRV-1", "srv-1", "no/name", "a b%"] {
        let body = json!({"hostname": hostname, "address": "a"});
        shown_ones.push(format!(
            "{hostname}: {}",
            shown(admin.post("/api/ssh_devices", body).await)
        ));
    }
    // What is stored already keeps its name.
    assert_snapshot!(shown_ones.join("\n"), @r#"
    win-1: 409 device already exists
    srv-1: 201 "srv-1" "a" ""
    SRV-1: 409 device already exists
    srv-1: 201 "srv-1" "a" ""
    no/name: 400 invalid_hostname
    a b%: 201 "a b%" "a" ""
    "#);
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_device_takes_its_assignment_along_and_the_other_kind_finds_it_not() {
    let rows = "INSERT INTO devices (hostname, connection_type) VALUES ('srv-1', ' SSH '), ('win-r', 'winrm'); \
                INSERT INTO sites (name) VALUES ('Berlin'); \
                INSERT INTO device_sites (device_hostname, site_id) VALUES ('srv-1', 1), ('win-r', 1);";
    let (server, admin) = start(rows).await;
    let mut asking = Asking::new(admin);
    asking
        .put("/api/ssh_devices/srv-1", json!({"description": "d"}))
        .await;
    asking
        .put("/api/winrm_devices/srv-1", json!({"description": "d"}))
        .await;
    let mut deleted = Vec::new();
    for path in [
        "winrm_devices/srv-1",
        "ssh_devices/WIN-1",
        "ssh_devices/%20",
        "ssh_devices/%20srv-1",
    ] {
        let path = format!("/api/{path}");
        let answer = asking
            .admin
            .send(reqwest::Method::DELETE, &path, Value::Null)
            .await;
        deleted.push(format!("{path}: {}", answer.line()));
    }
    assert_snapshot!(asking.answers, @r#"
    PUT /api/ssh_devices/srv-1 {"description":"d"}: 404 {"error":"address is required"}
    PUT /api/winrm_devices/srv-1 {"description":"d"}: 404 {"error":"device not found"}
    "#);
    assert_snapshot!(deleted.join("\n"), @r#"
    /api/winrm_devices/srv-1: 404 {"error":"device not found"}
    /api/ssh_devices/WIN-1: 404 {"error":"device not found"}
    /api/ssh_devices/%20: 400 {"error":"invalid hostname"}
    /api/ssh_devices/%20srv-1: 200 {"status":"ok"}
    "#);
    assert_eq!(
        server
            .text("SELECT group_concat(device_hostname) FROM device_sites")
            .await
            .unwrap(),
        "win-r"
    );
    assert_eq!(server.count("SELECT COUNT(*) FROM devices").await, 2);
    server.stop().await;
}
