//! The realtime channel on a whole server, with real sockets.

mod fleet;
mod heartbeats;
mod job_status;
mod logins;
mod odd_packets;
mod polling;

use std::time::Duration;

use borealis_engine::{Settings, config::timing::Timing};
use insta::assert_snapshot;
use serde_json::json;

use crate::testkit::{AGENT, GUID, START, rows::Device, server::Server, socket::Client};

#[tokio::test]
async fn a_client_connects_as_the_protocol_says() {
    let usual = |settings: &mut Settings| settings.timing = Timing::default();
    let server = Server::start_with("legacy", "", usual).await;
    let mut client = Client::open(&server, &[]).await;
    let open = client.frame().await;
    let packet: serde_json::Value = serde_json::from_str(open.strip_prefix("0").unwrap()).unwrap();
    let sid = packet["sid"].as_str().unwrap();
    assert_eq!(sid.len(), 20);
    assert_eq!(
        open,
        format!(
            "0{{\"sid\":\"{sid}\",\"upgrades\":[],\"pingTimeout\":20000,\"pingInterval\":25000,\"maxPayload\":100000000}}"
        )
    );
    client.send("40{\"token\":\"x\"}").await;
    let joined = client.frame().await;
    assert!(
        joined.starts_with("40{\"sid\":\"") && joined.len() == 32,
        "{joined}"
    );
    assert!(!joined.contains(sid));
    server.stop().await;
}

#[tokio::test]
async fn what_means_nothing_is_ignored_and_the_session_goes_on() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::open(&server, &[]).await;
    client.frame().await;
    for premature in ["42[\"list_agent_windows\",1]", "421[\"list_agent_windows\",1]"] {
        client.send(premature).await;
    }
    client.join().await;
    for ignored in [
        "42",
        "42{}",
        "42[]",
        "42[5]",
        "44\"x\"",
        "49",
        "4x",
        "43[]",
        "6",
        "7",
        "9",
        "421[\"no_such_event\",1]",
        "422[\"list_agent_windows\"]",
        "423[\"list_agent_windows\",1,2]",
        "42/other,[\"list_agent_windows\",1]",
        "424[\"connect_agent\",\"text\"]",
        "425[\"connect_agent\",{\"agent_id\":[1]}]",
        "426[\"macro_status\",null]",
    ] {
        client.send(ignored).await;
    }
    for (sent, answers) in [
        ("40", &["44\"Unable to connect\""][..]),
        ("40/other,", &["44/other,\"Unable to connect\""]),
        ("427[\"connect_agent\",{}]", &["437[]"]),
        (
            "428[\"list_agent_windows\",null]",
            &["42[\"list_agent_windows\"]", "438[]"],
        ),
        (
            "4207[\"\\u006cist_agent_windows\",[1.50,1e3]]",
            &["42[\"list_agent_windows\",[1.5,1000.0]]", "437[]"],
        ),
    ] {
        client.send(sent).await;
        for answer in answers {
            assert_eq!(client.frame().await, *answer, "{sent}");
        }
    }
    // Who has left gets nothing until it comes again.
    client.send("41").await;
    client.send("429[\"list_agent_windows\",1]").await;
    client.join().await;
    server.stop().await;
}

#[tokio::test]
async fn frames_that_are_no_packets_end_the_session() {
    let server = Server::start("legacy", "").await;
    for frame in ["", "x", "1", "45[\"screenshot\",{}]", "450-[\"screenshot\",{}]"] {
        let mut client = Client::join_new(&server, &[]).await;
        client.send(frame).await;
        assert!(client.is_closed().await, "{frame:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_events_come_in_order_from_the_very_first() {
    let server = Server::start("legacy", "").await;
    let mut watcher = Client::join_new(&server, &[]).await;
    let mut client = Client::open(&server, &[]).await;
    // Nothing is waited for: the first event comes right behind the connection.
    client.send("40").await;
    for number in 0..1000 {
        client
            .send(&format!("42{number}[\"list_agent_windows\",{number}]"))
            .await;
    }
    for number in 0..1000 {
        assert_eq!(
            watcher.frame().await,
            format!("42[\"list_agent_windows\",{number}]")
        );
    }
    client.frame().await;
    client.frame().await;
    for number in 0..1000 {
        assert_eq!(
            client.frame().await,
            format!("42[\"list_agent_windows\",{number}]")
        );
        assert_eq!(client.frame().await, format!("43{number}[]"));
    }
    server.stop().await;
}

#[tokio::test]
async fn attachments_are_relayed_as_binary() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    let sent = "{\"agent_id\":\"A\",\"image_base64\":{\"_placeholder\":true,\"num\":0}}";
    client.send(&format!("451-3[\"screenshot\",{sent}]")).await;
    client.send_binary(&[0, 1, 2]).await;
    assert_eq!(client.frame().await, format!("451-[\"new_screenshot\",{sent}]"));
    assert_eq!(client.binary().await, [0, 1, 2]);
    assert_eq!(client.frame().await, "433[]");
    server.stop().await;
}

#[tokio::test]
async fn an_event_of_bytes_alone_is_of_a_wrong_type_where_an_object_is_needed() {
    let server = Server::start("legacy", "").await;
    let mut watcher = Client::join_new(&server, &[]).await;
    let mut client = Client::join_new(&server, &[]).await;
    for name in [
        "macro_status",
        "screenshot",
        "agent_screenshot_task",
        "connect_agent",
        "agent_heartbeat",
        "collector_status",
        "request_config",
    ] {
        let alone = "{\"_placeholder\":true,\"num\":0,\"agent_id\":\"A\"}";
        client.send(&format!("451-7[\"{name}\",{alone}]")).await;
        client.send_binary(b"abc").await;
        client.nothing_came().await;
    }
    watcher.nothing_came().await;
    assert_eq!(server.get("/api/agents", &[]).await, (200, "{}\n".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn an_attachment_that_is_named_a_thousand_times_is_sent_once() {
    let server = Server::start("legacy", "").await;
    let mut watcher = Client::join_new(&server, &[]).await;
    let mut client = Client::join_new(&server, &[]).await;
    let named = |number: usize| format!("{{\"_placeholder\":true,\"num\":{number}}}");
    let sent = format!("[{}]", vec![named(1); 1000].join(","));
    client.send(&format!("452-[\"agent_window_list\",{sent}]")).await;
    client.send_binary(b"never named").await;
    client.send_binary(b"image").await;
    client.send("42[\"agent_window_list\",\"next\"]").await;
    let relayed = format!("[{}]", vec![named(0); 1000].join(","));
    assert_eq!(
        watcher.frame().await,
        format!("451-[\"agent_window_list\",{relayed}]")
    );
    assert_eq!(watcher.binary().await, b"image");
    assert_eq!(watcher.frame().await, "42[\"agent_window_list\",\"next\"]");
    server.stop().await;
}

#[tokio::test]
async fn what_came_before_its_sender_went_is_handled() {
    let server = Server::start("legacy", "").await;
    let mut watcher = Client::join_new(&server, &[]).await;
    for round in 0..10 {
        let mut client = Client::join_new(&server, &[]).await;
        for number in 0..60 {
            client
                .send(&format!("42{number}[\"agent_window_list\",[{round},{number}]]"))
                .await;
        }
        // Answers that nobody reads make this a reset, at which the server's next write fails.
        drop(client);
    }
    let mut seen = [0; 10];
    while seen != [60; 10] {
        let frame = watcher.frame().await;
        if frame == "2" {
            watcher.send("3").await;
            continue;
        }
        let told: (String, [usize; 2]) = serde_json::from_str(frame.strip_prefix("42").unwrap()).unwrap();
        let [round, number] = told.1;
        assert_eq!(seen[round], number);
        seen[round] += 1;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_large_screenshot_passes() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    let image = "A".repeat(3_000_000);
    let shot = json!({ "agent_id": "A", "image_base64": image });
    client.send(&format!("42[\"screenshot\",{shot}]")).await;
    assert_eq!(client.frame().await, format!("42[\"new_screenshot\",{shot}]"));
    server.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_cuts_its_sender_off() {
    let server = Server::start("strict", "").await;
    let mut nobody = Client::join_new(&server, &[]).await;
    nobody
        .send(&format!("42[\"x\",\"{}\"]", "A".repeat(1_000_000)))
        .await;
    assert!(nobody.is_closed().await);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go_and_stalls_nobody() {
    let server = Server::start("legacy", "").await;
    let silent = Client::join_new(&server, &[]).await;
    let mut client = Client::join_new(&server, &[]).await;
    let load = "x".repeat(1_000_000);
    for number in 0..200 {
        client
            .send(&format!("42{number}[\"list_agent_windows\",\"{load}\"]"))
            .await;
        client.frame().await;
        assert_eq!(client.frame().await, format!("43{number}[]"));
    }
    assert!(silent.was_cut_off().await);
    server.stop().await;
}

#[tokio::test]
async fn an_agent_is_listed_configured_and_forgotten() {
    let server = Server::start("legacy", "").await;
    let mut agent = Client::join_new(&server, &[]).await;
    agent
        .call(
            "connect_agent",
            json!({ "agent_id": "A", "service_mode": "system" }),
        )
        .await;
    agent
        .call(
            "agent_heartbeat",
            json!({ "agent_id": "A", "hostname": "WIN-A", "last_seen": 7 }),
        )
        .await;
    let (status, listed) = server.get("/api/agents", &[]).await;
    assert_eq!(status, 200);
    assert_eq!(
        listed,
        format!(
            "{}\n",
            "{\"A\":{\"agent_id\":\"A\",\"agent_operating_system\":\"-\",\"collector_active\":false,\
             \"hostname\":\"WIN-A\",\"last_seen\":7,\"service_mode\":\"currentuser\",\"status\":\"orphaned\"}}"
        )
    );
    let body = "{\"agent_id\":\"A\",\"roles\":[1.50]}";
    assert_eq!(
        server.post("/api/agent/provision", body).await,
        (200, "{\"roles\":[1.5],\"status\":\"provisioned\"}\n".to_owned())
    );
    assert_eq!(
        agent.frame().await,
        "42[\"agent_config\",{\"roles\":[1.5],\"agent_id\":\"A\"}]"
    );
    agent.send("42[\"request_config\",{\"agent_id\":\"A\"}]").await;
    assert_eq!(agent.frame().await, "42[\"agent_config\",{\"roles\":[1.5]}]");
    assert_eq!(
        server.delete("/api/agent/A").await,
        (200, "{\"status\":\"removed\"}\n".to_owned())
    );
    assert_eq!(server.delete("/api/agent/A").await.0, 404);
    // What is falsy lacks its members; what is not is no object.
    let lacking = "{\"error\":\"Missing agent_id or roles[] in provision payload.\"}\n";
    for body in ["null", "[]", "0", "\"\"", "false", "{}"] {
        let answer = server.post("/api/agent/provision", body).await;
        assert_eq!(answer, (400, lacking.to_owned()), "{body}");
    }
    assert_eq!(
        server.post("/api/agent/provision", "[1]").await,
        (400, "{\"error\":\"invalid JSON body\"}\n".to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn every_row_is_listed_after_a_start() {
    let server = Server::start("legacy", "").await;
    let mut agent = Client::join_new(&server, &[]).await;
    let user = json!({ "agent_id": "A", "hostname": "  ", "last_user": "bob" });
    agent.call("collector_status", user).await;
    agent
        .call(
            "agent_heartbeat",
            json!({ "agent_id": "B", "hostname": "WIN-B", "last_seen": 7 }),
        )
        .await;
    drop(agent);
    let server = server
        .restart_after(
            "UPDATE devices SET agent_id = ' B ', device_type = ' Laptop ' WHERE hostname = 'WIN-B'",
        )
        .await;
    let (_, listed) = server.get("/api/agents", &[]).await;
    assert_snapshot!(listed, @r#"{"  ":{"agent_id":"  ","agent_operating_system":"-","collector_active":false,"device_type":"","hostname":"unknown","last_seen":0,"service_mode":"currentuser","status":"Offline"},"B":{"agent_id":"B","agent_operating_system":"-","collector_active":false,"device_type":"Laptop","hostname":"WIN-B","last_seen":7,"service_mode":"currentuser","status":"Offline"}}"#);
    server.stop().await;
}

#[tokio::test]
async fn ids_and_names_may_be_as_long_as_they_like_where_nobody_is_checked() {
    let server = Server::start("legacy", "").await;
    let mut agent = Client::join_new(&server, &[]).await;
    let long = "x".repeat(5_000);
    agent
        .call("agent_heartbeat", json!({ "agent_id": long, "hostname": long }))
        .await;
    agent.call("connect_agent", json!({ "agent_id": long })).await;
    let (_, listed) = server.get("/api/agents", &[]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[&long]["hostname"], long);
    server.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_the_devices_and_nothing_else() {
    let server = Server::start("legacy", "").await;
    let mut agent = Client::join_new(&server, &[]).await;
    agent.call("connect_agent", json!({ "agent_id": "A" })).await;
    agent
        .call(
            "agent_heartbeat",
            json!({ "agent_id": "B", "hostname": "WIN-B", "last_seen": 7 }),
        )
        .await;
    server.post("/api/agent/provision", "{\"agent_id\":\"B\"}").await;
    let server = server.restart().await;
    assert_snapshot!(server.send("GET", "/api/agents", &[], "").await, @r#"
    200
    {
      "B": {
        "agent_id": "B",
        "agent_operating_system": "-",
        "collector_active": false,
        "device_type": "",
        "hostname": "WIN-B",
        "last_seen": 7,
        "service_mode": "currentuser",
        "status": "Offline"
      }
    }
    "#);
    server.stop().await;
}

#[tokio::test]
async fn stopping_ends_every_connection_without_a_word() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    server.stop().await;
    // After a packet that says so, client libraries would not come back.
    assert!(client.ends_without_a_word().await);
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "a test's own pause")]
async fn what_came_before_the_stop_is_written_down() {
    let rows = "INSERT INTO activity_history (id, hostname, script_path, script_name, script_type, ran_at, status) \
        VALUES (7, 'WIN-1', 'p', 'n', 't', 1, 'Running'), (8, 'WIN-1', 'p', 'n', 't', 1, 'Running')";
    let server = Server::start("legacy", rows).await;
    let mut agent = Client::join_new(&server, &[]).await;
    let lock = server.lock_database().await;
    for id in [7, 8] {
        let result = json!({ "job_id": id, "status": "Success" });
        agent.send(&format!("42[\"quick_job_result\",{result}]")).await;
    }
    agent.is_read().await;
    // The first result waits for the database when the server is told to stop, and the second one for the first.
    let (server, ()) = tokio::join!(server.restart(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(lock);
    });
    let done = "SELECT COUNT(*) FROM activity_history WHERE status = 'Success'";
    assert_eq!(server.count(done).await, 2);
    server.stop().await;
}

/// Not the usual fingerprint and version, so that neither is taken for granted.
const DEVICE: Device = Device::new(GUID, "WIN-1", "ab12").with_token_version(2);

#[tokio::test]
async fn a_device_speaks_for_itself_alone() {
    let server = Server::start("strict", DEVICE).await;
    let token = server.token(GUID, "ab12", 2, START);
    let mut agent = Client::join_new(&server, &[("authorization", &format!("Bearer {token}"))]).await;
    agent.call("connect_agent", json!({ "agent_id": AGENT })).await;
    agent
        .call_in_vain("connect_agent", json!({ "agent_id": "WIN-2_SYSTEM" }))
        .await;
    agent
        .call_in_vain(
            "agent_heartbeat",
            json!({ "agent_id": AGENT, "hostname": "WIN-2" }),
        )
        .await;
    agent.call_in_vain("list_agent_windows", json!({})).await;
    agent
        .call_in_vain("ansible_playbook_run", json!({ "target_hostname": "WIN-1" }))
        .await;
    // What it reports goes to operators, not back to it.
    agent
        .call("macro_status", json!({ "agent_id": AGENT, "success": true }))
        .await;
    server.stop().await;
}

#[tokio::test]
async fn an_expired_token_of_a_living_device_counts() {
    let server = Server::start("strict", DEVICE).await;
    let token = server.token(GUID, "ab12", 2, START - 86_400);
    let mut agent = Client::join_new(&server, &[("authorization", &format!("Bearer {token}"))]).await;
    agent.call("connect_agent", json!({ "agent_id": AGENT })).await;
    // Other keys and versions do not, and a revoked device loses its rights while it is connected.
    for (fingerprint, version) in [("ff", 2), ("ab12", 1)] {
        let token = server.token(GUID, fingerprint, version, START);
        let mut other = Client::join_new(&server, &[("authorization", &format!("Bearer {token}"))]).await;
        other
            .call_in_vain("connect_agent", json!({ "agent_id": AGENT }))
            .await;
    }
    server.sql("UPDATE devices SET status = 'revoked'").await;
    server.pass(Duration::from_secs(5));
    agent
        .call_in_vain("connect_agent", json!({ "agent_id": AGENT }))
        .await;
    server.stop().await;
}

#[tokio::test]
async fn operators_command_agents_and_see_what_they_report() {
    let server = Server::start("strict", DEVICE).await;
    let token = server.token(GUID, "ab12", 2, START);
    let mut agent = Client::join_new(&server, &[("authorization", &format!("Bearer {token}"))]).await;
    agent.call("connect_agent", json!({ "agent_id": AGENT })).await;
    let cookie = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("cookie", &cookie)]).await;
    let mut nobody = Client::join_new(&server, &[]).await;

    nobody
        .call_in_vain("list_agent_windows", json!({ "agent_id": AGENT }))
        .await;
    // One that names nobody is for nobody.
    for named in [
        json!(1),
        json!({ "agent_id": "" }),
        json!({ "run_id": "unknown" }),
    ] {
        operator.call_in_vain("ansible_playbook_cancel", named).await;
    }
    agent.nothing_came().await;
    let command = json!({ "agent_id": AGENT });
    operator.call("list_agent_windows", command.clone()).await;
    assert_eq!(
        agent.frame().await,
        format!("42[\"list_agent_windows\",{command}]")
    );
    // A playbook is run over HTTP.
    operator
        .call_in_vain("ansible_playbook_run", json!({ "target_hostname": "WIN-1" }))
        .await;
    let shot = json!({ "agent_id": AGENT, "image_base64": "AAAA" });
    agent.call("screenshot", shot.clone()).await;
    assert_eq!(operator.frame().await, format!("42[\"new_screenshot\",{shot}]"));
    operator.call_in_vain("screenshot", shot).await;

    server.sql("DELETE FROM users").await;
    server.pass(Duration::from_secs(5));
    operator.call_in_vain("list_agent_windows", json!(2)).await;
    nobody.nothing_came().await;
    server.stop().await;
}

#[tokio::test]
async fn anonymous_sessions_keep_no_agent_and_no_operator_out() {
    let server = Server::start_with("strict", DEVICE, |settings| {
        settings.bounds.sockets = 2;
        settings.bounds.anonymous.sockets_per_address = 2;
        settings.bounds.anonymous.sockets = 3;
    })
    .await;
    let token = server.token(GUID, "ab12", 2, START);
    let mut agent = Client::join_new(&server, &[("authorization", &format!("Bearer {token}"))]).await;
    agent.call("connect_agent", json!({ "agent_id": AGENT })).await;
    // Of one address the oldest makes room, and then the oldest of all.
    let mut strangers = Vec::new();
    for address in [
        "192.0.2.1",
        "192.0.2.1",
        "192.0.2.1",
        "192.0.2.2:80",
        "[2001:db8::1]:80",
    ] {
        strangers.push(Client::join_new(&server, &[("x-forwarded-for", address)]).await);
    }
    for (number, stranger) in strangers.iter_mut().enumerate() {
        if number < 2 {
            assert!(stranger.ends_without_a_word().await, "{number}");
        } else {
            stranger.nothing_came().await;
        }
    }
    // One who polls is told that his session is over.
    let (_, _, opened) = server.poll("GET", "EIO=4", &[], "").await;
    let sid = String::from_utf8(opened[9..29].to_vec()).unwrap();
    for _ in 0..2 {
        assert_eq!(server.poll("GET", "EIO=4", &[], "").await.0, 200);
    }
    let (status, _, body) = server.poll("GET", &format!("EIO=4&sid={sid}"), &[], "").await;
    assert_eq!(
        (status, body),
        (400, format!("\"'Session is disconnected' {sid}\"").into_bytes())
    );
    let cookie = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("cookie", &cookie)]).await;
    let command = json!({ "agent_id": AGENT });
    operator.call("list_agent_windows", command.clone()).await;
    assert_eq!(
        agent.frame().await,
        format!("42[\"list_agent_windows\",{command}]")
    );
    // There is no room for another one.
    let (status, _, body) = server.poll("GET", "EIO=4", &[("cookie", &cookie)], "").await;
    assert_eq!((status, body.as_slice()), (503, &b"Too many sessions"[..]));
    server.stop().await;
}

#[tokio::test]
async fn operators_routes_ask_who_calls() {
    let server = Server::start("strict", "").await;
    let unauthorized = (401, "{\"error\":\"unauthorized\"}\n".to_owned());
    for path in ["/api/agents", "/api/agent/a/node/n/screenshot/live"] {
        assert_eq!(server.get(path, &[]).await, unauthorized, "{path}");
    }
    assert_eq!(server.delete("/api/agent/a").await, unauthorized);
    assert_eq!(server.post("/api/agent/provision", "{bad").await, unauthorized);
    let cookie = server.log_in().await;
    assert_eq!(server.get("/api/agents", &[("cookie", &cookie)]).await.0, 200);
    server.stop().await;
}
