//! A script runs once, and a second time only where nothing shows that it arrived: on a whole server, with real sockets.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::testkit::{
    AGENT, GUID, START,
    agents::{event, system, two_devices, work},
    server::Server,
    socket::Client,
};

const JOB: &str =
    r#"{"name":"hello","components":[{"type":"script","path":"hello.ps1"}],"targets":["WIN-1"]}"#;
const QUICK: &str = r#"{"script_path":"Scripts/hello.ps1","hostnames":["WIN-1"]}"#;
const MINUTE: Duration = Duration::from_secs(60);
/// Looks at what takes as long as it takes, each some round trips long: no test that is well needs more than a few.
const TRIES: usize = 1000;

/// A server with a script, and an operator's cookies.
async fn server() -> (Server, String) {
    let server = Server::start("strict", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "Restart-Computer\r\n");
    let cookies = server.log_in().await;
    (server, cookies)
}

async fn post(server: &Server, cookies: &str, path: &str, body: &str) {
    let (status, answer) = server.ask("POST", path, &[("cookie", cookies)], body).await;
    assert_eq!(status, 200, "{answer}");
}

/// Status and stderr of an activity.
async fn activity(server: &Server, cookies: &str, id: usize) -> (String, String) {
    let path = format!("/api/device/activity/job/{id}");
    let (_, body) = server.get(&path, &[("cookie", cookies)]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    (text("status"), text("stderr"))
}

/// Lets time pass until the agent gets a frame; what is due comes with the first step as a rule.
async fn frame_in_time(server: &Server, agent: &mut Client, step: Duration, steps: usize) -> String {
    for _ in 0..steps {
        server.pass_and_settle(step).await;
        if let Some(frame) = agent.frame_within(Duration::from_secs(2)).await {
            return frame;
        }
    }
    panic!("nothing came");
}

#[tokio::test]
async fn a_script_that_restarts_its_machine_is_sent_twice_and_then_its_run_fails() {
    for (path, body, step) in [
        ("/api/scheduled_jobs", JOB, MINUTE),
        // Short steps: its patience is short, and the server has to see first that the connection is gone.
        ("/api/scripts/quick_run", QUICK, Duration::from_secs(1)),
    ] {
        let (server, cookies) = server().await;
        let mut operator = Client::join_new(&server, &[("Cookie", &cookies)]).await;
        let mut agent = system(&server).await;
        post(&server, &cookies, path, body).await;
        let mut got = Vec::new();
        let mut reason = String::new();
        for _ in 0..TRIES {
            server
                .pass_and_settle(if got.len() < 2 {
                    step
                } else {
                    Duration::from_secs(1)
                })
                .await;
            let frames = agent.frames().await;
            let events: Vec<_> = frames.iter().filter(|frame| frame.starts_with("42")).collect();
            if !events.is_empty() {
                got.extend(events.into_iter().map(|frame| event(frame).2));
                // The machine is gone at once, without a pong, and is back as fast.
                drop(agent);
                agent = system(&server).await;
            }
            let (status, stderr) = activity_or_none(&server, &cookies).await;
            if status == "Failed" {
                reason = stderr;
                break;
            }
        }
        assert_eq!(got.len(), 2, "{path}");
        assert_eq!(got[0], got[1], "{path}");
        assert!(reason.starts_with("Sent twice"), "{path}: {reason}");
        for _ in 0..5 {
            server.pass_and_settle(MINUTE).await;
            assert_eq!(agent.frames().await, [""; 0], "{path}");
        }
        let told: Vec<_> = operator.frames().await.iter().map(|frame| event(frame)).collect();
        let failed: Vec<_> = told
            .iter()
            .filter(|(_, _, payload)| payload["status"] == "Failed")
            .map(|(_, name, _)| name.as_str())
            .collect();
        let expected = ["device_activity_changed", "job_run_completed"];
        let expected = if body == JOB {
            &expected[..]
        } else {
            &expected[..1]
        };
        assert_eq!(failed, expected, "{path}");
        server.stop().await;
    }
}

/// Status and stderr of the first activity, where there is one.
async fn activity_or_none(server: &Server, cookies: &str) -> (String, String) {
    let (status, body) = server
        .get("/api/device/activity/job/1", &[("cookie", cookies)])
        .await;
    if status == 404 {
        return (String::new(), String::new());
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("stderr"))
}

#[tokio::test]
async fn an_agent_that_answered_the_ping_behind_its_work_never_gets_it_again() {
    for (path, body) in [("/api/scheduled_jobs", JOB), ("/api/scripts/quick_run", QUICK)] {
        let (server, cookies) = server().await;
        let mut agent = system(&server).await;
        post(&server, &cookies, path, body).await;
        if body == JOB {
            server.pass_and_settle(MINUTE).await;
        }
        work(&mut agent).await;
        agent.send("3").await;
        // The script runs: neither an acknowledgement nor a result comes.
        agent.nothing_came().await;
        drop(agent);
        let mut agent = system(&server).await;
        for _ in 0..5 {
            server.pass_and_settle(MINUTE).await;
            assert_eq!(agent.frames().await, [""; 0], "{path}");
        }
        let expected = if body == JOB { "Success" } else { "Running" };
        assert_eq!(activity(&server, &cookies, 1).await.0, expected);
        // Its end is stored whenever it comes.
        let result = json!({"job_id": 1, "status": "Failed", "stdout": "", "stderr": "late"});
        agent.call("quick_job_result", result).await;
        assert_eq!(
            activity(&server, &cookies, 1).await,
            ("Failed".to_owned(), "late".to_owned())
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn a_polling_agent_confirms_its_work_too() {
    let (server, cookies) = server().await;
    let token = format!("Bearer {}", server.token(GUID, "ab", 1, START));
    let headers = [("authorization", token.as_str())];
    let open = "EIO=4&transport=polling";
    let (_, _, body) = server.poll("GET", open, &headers, "").await;
    let packet: Value = serde_json::from_slice(&body[1..]).unwrap();
    let query = format!("{open}&sid={}", packet["sid"].as_str().unwrap());
    let announced = format!("421[\"connect_agent\",{{\"agent_id\":\"{AGENT}\"}}]");
    for packets in ["40".to_owned(), announced] {
        assert_eq!(server.poll("POST", &query, &headers, &packets).await.0, 200);
        server.poll("GET", &query, &headers, "").await;
    }
    post(&server, &cookies, "/api/scripts/quick_run", QUICK).await;
    let (_, _, body) = server.poll("GET", &query, &headers, "").await;
    let packets = String::from_utf8(body).unwrap();
    let packets: Vec<_> = packets.split('\u{1e}').collect();
    assert_eq!((packets.len(), packets[1]), (2, "2"), "{packets:?}");
    assert_eq!(event(packets[0]).1, "quick_job_run");
    server.poll("POST", &query, &headers, "3").await;
    server.poll("POST", &query, &headers, "1").await;
    let mut agent = system(&server).await;
    for _ in 0..8 {
        server.pass_and_settle(Duration::from_secs(15)).await;
        assert_eq!(agent.frames().await, [""; 0]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_quick_run_survives_a_restart_and_is_sent_when_its_agent_comes_within_minutes() {
    let (server, cookies) = server().await;
    let (status, answer) = server
        .ask("POST", "/api/scripts/quick_run", &[("cookie", &cookies)], QUICK)
        .await;
    assert_eq!(
        (status, answer.as_str()),
        (
            200,
            "{\"results\":[{\"hostname\":\"WIN-1\",\"job_id\":1,\"status\":\"Running\"}]}\n"
        )
    );
    let server = server.restart().await;
    let mut agent = system(&server).await;
    let frame = frame_in_time(&server, &mut agent, Duration::from_secs(15), 18).await;
    let (_, name, payload) = event(&frame);
    assert_eq!(
        (
            name.as_str(),
            payload["job_id"].as_i64(),
            payload["target_hostname"].as_str(),
            payload["script_content"].as_str()
        ),
        (
            "quick_job_run",
            Some(1),
            Some("WIN-1"),
            Some("UmVzdGFydC1Db21wdXRlcgo=")
        )
    );
    server.stop().await;
}

#[tokio::test]
async fn a_quick_run_whose_agent_never_comes_ends_after_minutes_also_across_a_restart() {
    let (server, cookies) = server().await;
    post(&server, &cookies, "/api/scripts/quick_run", QUICK).await;
    let server = server.restart().await;
    let cookies = {
        drop(cookies);
        server.log_in().await
    };
    let mut operator = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    let mut told = None;
    for _ in 0..TRIES / 10 {
        server.pass_and_settle(MINUTE).await;
        told = operator.frame_within(Duration::from_millis(100)).await;
        if told.is_some() {
            break;
        }
    }
    let (_, name, payload) = event(&told.unwrap());
    assert_eq!(
        (
            name.as_str(),
            payload["status"].as_str(),
            payload["activity_id"].as_i64()
        ),
        ("device_activity_changed", Some("Failed"), Some(1))
    );
    assert_eq!(
        activity(&server, &cookies, 1).await,
        ("Failed".to_owned(), "Device offline".to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn a_caller_who_resets_the_connection_leaves_no_quick_run_unsent() {
    let (server, cookies) = server().await;
    let mut agent = system(&server).await;
    let mut got = BTreeSet::new();
    let mut unanswered = 0;
    for _ in 0..150 {
        let mut caller = TcpStream::connect(server.address()).await.unwrap();
        let request = format!(
            "POST /api/scripts/quick_run HTTP/1.1\r\nhost: x\r\ncookie: {cookies}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{QUICK}",
            QUICK.len()
        );
        caller.write_all(request.as_bytes()).await.unwrap();
        // At every moment of the request: before it is read, while its rows are written, and after.
        for _ in 0..unanswered {
            tokio::task::yield_now().await;
        }
        unanswered = (unanswered + 7) % 300;
        caller.set_zero_linger().unwrap();
        drop(caller);
    }
    for _ in 0..TRIES {
        let stored = stored(&server, &cookies).await;
        for frame in agent.frames().await {
            if frame == "2" {
                agent.send("3").await;
            } else {
                got.insert(event(&frame).2["job_id"].as_i64().unwrap());
            }
        }
        // Twice the same: nothing is being stored any more.
        if got == stored && !got.is_empty() && self::stored(&server, &cookies).await == stored {
            server.stop().await;
            return;
        }
    }
    let stored = stored(&server, &cookies).await;
    panic!("stored and never sent: {:?}", stored.difference(&got));
}

/// The ids of the host's activities.
async fn stored(server: &Server, cookies: &str) -> BTreeSet<i64> {
    let (_, body) = server
        .get("/api/device/activity/WIN-1", &[("cookie", cookies)])
        .await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let history = body["history"].as_array().unwrap();
    history.iter().map(|line| line["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn what_a_script_printed_is_stored_whatever_it_printed() {
    let (server, cookies) = server().await;
    let mut agent = system(&server).await;
    post(&server, &cookies, "/api/scripts/quick_run", QUICK).await;
    work(&mut agent).await;
    agent
        .send(r#"427["quick_job_result",{"job_id":1,"status":"Failed","stdout":"a\ud83d\u0000b","stderr":"\udc00 \ud83d\ude00"}]"#)
        .await;
    assert_eq!(agent.frame().await, "437[]");
    assert_eq!(
        activity(&server, &cookies, 1).await,
        ("Failed".to_owned(), "\u{fffd} \u{1f600}".to_owned())
    );
    let (_, body) = server
        .get("/api/device/activity/job/1", &[("cookie", &cookies)])
        .await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["stdout"], "a\u{fffd}\u{fffd}b");
    // Elsewhere such a text is no JSON.
    agent
        .send(r#"428["collector_status",{"agent_id":"\ud83d"}]"#)
        .await;
    agent.nothing_came().await;

    let token = format!("Bearer {}", server.token(GUID, "ab", 1, START));
    let report = r#"{"run_id":"r","hostname":"WIN-1","status":"Failed","recap_text":"\ud83d\u0000","recap_json":{"a":"\udc00"}}"#;
    let (status, body) = server
        .ask(
            "POST",
            "/api/ansible/recap/report",
            &[("authorization", &token)],
            report,
        )
        .await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["recap_text"], &body["recap_json"]),
        (&json!("\u{fffd}\u{fffd}"), &json!({"a": "\u{fffd}"}))
    );
    server.stop().await;
}
