//! The hashes of agents' builds that devices report, and the list of them.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::{CHECK_IN, Fleet, HASH, OTHER};
use crate::testkit::{GUID, answer::Answers};

#[tokio::test]
async fn hashes_are_listed_for_this_machine_alone() {
    for policy in ["strict", "legacy"] {
        let server = Fleet::start(policy).await;
        let ask = async |forwarded: &str| {
            let headers = [("x-forwarded-for", forwarded)];
            server
                .ask(Method::GET, "/api/agent/hash_list", &headers, String::new())
                .await
        };
        let (status, text) = ask("").await;
        assert_eq!(status, 200);
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            list["agents"][1],
            json!({
                "agent_guid": OTHER, "agent_hash": null, "agent_id": null, "hostname": "WIN-2", "source": "database"
            })
        );
        assert_eq!(ask("127.0.0.1").await.0, 200);
        let refused = (403, "{\"error\":\"forbidden\"}\n".to_owned());
        assert_eq!(ask("127.0.0.1, 10.1.2.3").await, refused);
        server.0.stop().await;
    }
}

#[tokio::test]
async fn a_hash_is_stored_and_read_back() {
    let server = Fleet::start("legacy").await;
    let mut answers = Answers::default();
    server.note(&mut answers, Method::GET, HASH, Value::Null).await;
    for body in [
        json!({ "agent_guid": OTHER }),
        json!({}),
        json!({ "agent_hash": 5 }),
        json!({ "agent_hash": " h1 ", "agent_id": " a-1 ", "agent_guid": GUID.to_lowercase() }),
    ] {
        server.note(&mut answers, Method::POST, HASH, body).await;
    }
    assert_eq!(
        server.text("SELECT memory FROM devices LIMIT 1").await.as_deref(),
        Some("[]")
    );
    // What the registry remembers wins over the table.
    assert_eq!(server.post(CHECK_IN, json!({ "agent_id": "a-1" })).await.0, 200);
    assert_eq!(server.post(HASH, json!({ "agent_hash": "h2" })).await.0, 200);
    server.sql("UPDATE devices SET agent_hash = 'table'").await;
    for query in ["id=whoever".to_owned(), format!("agent_guid={OTHER}")] {
        let path = format!("{HASH}?{query}");
        server.note(&mut answers, Method::GET, &path, Value::Null).await;
    }
    server.sql("UPDATE devices SET hostname = NULL").await;
    server
        .note(&mut answers, Method::POST, HASH, json!({ "agent_hash": "h3" }))
        .await;
    assert_snapshot!(answers, @r#"
    GET /api/agent/hash null: 200 {"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"","hostname":"WIN-1","source":"database"}
    POST /api/agent/hash {"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3302"}: 403 {"error":"guid_mismatch"}
    POST /api/agent/hash {}: 400 {"error":"agent_hash and agent_guid or agent_id required"}
    POST /api/agent/hash {"agent_hash":5}: 400 {"error":"agent_hash and agent_guid or agent_id required"}
    POST /api/agent/hash {"agent_hash":" h1 ","agent_id":" a-1 ","agent_guid":"3f2504e0-4f89-11d3-9a0c-0305e82c3301"}: 200 {"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"h1","agent_id":"a-1","hostname":"WIN-1","status":"ok"}
    GET /api/agent/hash?id=whoever null: 200 {"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"h2","agent_id":"a-1","source":"memory"}
    GET /api/agent/hash?agent_guid=3F2504E0-4F89-11D3-9A0C-0305E82C3302 null: 403 {"error":"guid_mismatch"}
    POST /api/agent/hash {"agent_hash":"h3"}: 200 {"agent_guid":"3F2504E0-4F89-11D3-9A0C-0305E82C3301","agent_hash":"h3","status":"ignored"}
    "#);
    server.0.stop().await;
}
