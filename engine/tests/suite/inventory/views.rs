//! Views of the device list.

use insta::assert_snapshot;
use serde_json::json;

use super::{Asking, start};

#[tokio::test]
async fn a_broken_view_is_shown_empty_and_breaks_no_other() {
    let rows = "INSERT INTO device_list_views (name, columns_json, filters_json, created_at) VALUES \
                ('broken', '{oops', '[NaN', 7), ('Whole', '[\"os\"]', '{\"b\": 1, \"a\": null}', 8);";
    let (server, admin) = start(rows).await;
    let mut asking = Asking::new(admin);
    asking.get("/api/device_list_views").await;
    asking
        .put("/api/device_list_views/1", json!({"columns": ["cpu"]}))
        .await;
    assert_snapshot!(asking.answers, @r#"
    /api/device_list_views: 200 {"views":[{"columns":[],"created_at":7,"filters":{},"id":1,"name":"broken","updated_at":null},{"columns":["os"],"created_at":8,"filters":{"a":null,"b":1},"id":2,"name":"Whole","updated_at":null}]}
    PUT /api/device_list_views/1 {"columns":["cpu"]}: 200 {"columns":["cpu"],"created_at":7,"filters":{},"id":1,"name":"broken","updated_at":1800000000}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn a_view_with_a_taken_name_or_a_name_that_is_no_text_is_refused_and_the_next_one_is_made() {
    let (server, admin) = start("").await;
    let mut asking = Asking::new(admin);
    for name in [json!("Servers"), json!("Servers"), json!(5), json!("Clients")] {
        asking
            .post("/api/device_list_views", json!({ "name": name }))
            .await;
    }
    for name in [json!("Servers"), json!(true), json!("Desks")] {
        asking
            .put("/api/device_list_views/2", json!({ "name": name }))
            .await;
    }
    assert_snapshot!(asking.answers, @r#"
    /api/device_list_views {"name":"Servers"}: 201 {"columns":[],"created_at":1800000000,"filters":{},"id":1,"name":"Servers","updated_at":1800000000}
    /api/device_list_views {"name":"Servers"}: 409 {"error":"name already exists"}
    /api/device_list_views {"name":5}: 400 {"error":"name is required"}
    /api/device_list_views {"name":"Clients"}: 201 {"columns":[],"created_at":1800000000,"filters":{},"id":2,"name":"Clients","updated_at":1800000000}
    PUT /api/device_list_views/2 {"name":"Servers"}: 409 {"error":"name already exists"}
    PUT /api/device_list_views/2 {"name":true}: 400 {"error":"name cannot be empty"}
    PUT /api/device_list_views/2 {"name":"Desks"}: 200 {"columns":[],"created_at":1800000000,"filters":{},"id":2,"name":"Desks","updated_at":1800000000}
    "#);
    server.stop().await;
}
