//! The scheduler on a whole server, with real sockets: who may call, who gets the work, and what a restart keeps.

mod odd_requests;
mod stored_rows;

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::testkit::{
    AGENT, GUID, OTHER, START,
    agents::{agent, event, two_devices, work},
    answer::Answers,
    server::Server,
    socket::Client,
};

const JOB: &str = r#"{"name":"hello","components":[{"type":"script","path":"hello.ps1",
    "variable_values":{"secret":"p4ss"}}],"targets":["WIN-1"]}"#;
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn strict_asks_for_an_operator_before_anything_else_and_legacy_does_not() {
    let strict = Server::start("strict", "").await;
    let legacy = Server::start("legacy", "").await;
    let cookies = strict.log_in().await;
    let mut answers = Answers::default();
    for (method, path, body) in [
        ("GET", "/api/scheduled_jobs", ""),
        ("POST", "/api/scheduled_jobs", "[1]"),
        ("GET", "/api/scheduled_jobs/7", ""),
        ("PUT", "/api/scheduled_jobs/7", "{}"),
        ("DELETE", "/api/scheduled_jobs/7", ""),
        ("POST", "/api/scheduled_jobs/7/toggle", "{}"),
        ("GET", "/api/scheduled_jobs/7/runs", ""),
        ("DELETE", "/api/scheduled_jobs/7/runs", ""),
        ("GET", "/api/scheduled_jobs/7/devices?occurrence=x", ""),
        ("POST", "/api/scripts/quick_run", "{}"),
        ("GET", "/api/device/activity/WIN-1", ""),
        ("DELETE", "/api/device/activity/WIN-1", ""),
        ("GET", "/api/device/activity/job/7", ""),
    ] {
        let refused = strict.ask(method, path, &[], body).await;
        // The routes of jobs write their JSON in the legacy's other form.
        let text = if path.starts_with("/api/scheduled_jobs") {
            "{\"error\": \"unauthorized\"}"
        } else {
            "{\"error\":\"unauthorized\"}\n"
        };
        let unauthorized = (401, text.to_owned());
        assert_eq!(refused, unauthorized, "{method} {path}");
        let open = legacy.send(method, path, &[], body).await;
        let operator = strict.send(method, path, &[("cookie", &cookies)], body).await;
        assert_eq!(operator.line(), open.line(), "{method} {path}");
        answers.note(format_args!("{method} {path}"), &operator);
    }
    assert_snapshot!(answers, @r#"
    GET /api/scheduled_jobs: 200 "{\"jobs\": []}"
    POST /api/scheduled_jobs: 400 "{\"error\": \"invalid JSON body\"}"
    GET /api/scheduled_jobs/7: 404 "{\"error\": \"not found\"}"
    PUT /api/scheduled_jobs/7: 400 "{\"error\": \"no fields to update\"}"
    DELETE /api/scheduled_jobs/7: 404 "{\"error\": \"not found\"}"
    POST /api/scheduled_jobs/7/toggle: 404 "{\"error\": \"not found\"}"
    GET /api/scheduled_jobs/7/runs: 200 "{\"runs\": []}"
    DELETE /api/scheduled_jobs/7/runs: 200 "{\"status\": \"ok\", \"cleared\": 0}"
    GET /api/scheduled_jobs/7/devices?occurrence=x: 400 "{\"error\": \"invalid occurrence\"}"
    POST /api/scripts/quick_run: 400 {"error":"Missing script_path or hostnames[]"}
    GET /api/device/activity/WIN-1: 200 {"history":[]}
    DELETE /api/device/activity/WIN-1: 200 {"status":"ok"}
    GET /api/device/activity/job/7: 404 {"error":"Not found"}
    "#);
    strict.stop().await;
    legacy.stop().await;
}

#[tokio::test]
async fn work_goes_to_its_host_alone_and_only_that_host_reports() {
    let server = Server::start("strict", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "Write-Output $env:secret\n");
    let cookies = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    let mut stranger = Client::join_new(&server, &[]).await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    let mut other = agent(&server, OTHER, "cd", &format!("WIN-2_{OTHER}_SYSTEM")).await;
    let (status, made) = server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    assert_eq!(status, 200, "{made}");
    server.pass_and_settle(MINUTE).await;

    let (number, name, payload) = work(&mut host).await;
    assert_eq!(
        (name.as_str(), payload["target_hostname"].as_str()),
        ("quick_job_run", Some("WIN-1"))
    );
    assert_eq!(payload["environment"]["SECRET"], "p4ss");
    host.send(&format!("43{}[]", number.unwrap())).await;
    other.nothing_came().await;
    stranger.nothing_came().await;
    let (number, name, started) = event(&operator.frame().await);
    assert_eq!((number, name.as_str()), (None, "job_run_started"));
    assert_eq!(
        started,
        json!({"job_id": 1, "run_id": 1, "target": "WIN-1", "schedule_type": "immediately",
               "occurrence_ts": START})
    );

    let result = json!({"job_id": 1, "status": "Success", "stdout": "p4ss", "stderr": ""});
    other.call_in_vain("quick_job_result", result.clone()).await;
    host.call("quick_job_result", result).await;
    let (_, name, changed) = event(&operator.frame().await);
    assert_eq!(
        (name.as_str(), changed["status"].as_str()),
        ("device_activity_changed", Some("Success"))
    );
    let (_, name, completed) = event(&operator.frame().await);
    assert_eq!(
        (name.as_str(), completed["status"].as_str()),
        ("job_run_completed", Some("Success"))
    );
    other.nothing_came().await;
    let (_, devices) = server
        .get("/api/scheduled_jobs/1/devices", &[("cookie", &cookies)])
        .await;
    let devices: Value = serde_json::from_str(&devices).unwrap();
    assert_eq!(devices["devices"][0]["job_status"], "Success");
    assert_eq!(devices["devices"][0]["activities"][0]["has_stdout"], true);
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_has_run_does_not_run_again_on_targets_that_replace_the_former_ones() {
    let server = Server::start("strict", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "exit\n");
    let cookies = server.log_in().await;
    let cookie = [("cookie", cookies.as_str())];
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    let mut other = agent(&server, OTHER, "cd", &format!("WIN-2_{OTHER}_SYSTEM")).await;
    server.ask("POST", "/api/scheduled_jobs", &cookie, JOB).await;
    server.pass_and_settle(MINUTE).await;
    let (number, ..) = work(&mut host).await;
    host.send(&format!("43{}[]", number.unwrap())).await;
    host.call("quick_job_result", json!({"job_id": 1, "status": "Success"}))
        .await;
    let path = "/api/scheduled_jobs/1";
    let set_targets = async |targets: Value| {
        let body = json!({ "targets": targets }).to_string();
        assert_eq!(server.ask("PUT", path, &cookie, &body).await.0, 200);
        server.pass_and_settle(MINUTE).await;
    };
    set_targets(json!(["WIN-2"])).await;
    other.nothing_came().await;
    // One that comes beside them has its turn.
    set_targets(json!(["WIN-1", "WIN-2"])).await;
    assert_eq!(work(&mut other).await.1, "quick_job_run");
    host.nothing_came().await;
    server.stop().await;
}

#[tokio::test]
async fn more_operators_than_the_database_has_readers_look_at_the_hosts_of_a_job_at_once() {
    let server = Server::start("strict", two_devices()).await;
    let cookies = server.log_in().await;
    server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    let cookie = [("cookie", cookies.as_str())];
    let looks = (0..16).map(|_| server.get("/api/scheduled_jobs/1/devices", &cookie));
    for (status, devices) in futures_util::future::join_all(looks).await {
        assert_eq!(status, 200, "{devices}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_run_loses_and_doubles_nothing() {
    let server = Server::start("strict", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "Write-Output $env:secret\n");
    let cookies = server.log_in().await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    server.pass_and_settle(MINUTE).await;
    let (number, _, first) = work(&mut host).await;
    assert!(number.is_some());

    // The server goes away before the agent says that it has the work.
    let server = server.restart().await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    server.pass_and_settle(MINUTE).await;
    let (number, name, again) = work(&mut host).await;
    assert_eq!((name.as_str(), &again), ("quick_job_run", &first));
    host.send(&format!("43{}[]", number.unwrap())).await;
    host.nothing_came().await;
    for _ in 0..200 {
        let (_, runs) = server
            .get(
                "/api/scheduled_jobs/1/runs",
                &[("cookie", &server.log_in().await)],
            )
            .await;
        let runs: Value = serde_json::from_str(&runs).unwrap();
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
        server.pass_and_settle(MINUTE).await;
        if runs["runs"][0]["status"] == "Success" {
            host.nothing_came().await;
            server.stop().await;
            return;
        }
    }
    panic!("the acknowledgement was never seen");
}

#[tokio::test]
async fn the_users_agent_does_not_confirm_what_the_systems_agent_is_to_run() {
    let server = Server::start("strict", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "exit\n");
    let cookies = server.log_in().await;
    let mut user = agent(&server, GUID, "ab", &AGENT.replace("SYSTEM", "CURRENTUSER")).await;
    let mut system = agent(&server, GUID, "ab", AGENT).await;
    server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    server.pass_and_settle(MINUTE).await;
    let (number, _, first) = work(&mut user).await;
    user.send(&format!("43{}[]", number.unwrap())).await;
    user.nothing_came().await;
    work(&mut system).await;
    // It goes without a word, and comes back.
    system.send("1").await;
    assert!(system.is_closed().await);
    let mut system = agent(&server, GUID, "ab", AGENT).await;
    let time_passes = async {
        loop {
            server.pass_and_settle(MINUTE).await;
        }
    };
    let frame = tokio::select! {
        frame = system.frame() => frame,
        () = time_passes => unreachable!(),
    };
    let (_, name, again) = event(&frame);
    assert_eq!((name.as_str(), again), ("quick_job_run", first));
    server.stop().await;
}

#[tokio::test]
async fn a_device_reports_of_its_own_playbooks_alone() {
    let server = Server::start("strict", two_devices()).await;
    server
        .sql(
            format!(
                "INSERT INTO activity_history (id, hostname, status) VALUES (7, 'WIN-1', 'Running'), \
             (8, 'WIN-2', 'Running'); \
             INSERT INTO scheduled_jobs (id, name, components_json, targets_json, schedule_type, execution_context, \
             enabled) VALUES (3, 'j', '[]', '[]', 'daily', 'system', 0); \
             INSERT INTO scheduled_job_runs (id, job_id, target_hostname, scheduled_ts, started_ts, status) \
             VALUES (5, 3, 'WIN-1', {START}, {START}, 'Running')",
            )
        )
        .await;
    let cookies = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    let token = format!("Bearer {}", server.token(GUID, "ab", 1, START));
    let device = [("authorization", token.as_str())];
    let report = async |headers: &[(&str, &str)], body: Value| {
        server
            .ask("POST", "/api/ansible/recap/report", headers, &body.to_string())
            .await
            .0
    };
    assert_eq!(report(&[], json!({"run_id": "r"})).await, 401);
    assert_eq!(
        report(&device, json!({"run_id": "r", "hostname": "WIN-2"})).await,
        403
    );
    assert_eq!(
        report(
            &device,
            json!({"run_id": "s", "activity_job_id": 8, "status": "Failed"})
        )
        .await,
        403
    );
    let done = json!({"run_id": "r", "hostname": "WIN-1", "activity_job_id": 7, "scheduled_job_id": 3,
                      "scheduled_run_id": 5, "status": "Success", "recap_text": "ok"});
    assert_eq!(report(&device, done).await, 200);
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(event(&operator.frame().await).1);
    }
    assert_eq!(
        names,
        [
            "ansible_recap_update",
            "device_activity_changed",
            "job_run_completed"
        ]
    );
    let activity = async |id: u32| {
        let path = format!("/api/device/activity/job/{id}");
        let (_, body) = server.get(&path, &[("cookie", &cookies)]).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (body["status"].clone(), body["stdout"].clone())
    };
    assert_eq!(activity(7).await, (json!("Success"), json!("ok")));
    assert_eq!(activity(8).await, (json!("Running"), json!("")));
    server.stop().await;
}
