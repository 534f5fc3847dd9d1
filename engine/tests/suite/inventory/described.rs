//! The device list, and what operators write about a device.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Asking, start};
use crate::testkit::GUID;

#[tokio::test]
async fn a_device_is_shown_with_its_site_and_without_its_key() {
    let rows = "UPDATE devices SET memory = '[{\"b\": 1, \"a\": [1.0, null]}]', network = '[NaN]', cpu = '{oops', \
                last_seen = 1799999750, operating_system = ' Windows '; \
                INSERT INTO sites (name, description) VALUES ('Berlin', 'HQ'); \
                INSERT INTO device_sites (device_hostname, site_id) VALUES ('WIN-1', 1);";
    let (server, admin) = start(rows).await;
    let item = admin.get(&format!("/api/devices/{}", GUID.to_lowercase())).await;
    assert_eq!(
        admin.get("/api/devices").await,
        (200, json!({"devices": [item.1]}))
    );
    assert_eq!(
        admin.get("/api/agent_devices").await,
        (200, json!({"devices": [item.1]}))
    );
    let mut asking = Asking::new(admin);
    asking.get(&format!("/api/devices/%7B{GUID}%7D")).await;
    for nobodys in ["WIN-1", "%20", "3F2504E0"] {
        asking.get(&format!("/api/devices/{nobodys}")).await;
    }
    asking.get("/api/ssh_devices").await;
    assert_snapshot!(asking.answers, @r#"
    /api/devices/%7B3F2504E0-4F89-11D3-9A0C-0305E82C3301%7D: 200 {"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"","agent_id":"","connection_endpoint":"","connection_type":"","cpu":{},"created_at":7,"created_at_iso":"1970-01-01T00:00:07+00:00","description":"","details":{"cpu":{},"memory":[{"a":[1.0,null],"b":1}],"network":[],"software":[],"storage":[],"summary":{"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"","agent_id":"","ansible_ee_ver":"","connection_endpoint":"","connection_type":"","created":"1970-01-01 00:00:07","created_at":7,"description":"","device_type":"","domain":"","external_ip":"","hostname":"WIN-1","internal_ip":"","last_reboot":"","last_seen":1799999750,"last_user":"","operating_system":"Windows","uptime":0,"uptime_sec":0}},"device_type":"","domain":"","external_ip":"","guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","hostname":"WIN-1","internal_ip":"","last_reboot":"","last_seen":1799999750,"last_seen_iso":"2027-01-15T07:55:50+00:00","last_user":"","memory":[{"a":[1.0,null],"b":1}],"network":[],"operating_system":"Windows","site_description":"HQ","site_id":1,"site_name":"Berlin","software":[],"status":"Online","storage":[],"summary":{"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"","agent_id":"","ansible_ee_ver":"","connection_endpoint":"","connection_type":"","created":"1970-01-01 00:00:07","created_at":7,"description":"","device_type":"","domain":"","external_ip":"","hostname":"WIN-1","internal_ip":"","last_reboot":"","last_seen":1799999750,"last_user":"","operating_system":"Windows","uptime":0,"uptime_sec":0},"uptime":0}
    /api/devices/WIN-1: 404 {"error":"not found"}
    /api/devices/%20: 404 {"error":"not found"}
    /api/devices/3F2504E0: 404 {"error":"not found"}
    /api/ssh_devices: 200 {"devices":[]}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn a_table_that_is_gone_is_told_in_the_databases_words() {
    let (server, admin) = start("").await;
    let mut asking = Asking::new(admin);
    server.sql("ALTER TABLE sites RENAME TO gone;").await;
    asking.get("/api/devices").await;
    asking.get("/api/sites").await;
    assert_snapshot!(asking.answers, @r#"
    /api/devices: 500 {"error":"no such table: sites"}
    /api/sites: 500 {"error":"no such table: sites"}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn half_a_character_in_an_inventory_costs_nothing_but_itself() {
    let rows = r#"UPDATE devices SET software = '[{"name":"A"},{"name":"bad \ud83d"},{"name":"C"}]';"#;
    let (server, admin) = start(rows).await;
    let (_, shown) = admin.get("/api/device/details/WIN-1").await;
    let whole = json!([{"name": "A"}, {"name": "bad \u{fffd}"}, {"name": "C"}]);
    assert_eq!(shown["software"], whole);
    let described = admin
        .post("/api/device/description/WIN-1", json!({"description": "desk"}))
        .await;
    assert_eq!(described.0, 200);
    let stored = server.text("SELECT software FROM devices").await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), whole);
    server.stop().await;
}

#[tokio::test]
async fn a_description_makes_no_device_and_an_empty_one_clears_nothing() {
    let (server, admin) = start("").await;
    let mut asking = Asking::new(admin);
    let describe = json!({"description": " front desk "});
    asking
        .post("/api/device/description/WIN-1", describe.clone())
        .await;
    for kept in [json!({"description": " "}), json!({}), json!(""), Value::Null] {
        asking.post("/api/device/description/WIN-1", kept).await;
    }
    for refused in [json!({"description": ["x"]}), json!("text")] {
        asking.post("/api/device/description/WIN-1", refused).await;
    }
    // Letter by letter.
    asking.post("/api/device/description/win-1", describe).await;
    assert_snapshot!(asking.answers, @r#"
    /api/device/description/WIN-1 {"description":" front desk "}: 200 {"status":"ok"}
    /api/device/description/WIN-1 {"description":" "}: 200 {"status":"ok"}
    /api/device/description/WIN-1 {}: 200 {"status":"ok"}
    /api/device/description/WIN-1 "": 200 {"status":"ok"}
    /api/device/description/WIN-1 null: 200 {"status":"ok"}
    /api/device/description/WIN-1 {"description":["x"]}: 400 {"error":"invalid payload"}
    /api/device/description/WIN-1 "text": 400 {"error":"invalid JSON body"}
    /api/device/description/win-1 {"description":" front desk "}: 404 {"error":"device not found"}
    "#);
    let stored = "SELECT group_concat(hostname || ':' || description || ':' || guid) FROM devices";
    assert_eq!(
        server.text(stored).await.unwrap(),
        format!("WIN-1:front desk:{GUID}")
    );
    server.stop().await;
}
