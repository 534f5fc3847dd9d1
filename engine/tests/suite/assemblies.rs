//! Scripts, workflows and playbooks as operators keep them, on a whole server: what is written is whole or not there,
//! whatever is done at the same time, by hand or over HTTP.

mod as_legacy;

use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::testkit::{browser::Browser, files::names_in, rows::WIN_1, server::Server};

/// A server with one device, and the default operator's browser.
async fn start() -> (Server, Browser) {
    let server = Server::start("strict", WIN_1).await;
    let admin = server.admin().await;
    (server, admin)
}

fn scripts(server: &Server) -> PathBuf {
    server.root().join("Assemblies/Scripts")
}

async fn create(browser: &Browser, path: &str, content: Value) -> (u16, Value) {
    let body = json!({"island": "scripts", "kind": "file", "path": path, "content": content});
    browser.post("/api/assembly/create", body).await
}

async fn load(browser: &Browser, path: &str) -> (u16, Value) {
    let path: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
    browser
        .get(&format!("/api/assembly/load?island=scripts&path={path}"))
        .await
}

#[tokio::test]
async fn editors_at_the_same_time_leave_one_whole_document_of_one_of_them() {
    let (server, admin) = start().await;
    let script = |editor: usize| format!("echo {editor};").repeat(20_000);
    assert_eq!(
        create(&admin, "shared", json!({"script": script(0)})).await.0,
        200
    );
    let read_meanwhile = async {
        for _ in 0..20 {
            let (status, read) = load(&admin, "shared.json").await;
            assert_eq!(status, 200);
            let content = read["content"].as_str().unwrap().to_owned();
            assert!((0..8).any(|editor| content == script(editor)), "half a document");
        }
    };
    let edits = (0..8).map(|editor| {
        let body = json!({"island": "scripts", "path": "shared.json", "content": {"script": script(editor)}});
        admin.post("/api/assembly/edit", body)
    });
    let (edited, ()) = tokio::join!(futures_util::future::join_all(edits), read_meanwhile);
    assert!(edited.iter().all(|(status, _)| *status == 200), "{edited:?}");
    assert_eq!(
        names_in(&scripts(&server)),
        ["shared.json"],
        "nothing is left beside it"
    );
    server.stop().await;
}

#[tokio::test]
async fn of_two_that_want_one_name_one_gets_it_and_nothing_is_lost() {
    let (server, admin) = start().await;
    for name in ["a", "b", "c", "d"] {
        create(&admin, name, json!({"name": name})).await;
    }
    let renames = ["a", "b", "c", "d"].map(|name| {
        let path = format!("{name}.json");
        let body = json!({"island": "scripts", "kind": "file", "path": path, "new_name": "one"});
        admin.post("/api/assembly/rename", body)
    });
    let mut statuses: Vec<_> = futures_util::future::join_all(renames)
        .await
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    assert_eq!(names_in(&scripts(&server)).len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn names_that_no_file_can_have_get_an_answer_and_leave_nothing() {
    let (server, admin) = start().await;
    let long = "n".repeat(300);
    let (status, answer) = create(&admin, &long, json!({"name": "x"})).await;
    let error = answer["error"].as_str().unwrap().to_owned();
    assert_eq!(status, 500);
    assert!(error.starts_with("[Errno 36] File name too long: '"), "{error}");
    assert_eq!(
        create(&admin, "a\0b", json!({})).await.1["error"],
        "embedded null byte"
    );
    assert_eq!(
        create(&admin, &"y/".repeat(1500), json!({})).await.1["error"],
        "invalid path"
    );
    assert_eq!(load(&admin, &long).await.1["error"], "file not found");
    create(&admin, "short", json!({"name": "x"})).await;
    let body = json!({"island": "scripts", "kind": "file", "path": "short.json", "new_name": long});
    assert_eq!(admin.post("/api/assembly/rename", body).await.0, 500);
    assert_eq!(names_in(&scripts(&server)), ["short.json"]);
    assert_eq!(load(&admin, "short.json").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_folder_that_a_person_edits_meanwhile_is_read_as_it_is() {
    let (server, admin) = start().await;
    for folder in 0..10 {
        for file in 0..10 {
            server.file(
                &format!("Assemblies/Scripts/f{folder}/s{file}.json"),
                r#"{"name":"by hand","script":"echo 'x'"}"#,
            );
        }
    }
    let by_hand = scripts(&server);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let person = std::thread::spawn(move || {
        let mut round = 0;
        while stopped.try_recv().is_err() {
            let folder = by_hand.join(format!("f{}", round % 10));
            // Files and folders vanish and come back while they are listed.
            fs::remove_dir_all(&folder).unwrap();
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("s0.json"), r#"{"name":"again"}"#).unwrap();
            round += 1;
        }
        round
    });
    for _ in 0..30 {
        let (status, listing) = admin.get("/api/assembly/list?island=scripts").await;
        assert_eq!(status, 200);
        let items = listing["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item["file_name"].is_string()));
    }
    stop.send(()).unwrap();
    assert!(person.join().unwrap() > 0);
    server.file("Assemblies/Scripts/last.ps1", "Write-Host 'by hand'\r\n");
    let (_, read) = load(&admin, "last.ps1").await;
    assert_eq!(read["content"], "Write-Host 'by hand'\n");
    server.stop().await;
}

#[tokio::test]
async fn links_out_of_an_island_are_neither_read_nor_written_nor_listed() {
    let (server, admin) = start().await;
    server.file("Assemblies/Scripts/in.json", r#"{"name":"inside"}"#);
    server.file("outside/secret.json", r#"{"name":"secret"}"#);
    let at = scripts(&server);
    symlink("../../outside/secret.json", at.join("out.json")).unwrap();
    symlink("../../outside", at.join("dir")).unwrap();
    symlink("../../outside/new.json", at.join("dangling.json")).unwrap();
    symlink("in.json", at.join("alias.json")).unwrap();
    for path in ["out.json", "dir/secret.json"] {
        assert_eq!(
            load(&admin, path).await,
            (400, json!({"error": "invalid path"})),
            "{path}"
        );
        for (route, more) in [
            ("edit", json!({"content": {"name": "changed"}})),
            ("create", json!({"kind": "file", "content": {"name": "changed"}})),
            ("rename", json!({"kind": "file", "new_name": "mine"})),
        ] {
            let mut body = json!({"island": "scripts", "path": path});
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let (status, answer) = admin.post(&format!("/api/assembly/{route}"), body).await;
            assert_eq!(
                (status, &answer["error"]),
                (400, &json!("invalid path")),
                "{route} {path}"
            );
        }
    }
    assert_eq!(create(&admin, "dangling", json!({"name": "x"})).await.0, 400);
    assert_eq!(create(&admin, "dir/new", json!({"name": "x"})).await.0, 400);
    assert_eq!(load(&admin, "alias.json").await.1["assembly"]["name"], "inside");
    let (_, listing) = admin.get("/api/assembly/list?island=scripts").await;
    let listed: Vec<_> = listing["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["rel_path"].as_str().unwrap())
        .collect();
    assert_eq!(
        (listed, &listing["folders"]),
        (vec!["alias.json", "in.json"], &json!([]))
    );
    assert_eq!(names_in(&server.root().join("outside")), ["secret.json"]);
    let secret = fs::read_to_string(server.root().join("outside/secret.json")).unwrap();
    assert_eq!(secret, r#"{"name":"secret"}"#);
    server.stop().await;
}

#[tokio::test]
async fn a_document_that_is_too_long_is_answered_and_not_read() {
    let (server, admin) = start().await;
    server.file("Assemblies/Scripts/small.json", r#"{"name":"small"}"#);
    let file = fs::File::create(scripts(&server).join("huge.json")).unwrap();
    // Sparse: it takes no room on the disk.
    file.set_len(200 * 1024 * 1024).unwrap();
    let (status, answer) = load(&admin, "huge.json").await;
    assert_eq!(status, 500);
    let error = answer["error"].as_str().unwrap();
    assert!(error.starts_with("[Errno 27] File too large: '"), "{error}");
    let (_, listing) = admin.get("/api/assembly/list?island=scripts").await;
    let named: Vec<_> = listing["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        named.contains(&"huge".to_owned()) && named.contains(&"small".to_owned()),
        "{named:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn texts_in_another_encoding_are_read_and_edited_without_loss_of_the_rest() {
    let (server, admin) = start().await;
    let at = scripts(&server);
    fs::create_dir_all(&at).unwrap();
    fs::write(at.join("latin.ps1"), b"Write-Host '\xe9t\xe9'\r\n").unwrap();
    fs::write(at.join("utf16.json"), b"\xff\xfe{\0}\0").unwrap();
    assert_eq!(
        load(&admin, "latin.ps1").await.1["content"],
        "Write-Host '\u{fffd}t\u{fffd}'\n"
    );
    // A document that cannot be read shows as empty, and its file stays as it is.
    assert_eq!(load(&admin, "utf16.json").await.1["content"], "");
    let edit = json!({"island": "scripts", "path": "utf16.json"});
    assert_eq!(
        admin.post("/api/assembly/edit", edit).await.1["error"],
        "invalid content"
    );
    assert_eq!(fs::read(at.join("utf16.json")).unwrap(), b"\xff\xfe{\0}\0");
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_that_is_no_json_stays_as_it_is_when_it_is_renamed() {
    let (server, admin) = start().await;
    server.file("Assemblies/Workflows/broken.json", "{\"nodes\": [");
    server.file("Assemblies/Workflows/good.json", r#"{"title":"Old","nodes":[]}"#);
    for name in ["broken", "good"] {
        let body = json!({
            "island": "workflows", "kind": "file", "path": format!("{name}.json"), "new_name": format!("{name}2"),
        });
        let renamed = json!({"status": "ok", "rel_path": format!("{name}2.json")});
        assert_eq!(admin.post("/api/assembly/rename", body).await, (200, renamed));
    }
    let file =
        |name: &str| fs::read_to_string(server.root().join("Assemblies/Workflows").join(name)).unwrap();
    assert_eq!(file("broken2.json"), "{\"nodes\": [");
    assert_eq!(
        file("good2.json"),
        "{\n  \"title\": \"good2\",\n  \"nodes\": [],\n  \"tab_name\": \"good2\"\n}"
    );
    server.stop().await;
}

#[tokio::test]
async fn times_are_those_of_the_servers_clock_and_a_move_keeps_them() {
    let (server, admin) = start().await;
    create(&admin, "first", json!({})).await;
    server.pass(Duration::from_secs(60));
    create(&admin, "second", json!({})).await;
    let order = async || {
        let (_, listing) = admin.get("/api/assembly/list?island=scripts").await;
        let items = listing["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| (item["rel_path"].clone(), item["last_edited"].clone()))
            .collect::<Vec<_>>()
    };
    let first = json!("2027-01-15T08:00:00");
    let second = json!("2027-01-15T08:01:00");
    assert_eq!(
        order().await,
        [
            (json!("second.json"), second.clone()),
            (json!("first.json"), first.clone())
        ]
    );
    server.pass(Duration::from_secs(60));
    let body = json!({"island": "scripts", "path": "first.json", "new_path": "moved/first.json"});
    assert_eq!(admin.post("/api/assembly/move", body).await.0, 200);
    assert_eq!(
        order().await,
        [(json!("second.json"), second), (json!("moved/first.json"), first)]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_user_may_not_write_what_logs_in_with_a_stored_credential() {
    let (server, admin) = start().await;
    for path in ["used", "free", "folder/used"] {
        create(&admin, path, json!({"script": "echo 'x';"})).await;
    }
    let credential = json!({"name": "c", "connection_type": "winrm", "username": "u", "password": "p"});
    assert_eq!(admin.post("/api/credentials", credential).await.0, 201);
    for path in [
        "Scripts/used.json",
        "Scripts/folder/used.json",
        "Scripts/not-there-yet.json",
        "Scripts/../../Assemblies/Scripts/out-and-in.json",
    ] {
        let job = json!({
            "name": path, "components": [{"type": "script", "path": path}], "targets": ["WIN-1"],
            "schedule": {"type": "once", "start": "2030-01-01T00:00:00Z"},
            "execution_context": "winrm", "credential_id": 1,
        });
        assert_eq!(admin.post("/api/scheduled_jobs", job).await.0, 200);
    }
    admin.create("uma", "User").await;
    let uma = server.browser();
    assert_eq!(uma.login("uma", "pw").await.0, 200);
    let send = async |route: &str, body: Value| {
        uma.send(Method::POST, &format!("/api/assembly/{route}"), body)
            .await
            .status_and_json()
            .0
    };
    let content = json!({"script": "rm -rf /"});
    for (route, body) in [
        (
            "edit",
            json!({"island": "scripts", "path": "used.json", "content": content}),
        ),
        (
            "create",
            json!({"island": "scripts", "kind": "file", "path": "used", "content": content}),
        ),
        (
            "create",
            json!({"island": "scripts", "kind": "file", "path": "not-there-yet", "content": content}),
        ),
        (
            "create",
            json!({"island": "scripts", "kind": "file", "path": "out-and-in", "content": content}),
        ),
        (
            "edit",
            json!({"island": "scripts", "path": "../../Assemblies/Scripts/used.json", "content": content}),
        ),
        (
            "rename",
            json!({"island": "scripts", "kind": "file", "path": "free.json", "new_name": "not-there-yet"}),
        ),
        (
            "rename",
            json!({"island": "scripts", "kind": "folder", "path": "folder", "new_name": "gone"}),
        ),
        (
            "move",
            json!({"island": "scripts", "path": "free.json", "new_path": "not-there-yet.json"}),
        ),
        (
            "move",
            json!({"island": "scripts", "path": "used.json", "new_path": "folder"}),
        ),
        (
            "delete",
            json!({"island": "scripts", "kind": "folder", "path": "folder"}),
        ),
        (
            "create",
            json!({"island": "ansible", "kind": "file", "path": "p", "content": content}),
        ),
        (
            "create",
            json!({"island": "ansible", "kind": "folder", "path": "p"}),
        ),
    ] {
        assert_eq!(send(route, body.clone()).await, 403, "{route} {body}");
    }
    for (route, body) in [
        (
            "edit",
            json!({"island": "scripts", "path": "free.json", "content": content}),
        ),
        (
            "create",
            json!({"island": "workflows", "kind": "file", "path": "w", "content": {}}),
        ),
        (
            "move",
            json!({"island": "scripts", "path": "free.json", "new_path": "folder"}),
        ),
        (
            "delete",
            json!({"island": "scripts", "kind": "file", "path": "folder/free.json"}),
        ),
    ] {
        assert_eq!(send(route, body.clone()).await, 200, "{route} {body}");
    }
    assert_eq!(load(&admin, "used.json").await.1["content"], "echo 'x';");
    server.stop().await;
}

#[tokio::test]
async fn what_a_server_was_writing_when_it_died_is_gone_at_the_next_start_and_nothing_else() {
    let unfinished = [
        "Assemblies/Scripts/.borealis-a1b2c3.tmp",
        "Assemblies/Workflows/deep/er/.borealis-a1b2c3.tmp",
        "Assemblies/Ansible_Playbooks/.borealis-.tmp",
    ];
    let kept = [
        "Assemblies/Scripts/.borealis-notes.txt",
        "Assemblies/Scripts/mine.tmp",
        "Assemblies/Scripts/.hidden/hello.json",
        "Assemblies/.borealis-a1b2c3.tmp",
        "Assemblies/Scripts/.borealis-folder.tmp/hello.json",
    ];
    let mut setup = Server::with(&[]);
    for path in unfinished.iter().chain(&kept) {
        setup = setup.file(path, "{}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join(".borealis-linked.tmp");
    fs::write(&target, "").unwrap();
    let server = setup.start().await;
    let there = |path: &str| server.root().join(path).exists();
    assert!(unfinished.into_iter().all(|path| !there(path)));
    assert!(kept.into_iter().all(there));

    // A link that leads elsewhere is no file of the server, nor is what it leads to.
    symlink(elsewhere.path(), scripts(&server).join("linked")).unwrap();
    symlink(&target, scripts(&server).join(".borealis-link.tmp")).unwrap();
    let server = server.restart().await;
    assert!(target.exists() && scripts(&server).join(".borealis-link.tmp").exists());
}
