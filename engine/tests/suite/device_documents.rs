//! What devices report of themselves, on a whole server.

mod accounts;
mod hashes;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::testkit::{
    GUID, START,
    answer::{Answer, Answers},
    rows::{Device, devices},
    server,
};

const OTHER: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3302";
const WIN_1: Device = Device::new(GUID, "WIN-1", "aa");
const WIN_2: Device = Device::new(OTHER, "WIN-2", "bb");
const DETAILS: &str = "/api/agent/details";
const CHECK_IN: &str = "/api/agent/checkin";
const ROTATE: &str = "/api/agent/service-account/rotate";
const HASH: &str = "/api/agent/hash";

/// Two devices on a server.
struct Fleet(server::Server);

impl Fleet {
    async fn start(policy: &str) -> Self {
        Self(server::Server::start(policy, devices(&[WIN_1, WIN_2])).await)
    }

    async fn sql(&self, statements: &str) {
        self.0.sql(statements).await;
    }

    async fn text(&self, query: &'static str) -> Option<String> {
        self.0.text(query).await
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> (u16, String) {
        self.0.ask(method.as_str(), path, headers, &body).await
    }

    async fn answer(&self, method: &Method, guid: &str, path: &str, body: &Value) -> Answer {
        let bearer = self.0.bearer(if guid == GUID { &WIN_1 } else { &WIN_2 });
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.0.send(method.as_str(), path, &headers, &body).await
    }

    async fn send(&self, method: Method, guid: &str, path: &str, body: Value) -> (u16, Value) {
        self.answer(&method, guid, path, &body).await.status_and_json()
    }

    /// What the device `WIN-1` asks, with the answer.
    async fn note(&self, answers: &mut Answers, method: Method, path: &str, body: Value) {
        let answer = self.answer(&method, GUID, path, &body).await;
        answers.note(format_args!("{method} {path} {body}"), &answer);
    }

    /// A POST of the device `WIN-1`.
    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, GUID, path, body).await
    }

    async fn shown(&self, hostname: &str) -> Value {
        let path = format!("/api/device/details/{hostname}");
        let (status, text) = self.ask(Method::GET, &path, &[], String::new()).await;
        assert_eq!(status, 200);
        serde_json::from_str(&text).unwrap()
    }
}

fn error(status: u16, word: &str) -> (u16, Value) {
    (status, json!({ "error": word }))
}

#[tokio::test]
async fn the_document_is_for_operators_where_the_policy_is_strict() {
    let server = Fleet::start("strict").await;
    let path = "/api/device/details/WIN-1";
    let unauthorized = "{\"error\":\"unauthorized\"}\n".to_owned();
    let ask = async |method, bearer: &str| {
        let headers = [("authorization", bearer)];
        server.ask(method, path, &headers, String::new()).await
    };
    assert_eq!(ask(Method::GET, "").await, (401, unauthorized.clone()));
    assert_eq!(ask(Method::HEAD, "").await, (401, String::new()));
    assert_eq!(ask(Method::OPTIONS, "").await, (200, String::new()));
    let token = server.0.token(GUID, "aa", 1, START);
    let device = format!("Bearer {token}");
    assert_eq!(ask(Method::GET, &device).await, (401, unauthorized));
    let login = json!({ "username": "admin", "password": "Password" }).to_string();
    let (_, answer) = server
        .ask(
            Method::POST,
            "/api/auth/login",
            &[("content-type", "application/json")],
            login,
        )
        .await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let operator = format!("Bearer {}", answer["token"].as_str().unwrap());
    let (status, text) = ask(Method::GET, &operator).await;
    assert_eq!(status, 200);
    assert!(text.contains("\"WIN-1\""), "{text}");
    server.0.stop().await;
}

#[tokio::test]
async fn a_document_is_stored_merged_and_shown() {
    let server = Fleet::start("legacy").await;
    assert_eq!(server.shown("NOBODY").await, json!({}));
    let report = json!({
        "hostname": "WIN-1", "agent_id": "agent-1", "agent_hash": " h ",
        "details": {
            "summary": { "domain": "LAB", "uptime_sec": 61, "external_ip": "203.0.113.7", "remote_type": "ssh" },
            "memory": [{ "slot": "A" }], "cpu": { "name": "x", "cores": 4 }
        }
    });
    assert_eq!(
        server.post(DETAILS, report).await,
        (200, json!({ "status": "ok" }))
    );
    let more = json!({
        "hostname": "WIN-1",
        "details": { "summary": { "domain": "", "last_user": "me" }, "memory": [], "cpu": { "name": "y" } }
    });
    assert_eq!(server.post(DETAILS, more).await.0, 200);
    let mut shown = server.shown("WIN-1").await;
    // The same as in the two places above it, for older clients.
    let details = shown.as_object_mut().unwrap().shift_remove("details").unwrap();
    for (name, value) in details.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    // The connection type is not what the device says (DEV-17).
    assert_snapshot!(format!("{shown:#}"), @r#"
    {
      "agent_guid": "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
      "agent_hash": "h",
      "agent_id": "agent-1",
      "cpu": {
        "cores": 4,
        "name": "y"
      },
      "created_at": 7,
      "description": "",
      "device_type": "",
      "domain": "LAB",
      "external_ip": "203.0.113.7",
      "internal_ip": "",
      "last_reboot": "",
      "last_seen": 5,
      "last_user": "me",
      "memory": [
        {
          "slot": "A"
        }
      ],
      "network": [],
      "operating_system": "",
      "software": [],
      "storage": [],
      "summary": {
        "agent_guid": "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        "agent_hash": "h",
        "agent_id": "agent-1",
        "ansible_ee_ver": "",
        "connection_endpoint": "203.0.113.7",
        "connection_type": "",
        "created": "1970-01-01 00:00:07",
        "created_at": 7,
        "description": "",
        "device_type": "",
        "domain": "LAB",
        "external_ip": "203.0.113.7",
        "hostname": "WIN-1",
        "internal_ip": "",
        "last_reboot": "",
        "last_seen": 5,
        "last_user": "me",
        "operating_system": "",
        "uptime": 61,
        "uptime_sec": 61
      },
      "uptime": 61
    }
    "#);
    let written = "SELECT COUNT(*) || '' FROM devices JOIN device_keys USING (guid) WHERE key_added_at = added_at \
                   AND device_keys.ssl_key_fingerprint = 'aa'";
    assert_eq!(server.text(written).await.as_deref(), Some("1"));
    server.0.stop().await;
}

#[tokio::test]
async fn a_document_that_does_not_fit_changes_nothing_and_blocks_nobody() {
    let server = Fleet::start("legacy").await;
    let details = json!({ "summary": { "domain": "NEW" }, "memory": [1] });
    let named = |hostname: &str| json!({ "hostname": hostname, "details": details });
    let mut answers = Answers::default();
    for hostname in ["WIN-2", "WIN-3", "win-1", " WIN-1 ", "WIN-1"] {
        let answer = server
            .answer(&Method::POST, GUID, DETAILS, &named(hostname))
            .await;
        answers.note(format_args!("{hostname:?}"), &answer);
    }
    for wrong in [
        json!({ "hostname": "WIN-1", "details": { "summary": null } }),
        json!({ "hostname": "WIN-1", "details": { "memory": { "a": 1 } } }),
        json!({ "hostname": "WIN-1", "details": { "summary": { "domain": {} } } }),
        json!({ "hostname": 1, "details": {} }),
        json!({}),
    ] {
        let answer = server.answer(&Method::POST, GUID, DETAILS, &wrong).await;
        answers.note(&wrong, &answer);
    }
    assert_snapshot!(answers, @r#"
    "WIN-2": 403 {"error":"guid_mismatch"}
    "WIN-3": 500 {"error":"UNIQUE constraint failed: devices.guid"}
    "win-1": 500 {"error":"UNIQUE constraint failed: devices.guid"}
    " WIN-1 ": 500 {"error":"UNIQUE constraint failed: devices.guid"}
    "WIN-1": 200 {"status":"ok"}
    {"hostname":"WIN-1","details":{"summary":null}}: 400 {"error":"invalid payload"}
    {"hostname":"WIN-1","details":{"memory":{"a":1}}}: 400 {"error":"invalid payload"}
    {"hostname":"WIN-1","details":{"summary":{"domain":{}}}}: 400 {"error":"invalid payload"}
    {"hostname":1,"details":{}}: 400 {"error":"invalid payload"}
    {}: 400 {"error":"invalid payload"}
    "#);
    assert_eq!(server.shown("WIN-1").await["memory"], json!([1]));
    let renamed = json!({ "hostname": "WIN-3" });
    assert_eq!(server.post("/api/agent/heartbeat", renamed).await.0, 200);
    assert_eq!(server.post(DETAILS, named("WIN-3")).await.0, 200);
    assert_eq!(
        server.text("SELECT COUNT(*) || '' FROM devices").await.as_deref(),
        Some("2")
    );
    server.0.stop().await;
}

/// Whose a host or an agent is comes before what is said of it, under either policy.

#[tokio::test]
async fn what_is_another_device_s_is_refused_whatever_is_said_of_it() {
    for policy in ["strict", "legacy"] {
        let server = Fleet::start(policy).await;
        let agent = json!({ "agent_id": "a-1" });
        assert_eq!(server.post(CHECK_IN, agent).await.0, 200);
        for (path, wrong) in [
            (
                DETAILS,
                json!({ "hostname": "WIN-1", "details": { "summary": null } }),
            ),
            (
                DETAILS,
                json!({ "hostname": "WIN-1", "agent_id": ["x"], "details": {} }),
            ),
            (ROTATE, json!({ "agent_id": "a-1", "username": 5 })),
        ] {
            let answer = server.send(Method::POST, OTHER, path, wrong.clone()).await;
            assert_eq!(answer, error(403, "guid_mismatch"), "{policy} {wrong}");
            let answer = server.post(path, wrong.clone()).await;
            assert_eq!(answer, error(400, "invalid payload"), "{policy} {wrong}");
        }
        // What is refused leaves nothing behind, in the registry either.
        let wrong = json!({ "agent_id": "a-2", "username": 5 });
        assert_eq!(server.post(ROTATE, wrong).await.0, 400);
        let right = json!({ "agent_id": "a-2" });
        assert_eq!(server.send(Method::POST, OTHER, ROTATE, right).await.0, 200);
        server.0.stop().await;
    }
}

#[tokio::test]
async fn falsy_scalars_of_a_document_are_stored_and_integers_that_do_not_fit_refused() {
    let server = Fleet::start("legacy").await;
    let named = |summary: &Value| json!({ "hostname": "WIN-1", "details": { "summary": summary } });
    for too_large in [
        json!({ "uptime_sec": 1e20, "domain": "LAB" }),
        json!({ "last_seen": "99999999999999999999", "domain": "LAB" }),
        json!({ "last_seen": u64::MAX, "domain": "LAB" }),
    ] {
        let answer = server.post(DETAILS, named(&too_large)).await;
        assert_eq!(answer, error(400, "invalid payload"), "{too_large}");
    }
    let columns = "SELECT COALESCE(domain, '-') || ' ' || COALESCE(agent_id, '-') || ' ' || COALESCE(last_user, '-') \
                   || ' ' || COALESCE(connection_endpoint, '-') || ' ' || last_seen FROM devices LIMIT 1";
    assert_eq!(server.text(columns).await.as_deref(), Some("- - - - 5"));
    let falsy = json!({ "domain": false, "agent_id": 0, "username": false, "internal_ip": 0 });
    assert_eq!(server.post(DETAILS, named(&falsy)).await.0, 200);
    assert_eq!(server.text(columns).await.as_deref(), Some("False 0 False 0 5"));
    server.0.stop().await;
}

/// Also by an id that is stored though it is falsy.

#[tokio::test]
async fn no_device_takes_another_one_s_agent_where_the_policy_is_strict() {
    let server = Fleet::start("strict").await;
    let agent = json!({ "agent_id": "0" });
    assert_eq!(server.send(Method::POST, OTHER, CHECK_IN, agent).await.0, 200);
    let mut report = json!({ "hostname": "WIN-1", "details": { "summary": { "agent_id": 0 } } });
    let answer = server.post(DETAILS, report.clone()).await;
    assert_eq!(answer, error(403, "guid_mismatch"));
    report["agent_id"] = json!("a-1");
    assert_eq!(server.post(DETAILS, report).await.0, 200, "the other id counts");
    server.0.stop().await;
}

#[tokio::test]
async fn the_list_of_agents_has_the_system_that_details_name() {
    let server = Fleet::start("legacy").await;
    assert_eq!(server.post(CHECK_IN, json!({ "agent_id": "a-1" })).await.0, 200);
    for (summary, system) in [
        (json!({ "agent_operating_system": "Win 11" }), json!("Win 11")),
        (json!({ "operating_system": " Win 12 " }), json!(" Win 12 ")),
        (json!({ "operating_system": 5 }), json!(5)),
        (json!({ "operating_system": "" }), json!("5")),
    ] {
        let report = json!({ "hostname": "WIN-1", "agent_id": "a-1", "details": { "summary": summary } });
        assert_eq!(server.post(DETAILS, report).await.0, 200);
        let (_, agents) = server.ask(Method::GET, "/api/agents", &[], String::new()).await;
        let agents: Value = serde_json::from_str(&agents).unwrap();
        assert_eq!(agents["a-1"]["agent_operating_system"], system, "{agents}");
    }
    server.0.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_where_it_is_read() {
    let server = Fleet::start("legacy").await;
    for path in [DETAILS, CHECK_IN, ROTATE, HASH] {
        assert_eq!(
            server.post(path, json!([1])).await,
            error(400, "invalid JSON body"),
            "{path}"
        );
    }
    assert_eq!(
        server.send(Method::GET, GUID, HASH, json!("x")).await,
        error(400, "invalid JSON body")
    );
    let (status, answer) = server.post("/api/agent/script/request", json!([1])).await;
    assert_eq!((status, &answer["status"]), (200, &json!("idle")));
    server.0.stop().await;
}

#[tokio::test]
async fn a_quarantined_device_gets_no_work() {
    let server = Fleet::start("legacy").await;
    server.sql("UPDATE devices SET status = 'Quarantined '").await;
    let (status, answer) = server.post("/api/agent/script/request", Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(answer["status"], "quarantined");
    assert_eq!(answer["poll_after_ms"], 60_000);
    assert_eq!(answer["sig_alg"], "ed25519");
    assert_eq!(answer["signing_key"].as_str().unwrap().len(), 60);
    server.0.stop().await;
}

/// As deep as a body may be: everything that walks through the document holds.
#[tokio::test]
async fn a_deep_document_is_stored_and_shown() {
    let server = Fleet::start("legacy").await;
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(990), close.repeat(990));
    let body = format!(
        "{{\"hostname\":\"WIN-1\",\"details\":{{\"summary\":{{\"domain\":{}}},\"memory\":{},\"cpu\":{}}}}}",
        nested("[", "]"),
        nested("[", "]"),
        nested("{\"a\":", "}")
    );
    let token = server.0.token(GUID, "aa", 1, START);
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    for _ in 0..2 {
        let (status, _) = server.ask(Method::POST, DETAILS, &headers, body.clone()).await;
        assert_eq!(status, 200);
    }
    let (status, text) = server
        .ask(Method::GET, "/api/device/details/WIN-1", &[], String::new())
        .await;
    assert_eq!(status, 200);
    assert!(text.contains(&nested("[", "]")));
    server.0.stop().await;
}

/// A device may send any document again and again; it settles at once.

#[tokio::test]
async fn a_document_sent_twice_changes_nothing_more() {
    let server = Fleet::start("legacy").await;
    let report = json!({
        "hostname": "WIN-1", "agent_id": "a",
        "details": {
            "summary": { "os": "x", "uptime": 5, "external_ip": "1.1.1.1", "last_seen": 9.9, "cpu": { "a": 1 } },
            "network": { "a": "\u{e9}" }, "storage": [1.0], "cpu": 5
        }
    });
    assert_eq!(server.post(DETAILS, report.clone()).await.0, 200);
    let once = server.shown("WIN-1").await;
    assert_eq!(once["last_seen"], 9);
    assert_eq!(server.post(DETAILS, report).await.0, 200);
    assert_eq!(server.shown("WIN-1").await, once);
    server.0.stop().await;
}

#[tokio::test]
async fn a_row_in_another_spelling_is_the_devices_own() {
    let server = Fleet::start("legacy").await;
    server
        .sql(&format!(
            "UPDATE devices SET guid = lower(guid) WHERE guid = '{GUID}'"
        ))
        .await;
    let report = json!({ "hostname": "ELSEWHERE", "details": {} });
    assert_eq!(server.post(DETAILS, report).await.0, 500, "no twin (DEV-7)");
    let request = json!({ "agent_id": "a-1" });
    assert_eq!(server.post(CHECK_IN, request).await.0, 200);
    assert_eq!(server.post(HASH, json!({ "agent_hash": "h" })).await.0, 200);
    let rows = "SELECT group_concat(guid || ' ' || COALESCE(agent_id, '-')) FROM devices";
    assert_eq!(server.text(rows).await, Some(format!("{GUID} a-1,{OTHER} -")));
    server.0.stop().await;
}
