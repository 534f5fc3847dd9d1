//! Runs are for the device that the host was when they began.

use std::time::Duration;

use serde_json::{Value, json};

use super::{A, C, OTHER_TWIN, TWIN, as_operator, server};
use crate::testkit::{agents, rows::Device, server::Server, socket::Client};

const STATUS: &str = "SELECT COUNT(*) FROM activity_history WHERE status = 'Running'";

async fn run_on(server: &Server, cookies: &str, host: &str) -> i64 {
    let body = json!({"script_path": "Scripts/hello.ps1", "hostnames": [host]});
    let (status, answer) = as_operator(server, cookies, "/api/scripts/quick_run", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["results"][0]["job_id"].as_i64().unwrap()
}

fn result(id: i64, stdout: &str) -> Value {
    json!({"job_id": id, "status": "Success", "stdout": stdout})
}

async fn gets_work(agent: &mut Client) -> Value {
    agents::work(agent).await.2
}

#[tokio::test]
async fn of_two_devices_of_one_key_each_gets_its_own_work_and_reports_on_it_alone() {
    let (server, cookies) = server().await;
    let mut twin = TWIN.connect(&server).await;
    let mut other = OTHER_TWIN.connect(&server).await;
    for (host, receiver, bystander) in [("TWIN", true, "twin"), ("twin", false, "TWIN")] {
        let id = run_on(&server, &cookies, host).await;
        let (to, from) = if receiver {
            (&mut twin, &mut other)
        } else {
            (&mut other, &mut twin)
        };
        assert_eq!(gets_work(to).await["job_id"], id, "{host}");
        to.send("3").await;
        from.nothing_came().await;
        from.call_in_vain("quick_job_result", result(id, "lies")).await;
        assert_eq!(server.count(STATUS).await, 1, "{bystander} answered for {host}");
        to.call("quick_job_result", result(id, "truth")).await;
        assert_eq!(server.count(STATUS).await, 0, "{host}");
    }
    // Neither is meant by a third spelling.
    run_on(&server, &cookies, "Twin").await;
    twin.nothing_came().await;
    other.nothing_came().await;
    server.stop().await;
}

#[tokio::test]
async fn a_host_may_be_named_in_another_letter_case() {
    let (server, cookies) = server().await;
    let mut agent = A.connect(&server).await;
    let id = run_on(&server, &cookies, "win-a").await;
    assert_eq!(gets_work(&mut agent).await["job_id"], id);
    agent.send("3").await;
    agent.call("quick_job_result", result(id, "ok")).await;
    assert_eq!(server.count(STATUS).await, 0);
    server.stop().await;
}

/// The device takes another name by a heartbeat.
async fn rename(server: &Server, device: &Device, hostname: &str) {
    let (status, answer) = device
        .post(server, "/api/agent/heartbeat", json!({"hostname": hostname}))
        .await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn waiting_work_follows_its_device_and_not_the_name() {
    let (server, cookies) = server().await;
    let id = run_on(&server, &cookies, "WIN-A").await;
    rename(&server, &A, "WIN-B").await;
    rename(&server, &C, "WIN-A").await;
    let mut successor = C.connect(&server).await;
    let mut agent = A.connect(&server).await;
    server.pass_and_settle(Duration::from_secs(20)).await;
    successor.nothing_came().await;
    assert_eq!(gets_work(&mut agent).await["job_id"], id);
    agent.send("3").await;
    successor
        .call_in_vain("quick_job_result", result(id, "lies"))
        .await;
    assert_eq!(server.count(STATUS).await, 1);
    agent.call("quick_job_result", result(id, "ok")).await;
    assert_eq!(server.count(STATUS).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn work_for_a_name_that_no_device_had_is_nobody_s() {
    let (server, cookies) = server().await;
    let id = run_on(&server, &cookies, "WIN-NEW").await;
    rename(&server, &C, "WIN-NEW").await;
    let mut agent = C.connect(&server).await;
    server.pass_and_settle(Duration::from_secs(20)).await;
    agent.nothing_came().await;
    agent.call_in_vain("quick_job_result", result(id, "lies")).await;
    assert_eq!(server.count(STATUS).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_scheduled_run_is_its_device_s_whoever_has_the_name_later() {
    let (server, cookies) = server().await;
    let mut agent = A.connect(&server).await;
    let job = json!({"name": "hello", "components": [{"type": "script", "path": "hello.ps1"}], "targets": ["WIN-A"]});
    let (status, answer) = as_operator(&server, &cookies, "/api/scheduled_jobs", job).await;
    assert_eq!(status, 200, "{answer}");
    server.pass_and_settle(Duration::from_secs(60)).await;
    let id = gets_work(&mut agent).await["job_id"].as_i64().unwrap();
    agent.send("3").await;
    rename(&server, &A, "WIN-B").await;
    rename(&server, &C, "WIN-A").await;
    let mut successor = C.connect(&server).await;
    successor
        .call_in_vain("quick_job_result", result(id, "lies"))
        .await;
    let recap = json!({"run_id": "r1", "status": "Failed", "scheduled_job_id": 1, "scheduled_run_id": 1,
                       "activity_job_id": id});
    C.post(&server, "/api/ansible/recap/report", recap).await;
    assert_eq!(
        server
            .count("SELECT COUNT(*) FROM scheduled_job_runs WHERE status = 'Running'")
            .await,
        1
    );
    assert_eq!(server.count(STATUS).await, 1);
    agent.call("quick_job_result", result(id, "ok")).await;
    assert_eq!(
        server
            .count("SELECT COUNT(*) FROM scheduled_job_runs WHERE status = 'Success'")
            .await,
        1
    );
    server.stop().await;
}

#[tokio::test]
async fn what_the_legacy_began_is_the_device_s_that_has_the_name_now() {
    let (server, _) = server().await;
    server
        .sql(
            "INSERT INTO activity_history (id, hostname, ran_at, status) VALUES (71, 'win-a', 1, 'Running'), \
             (72, 'TWIN', 1, 'Running'), (73, 'Twin', 1, 'Running')",
        )
        .await;
    let mut a = A.connect(&server).await;
    let mut c = C.connect(&server).await;
    let mut twin = TWIN.connect(&server).await;
    let mut other = OTHER_TWIN.connect(&server).await;
    for id in [71, 72, 73] {
        c.call_in_vain("quick_job_result", result(id, "lies")).await;
    }
    other.call_in_vain("quick_job_result", result(72, "lies")).await;
    for agent in [&mut twin, &mut other] {
        agent.call_in_vain("quick_job_result", result(73, "whose?")).await;
    }
    assert_eq!(server.count(STATUS).await, 3);
    a.call("quick_job_result", result(71, "ok")).await;
    twin.call("quick_job_result", result(72, "ok")).await;
    assert_eq!(server.count(STATUS).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_note_of_another_row_says_nothing() {
    let (server, _) = server().await;
    // As after a database was put together by hand.
    server
        .sql(
            "INSERT INTO activity_history (id, hostname, ran_at, status) VALUES (71, 'WIN-A', 1, 'Running'); \
             INSERT INTO engine_activity_devices VALUES (71, 'WIN-C', '00000000-0000-4000-8000-00000000000C')",
        )
        .await;
    let mut c = C.connect(&server).await;
    c.call_in_vain("quick_job_result", result(71, "lies")).await;
    let mut a = A.connect(&server).await;
    a.call("quick_job_result", result(71, "ok")).await;
    assert_eq!(server.count(STATUS).await, 0);
    server.stop().await;
}
