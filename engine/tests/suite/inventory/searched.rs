//! The search.

use insta::assert_snapshot;

use reqwest::Method;
use serde_json::json;

use super::{Asking, start};
use crate::testkit::browser::Browser;

#[tokio::test]
async fn what_is_found_comes_with_its_site_and_a_broken_database_finds_nothing() {
    // As the servers have it: a site that is gone may still be named.
    let rows = "PRAGMA foreign_keys = OFF; INSERT INTO devices (hostname, description, last_user) VALUES \
                ('lab-1', '100% \u{c9}t\u{e9}', ' LAB\\jo '), ('lab-2', NULL, NULL); \
                INSERT INTO sites (name, description) VALUES ('Labor', NULL); \
                INSERT INTO device_sites (device_hostname, site_id) VALUES ('lab-1', 1), ('lab-2', 9);";
    let (server, admin) = start(rows).await;
    let mut asking = Asking::new(admin);
    for query in [
        "q=LAB",
        "q=lab&limit=1",
        "field=description&q=%25+%C3%A9t",
        "field=last_user&q=b%5Cjo",
        "field=site_name&q=labor",
        "field=site_description&q=labor",
        "field=serial_number&q=labor",
        "q=la",
    ] {
        asking.get(&format!("/api/search/suggest?{query}")).await;
    }
    server.sql("ALTER TABLE device_sites RENAME TO gone;").await;
    asking.get("/api/search/suggest?q=lab").await;
    assert_snapshot!(asking.answers, @r#"
    /api/search/suggest?q=LAB: 200 {"devices":[{"description":"100% \u00c9t\u00e9","external_ip":"","hostname":"lab-1","internal_ip":"","last_user":"LAB\\jo","site_id":1,"site_name":"Labor","value":"lab-1"},{"description":"","external_ip":"","hostname":"lab-2","internal_ip":"","last_user":"","site_id":null,"site_name":"","value":"lab-2"}],"field":"hostname","q":"LAB","sites":[]}
    /api/search/suggest?q=lab&limit=1: 200 {"devices":[{"description":"100% \u00c9t\u00e9","external_ip":"","hostname":"lab-1","internal_ip":"","last_user":"LAB\\jo","site_id":1,"site_name":"Labor","value":"lab-1"}],"field":"hostname","q":"lab","sites":[]}
    /api/search/suggest?field=description&q=%25+%C3%A9t: 200 {"devices":[{"description":"100% \u00c9t\u00e9","external_ip":"","hostname":"lab-1","internal_ip":"","last_user":"LAB\\jo","site_id":1,"site_name":"Labor","value":"100% \u00c9t\u00e9"}],"field":"description","q":"% \u00e9t","sites":[]}
    /api/search/suggest?field=last_user&q=b%5Cjo: 200 {"devices":[{"description":"100% \u00c9t\u00e9","external_ip":"","hostname":"lab-1","internal_ip":"","last_user":"LAB\\jo","site_id":1,"site_name":"Labor","value":"LAB\\jo"}],"field":"last_user","q":"b\\jo","sites":[]}
    /api/search/suggest?field=site_name&q=labor: 200 {"devices":[],"field":"site_name","q":"labor","sites":[{"site_description":"","site_id":1,"site_name":"Labor","value":"Labor"}]}
    /api/search/suggest?field=site_description&q=labor: 200 {"devices":[],"field":"site_description","q":"labor","sites":[]}
    /api/search/suggest?field=serial_number&q=labor: 200 {"devices":[],"field":"serial_number","q":"labor","sites":[]}
    /api/search/suggest?q=la: 200 {"devices":[],"field":"hostname","q":"la","sites":[]}
    /api/search/suggest?q=lab: 200 {"devices":[],"field":"hostname","q":"lab","sites":[]}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn letters_that_become_ascii_in_lower_case_are_found_and_blanks_around_a_value_are_not() {
    let rows = "INSERT INTO devices (hostname, last_user) VALUES ('LAB-\u{212a}ELVIN', '  kelvin '), ('kelvin', NULL), \
                ('\u{c9}T\u{c9}-1', 'Kel  vin');";
    let (server, admin) = start(rows).await;
    let mut asking = Asking::new(admin);
    for query in [
        "q=kelvin",
        "q=KELVIN&limit=1",
        "q=kelvin&limit=0",
        "q=%C3%A9t%C3%A9",
        "field=last_user&q=kelvin",
    ] {
        asking.get(&format!("/api/search/suggest?{query}")).await;
    }
    assert_snapshot!(asking.answers, @r#"
    /api/search/suggest?q=kelvin: 200 {"devices":[{"description":"","external_ip":"","hostname":"LAB-\u212aELVIN","internal_ip":"","last_user":"kelvin","site_id":null,"site_name":"","value":"LAB-\u212aELVIN"},{"description":"","external_ip":"","hostname":"kelvin","internal_ip":"","last_user":"","site_id":null,"site_name":"","value":"kelvin"}],"field":"hostname","q":"kelvin","sites":[]}
    /api/search/suggest?q=KELVIN&limit=1: 200 {"devices":[{"description":"","external_ip":"","hostname":"LAB-\u212aELVIN","internal_ip":"","last_user":"kelvin","site_id":null,"site_name":"","value":"LAB-\u212aELVIN"}],"field":"hostname","q":"KELVIN","sites":[]}
    /api/search/suggest?q=kelvin&limit=0: 200 {"devices":[],"field":"hostname","q":"kelvin","sites":[]}
    /api/search/suggest?q=%C3%A9t%C3%A9: 200 {"devices":[{"description":"","external_ip":"","hostname":"\u00c9T\u00c9-1","internal_ip":"","last_user":"Kel  vin","site_id":null,"site_name":"","value":"\u00c9T\u00c9-1"}],"field":"hostname","q":"\u00e9t\u00e9","sites":[]}
    /api/search/suggest?field=last_user&q=kelvin: 200 {"devices":[{"description":"","external_ip":"","hostname":"LAB-\u212aELVIN","internal_ip":"","last_user":"kelvin","site_id":null,"site_name":"","value":"kelvin"}],"field":"last_user","q":"kelvin","sites":[]}
    "#);
    server.stop().await;
}

async fn hosts_found(admin: &Browser, query: &str) -> Vec<String> {
    let (status, found) = admin.get(&format!("/api/search/suggest?{query}")).await;
    assert_eq!(status, 200);
    let devices = found["devices"].as_array().unwrap().iter();
    devices
        .map(|device| device["hostname"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_the_server_and_other_programs_change_is_found_by_the_next_search() {
    let (server, admin) = start("").await;
    let described = "field=description&q=front";
    assert_eq!(hosts_found(&admin, described).await, [""; 0]);
    let answer = admin
        .send(
            Method::POST,
            "/api/device/description/WIN-1",
            json!({"description": "Front desk"}),
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(hosts_found(&admin, described).await, ["WIN-1"]);
    // Another program, beside the server.
    server
        .sql("INSERT INTO devices (hostname, description) VALUES ('WIN-2', 'front door')")
        .await;
    assert_eq!(hosts_found(&admin, described).await, ["WIN-1", "WIN-2"]);
    server
        .sql("UPDATE devices SET description = 'back' WHERE hostname = 'WIN-1'")
        .await;
    assert_eq!(hosts_found(&admin, described).await, ["WIN-2"]);
    server
        .sql("DELETE FROM devices WHERE hostname = 'WIN-2'; VACUUM")
        .await;
    assert_eq!(hosts_found(&admin, described).await, [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_host_s_history_shows_what_other_programs_wrote_and_forgets_what_they_deleted() {
    let (server, admin) = start("").await;
    let history = async || {
        let (status, body) = admin.get("/api/device/activity/WIN-1").await;
        assert_eq!(status, 200);
        let lines = body["history"].as_array().unwrap().iter();
        lines.map(|line| line["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(history().await, [0; 0]);
    server
        .sql(
            "INSERT INTO activity_history (hostname, ran_at) VALUES ('WIN-1', 1), ('win-1', 2), ('WIN-1', 3)",
        )
        .await;
    assert_eq!(history().await, [3, 1]);
    server
        .sql("DELETE FROM activity_history WHERE id = 3; UPDATE activity_history SET hostname = 'WIN-1' WHERE id = 2")
        .await;
    assert_eq!(history().await, [2, 1]);
    let cleared = admin
        .send(Method::DELETE, "/api/device/activity/WIN-1", json!(null))
        .await;
    assert_eq!(cleared.status, 200);
    assert_eq!(history().await, [0; 0]);
    server.stop().await;
}
