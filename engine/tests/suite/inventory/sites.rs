//! Sites, and the hosts in them.

use insta::assert_snapshot;
use serde_json::json;

use super::{Asking, start};

#[tokio::test]
async fn a_taken_name_keeps_nobody_from_writing() {
    let (server, admin) = start("").await;
    let mut asking = Asking::new(admin);
    for name in ["Berlin", "Berlin", "Bonn"] {
        asking.post("/api/sites", json!({ "name": name })).await;
    }
    asking
        .post("/api/sites/rename", json!({"id": 2, "new_name": "Berlin"}))
        .await;
    asking
        .post("/api/sites/rename", json!({"id": 2, "new_name": "Kiel"}))
        .await;
    assert_snapshot!(asking.answers, @r#"
    /api/sites {"name":"Berlin"}: 200 {"created_at":1800000000,"description":"","device_count":0,"id":1,"name":"Berlin"}
    /api/sites {"name":"Berlin"}: 409 {"error":"name already exists"}
    /api/sites {"name":"Bonn"}: 200 {"created_at":1800000000,"description":"","device_count":0,"id":2,"name":"Bonn"}
    /api/sites/rename {"id":2,"new_name":"Berlin"}: 409 {"error":"name already exists"}
    /api/sites/rename {"id":2,"new_name":"Kiel"}: 200 {"created_at":1800000000,"description":"","device_count":0,"id":2,"name":"Kiel"}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn fields_of_another_type_are_refused_and_nothing_is_written() {
    let (server, admin) = start("INSERT INTO sites (name) VALUES ('Berlin');").await;
    let mut asking = Asking::new(admin);
    asking.post("/api/sites", json!({"name": 5})).await;
    asking
        .post("/api/sites", json!({"name": "x", "description": ["y"]}))
        .await;
    asking.post("/api/sites", json!([1])).await;
    asking
        .post("/api/sites/rename", json!({"id": 1, "new_name": {"a": 1}}))
        .await;
    asking.post("/api/sites/delete", json!({"ids": [1.0]})).await;
    asking
        .post(
            "/api/sites/assign",
            json!({"site_id": 1, "hostnames": ["WIN-1", 5]}),
        )
        .await;
    assert_snapshot!(asking.answers, @r#"
    /api/sites {"name":5}: 400 {"error":"name is required"}
    /api/sites {"name":"x","description":["y"]}: 400 {"error":"invalid payload"}
    /api/sites [1]: 400 {"error":"invalid JSON body"}
    /api/sites/rename {"id":1,"new_name":{"a":1}}: 400 {"error":"new_name is required"}
    /api/sites/delete {"ids":[1.0]}: 400 {"error":"ids must be a list"}
    /api/sites/assign {"site_id":1,"hostnames":["WIN-1",5]}: 400 {"error":"hostnames must be a list of strings"}
    "#);
    assert_eq!(
        server.text("SELECT group_concat(name) FROM sites").await.unwrap(),
        "Berlin"
    );
    assert_eq!(server.count("SELECT COUNT(*) FROM device_sites").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_number_beyond_64_bits_is_no_sites() {
    let (server, admin) = start("INSERT INTO sites (name) VALUES ('Berlin');").await;
    let mut asking = Asking::new(admin);
    let beyond = u64::MAX;
    asking
        .post("/api/sites/rename", json!({"id": beyond, "new_name": "n"}))
        .await;
    asking
        .post("/api/sites/assign", json!({"site_id": beyond, "hostnames": []}))
        .await;
    asking
        .post("/api/sites/delete", json!({"ids": [beyond, "1"]}))
        .await;
    asking.get("/api/device_list_views/18446744073709551615").await;
    assert_snapshot!(asking.answers, @r#"
    /api/sites/rename {"id":18446744073709551615,"new_name":"n"}: 404 {"error":"site not found"}
    /api/sites/assign {"site_id":18446744073709551615,"hostnames":[]}: 404 {"error":"site not found"}
    /api/sites/delete {"ids":[18446744073709551615,"1"]}: 200 {"deleted":1,"status":"ok"}
    /api/device_list_views/18446744073709551615: 404 {"error":"not found"}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn hosts_are_assigned_all_or_none_and_go_with_their_site() {
    let (server, admin) = start("INSERT INTO sites (name) VALUES ('Berlin'), ('Bonn');").await;
    let mut asking = Asking::new(admin);
    let assign = json!({"site_id": 1, "hostnames": [" WIN-1 ", "win-1", "no, device"]});
    asking.post("/api/sites/assign", assign).await;
    // One that cannot be written.
    server
        .sql(
            "CREATE TRIGGER refused BEFORE UPDATE ON device_sites WHEN NEW.device_hostname = 'win-1' \
             BEGIN SELECT RAISE(ABORT, 'refused'); END;",
        )
        .await;
    asking
        .post(
            "/api/sites/assign",
            json!({"site_id": 2, "hostnames": ["WIN-1", "win-1"]}),
        )
        .await;
    asking
        .get("/api/sites/device_map?hostnames=WIN-1,win-1,,%20WIN-9")
        .await;
    asking.get("/api/sites/device_map").await;
    asking.get("/api/sites").await;
    asking.post("/api/sites/delete", json!({"ids": [1, 1, 7]})).await;
    asking.get("/api/sites/device_map").await;
    assert_snapshot!(asking.answers, @r#"
    /api/sites/assign {"site_id":1,"hostnames":[" WIN-1 ","win-1","no, device"]}: 200 {"status":"ok"}
    /api/sites/assign {"site_id":2,"hostnames":["WIN-1","win-1"]}: 500 {"error":"refused"}
    /api/sites/device_map?hostnames=WIN-1,win-1,,%20WIN-9: 200 {"mapping":{"WIN-1":{"site_id":1,"site_name":"Berlin"},"win-1":{"site_id":1,"site_name":"Berlin"}}}
    /api/sites/device_map: 200 {"mapping":{"WIN-1":{"site_id":1,"site_name":"Berlin"},"no, device":{"site_id":1,"site_name":"Berlin"},"win-1":{"site_id":1,"site_name":"Berlin"}}}
    /api/sites: 200 {"sites":[{"created_at":0,"description":"","device_count":3,"id":1,"name":"Berlin"},{"created_at":0,"description":"","device_count":0,"id":2,"name":"Bonn"}]}
    /api/sites/delete {"ids":[1,1,7]}: 200 {"deleted":1,"status":"ok"}
    /api/sites/device_map: 200 {"mapping":{}}
    "#);
    server.stop().await;
}
