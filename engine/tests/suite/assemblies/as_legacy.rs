//! Odd paths, names and numbers get what the legacy makes of them.

use std::fs;

use serde_json::{Value, json};

use super::scripts;
use crate::testkit::{browser::Browser, files::names_in, rows::WIN_1, server::Server};

async fn start() -> (Server, Browser) {
    let server = Server::start("legacy", WIN_1).await;
    let anybody = server.browser();
    (server, anybody)
}

/// Status and body of a change, by its route's last name.
async fn change(browser: &Browser, route: &str, body: Value) -> (u16, Value) {
    browser.post(&format!("/api/assembly/{route}"), body).await
}

fn stored(path: &str) -> (u16, Value) {
    (200, json!({"status": "ok", "rel_path": path}))
}

fn error(status: u16, word: impl Into<Value>) -> (u16, Value) {
    (status, json!({"error": word.into()}))
}

fn ok() -> (u16, Value) {
    (200, json!({"status": "ok"}))
}

#[tokio::test]
async fn a_path_may_lead_out_of_its_island_and_in_again() {
    let (server, anybody) = start().await;
    let out_and_in = |path: &str| format!("../../Assemblies/Scripts/{path}");
    let name = server.root().file_name().unwrap().to_str().unwrap();
    let far = |path: &str| format!("x/../../../../{name}/Assemblies/Scripts/{path}");
    let created = json!({
        "island": "scripts", "kind": "file", "path": out_and_in("a"), "content": {"script": "echo '1';"},
    });
    assert_eq!(change(&anybody, "create", created).await, stored("a.json"));
    for path in [out_and_in("a.json"), far("a.json")] {
        let (status, read) = anybody
            .get(&format!("/api/assembly/load?island=scripts&path={path}"))
            .await;
        assert_eq!((status, &read["rel_path"]), (200, &json!("a.json")), "{path}");
    }
    let edited = json!({"island": "scripts", "path": far("a.json"), "content": {"script": "echo '2';"}});
    assert_eq!(change(&anybody, "edit", edited).await, stored("a.json"));
    let renamed = json!({"island": "scripts", "kind": "file", "path": out_and_in("a.json"), "new_name": "b"});
    assert_eq!(change(&anybody, "rename", renamed).await, stored("b.json"));
    let moved = json!({"island": "scripts", "path": out_and_in("b.json"), "new_path": far("sub/c.json")});
    assert_eq!(change(&anybody, "move", moved).await, ok());
    assert_eq!(names_in(&scripts(&server).join("sub")), ["c.json"]);

    let quick = json!({
        "script_path": "Scripts/../../Assemblies/Scripts/sub/c.json", "hostnames": ["WIN-1"],
    });
    assert_eq!(anybody.post("/api/scripts/quick_run", quick).await.0, 200);
    server.file("Assemblies/Ansible_Playbooks/p.yml", "- hosts: all\n");
    let quick = json!({
        "playbook_path": "../../Assemblies/Ansible_Playbooks/p.yml", "hostnames": ["WIN-1"],
    });
    assert_eq!(anybody.post("/api/ansible/quick_run", quick).await.0, 200);

    for outside in [
        "../../Assemblies/x",
        "../../Assemblies/Scripts2/x",
        "../../../Scripts/x",
    ] {
        let created = json!({"island": "scripts", "kind": "folder", "path": outside});
        assert_eq!(
            change(&anybody, "create", created).await,
            error(400, "invalid path")
        );
    }
    let deleted = json!({"island": "scripts", "kind": "folder", "path": out_and_in("sub")});
    assert_eq!(change(&anybody, "delete", deleted).await, ok());
    assert!(names_in(&scripts(&server)).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_folder_may_be_renamed_to_a_whole_path_in_its_island() {
    let (server, anybody) = start().await;
    let island = scripts(&server);
    fs::create_dir_all(island.join("d")).unwrap();
    let rename = |path: &str, new_name: String| json!({"island": "scripts", "kind": "folder", "path": path, "new_name": new_name});
    let to = island.join("e").display().to_string();
    assert_eq!(change(&anybody, "rename", rename("d", to)).await, stored("e"));
    for outside in ["/e".to_owned(), server.root().join("e").display().to_string()] {
        let refused = change(&anybody, "rename", rename("e", outside.clone())).await;
        assert_eq!(refused, error(400, "invalid destination"), "{outside}");
    }
    assert_eq!(names_in(&island), ["e"]);
    server.stop().await;
}

#[tokio::test]
async fn a_move_that_fails_names_its_target_and_leaves_the_folders_above_it() {
    let (server, anybody) = start().await;
    let island = scripts(&server);
    fs::create_dir_all(island.join("d")).unwrap();
    let at = |path: &str| island.join(path).display().to_string();
    let relocate = |to: &str| json!({"island": "scripts", "kind": "folder", "path": "d", "new_path": to});
    let into = change(&anybody, "move", relocate("d/in/it")).await;
    let words = format!(
        "Cannot move a directory '{}' into itself '{}'.",
        at("d"),
        at("d/in/it")
    );
    assert_eq!(into, error(500, words));
    let (_, listing) = anybody.get("/api/assembly/list?island=scripts").await;
    assert_eq!(listing["folders"], json!(["d", "d/in"]));

    let long = "L".repeat(300);
    let words = format!("[Errno 36] File name too long: '{}'", at(&long));
    assert_eq!(change(&anybody, "move", relocate(&long)).await, error(500, words));
    server.stop().await;
}

#[tokio::test]
async fn a_text_is_not_edited_where_a_folder_has_its_documents_name() {
    let (server, anybody) = start().await;
    let island = scripts(&server);
    fs::create_dir_all(island.join("x.json")).unwrap();
    server.file("Assemblies/Scripts/x.ps1", "old");
    let edited = json!({"island": "scripts", "path": "x.ps1", "content": {"script": "new"}});
    let words = format!("[Errno 21] Is a directory: '{}'", island.join("x.json").display());
    assert_eq!(change(&anybody, "edit", edited).await, error(500, words));
    assert_eq!(fs::read_to_string(island.join("x.ps1")).unwrap(), "old");
    assert_eq!(names_in(&island), ["x.json", "x.ps1"]);
    server.stop().await;
}

#[tokio::test]
async fn half_a_character_in_new_content_costs_no_document() {
    let (server, anybody) = start().await;
    for (island, old, word) in [
        ("scripts", json!({"script": "echo 'old';"}), "invalid content"),
        ("workflows", json!({"nodes": [1]}), "invalid content for workflow"),
    ] {
        let create =
            |content: Value| json!({"island": island, "kind": "file", "path": "a", "content": content});
        assert_eq!(change(&anybody, "create", create(old)).await, stored("a.json"));
        let load = format!("/api/assembly/load?island={island}&path=a.json");
        let before = anybody.get(&load).await;
        let half = create(json!(r#"{"name":"a \ud83d","script":"echo 'new';"}"#));
        assert_eq!(change(&anybody, "create", half).await, error(400, word));
        assert_eq!(anybody.get(&load).await, before);
        // What is no JSON is an empty document, as in the legacy.
        let broken = create(json!("{\"name\":"));
        assert_eq!(change(&anybody, "create", broken).await, stored("a.json"));
        assert_ne!(anybody.get(&load).await, before);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_deprecated_routes_read_what_the_legacy_reads() {
    let (server, anybody) = start().await;
    server.file("Assemblies/Scripts/a.ps1", "x");
    let gone = "deprecated; use /api/assembly/create or /api/assembly/edit";
    let not_under = "Invalid path (must be under 'Scripts')";
    for (route, body, status, word) in [
        (
            "ansible/save",
            json!({"content": "x", "name": "n", "type": 5}),
            410,
            gone,
        ),
        (
            "scripts/save",
            json!({"content": "x", "name": "n", "type": 5}),
            400,
            "invalid payload",
        ),
        (
            "scripts/rename_file",
            json!({"path": "Scripts/a.ps1", "new_name": "z", "type": 5}),
            400,
            "invalid payload",
        ),
        (
            "scripts/rename_file",
            json!({"path": "Scripts/a.ps1", "new_name": "z", "type": "bash"}),
            410,
            "deprecated; use /api/assembly/rename",
        ),
        (
            "scripts/save",
            json!({"content": "x", "path": "Scripts"}),
            400,
            not_under,
        ),
        (
            "scripts/save",
            json!({"content": "x", "path": "Scripts.d/x"}),
            400,
            not_under,
        ),
        (
            "scripts/save",
            json!({"content": "x", "path": "Scripts/"}),
            410,
            gone,
        ),
        (
            "scripts/save",
            json!({"content": "x", "path": "Scripts/../.."}),
            410,
            gone,
        ),
        (
            "scripts/save",
            json!({"content": "x", "path": "Scripts/../../q"}),
            400,
            "Invalid path",
        ),
        ("ansible/save", json!({"content": "x", "path": ".."}), 410, gone),
        (
            "ansible/save",
            json!({"content": "x", "path": "../q"}),
            400,
            "Invalid path",
        ),
    ] {
        let answer = anybody.post(&format!("/api/{route}"), body.clone()).await;
        assert_eq!(answer, error(status, word), "{route} {body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_playbook_runs_is_as_long_as_sqlite_counts() {
    let (server, anybody) = start().await;
    for (limit, answer) in [
        ("9223372036854775807", (200, json!({"recaps": []}))),
        ("-9223372036854775808", (200, json!({"recaps": []}))),
        (
            "99999999999999999999",
            error(500, "Python int too large to convert to SQLite INTEGER"),
        ),
        (
            "-9223372036854775809",
            error(500, "Python int too large to convert to SQLite INTEGER"),
        ),
    ] {
        let listed = anybody.get(&format!("/api/ansible/recaps?limit={limit}")).await;
        assert_eq!(listed, answer, "{limit}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_scheduled_run_whose_playbook_began_at_zero_begins_now() {
    let rows = format!(
        "{} INSERT INTO scheduled_jobs (id, name, components_json, targets_json, schedule_type, execution_context, enabled) \
         VALUES (1, 'j', '[]', '[]', 'once', 'system', 0); \
         INSERT INTO scheduled_job_runs (id, job_id, target_hostname, scheduled_ts, status) \
         VALUES (1, 1, 'WIN-1', 1, 'Running');",
        String::from(WIN_1)
    );
    let server = Server::start("legacy", rows).await;
    let report = json!({
        "run_id": "r", "hostname": "WIN-1", "status": "running", "started_ts": 0,
        "scheduled_job_id": 1, "scheduled_run_id": 1,
    });
    let (status, row) = server.browser().post("/api/ansible/recap/report", report).await;
    assert_eq!((status, &row["started_ts"]), (200, &json!(0)));
    let started = server.count("SELECT started_ts FROM scheduled_job_runs").await;
    assert_eq!(Some(started), row["updated_at"].as_i64());
    server.stop().await;
}
