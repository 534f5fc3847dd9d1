//! The search.

use insta::assert_snapshot;

use super::{Asking, start};

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
