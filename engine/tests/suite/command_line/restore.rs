//! `backup --all` and `restore`: all of a server comes back, or nothing is changed.
//!
//! Long because it is a list of stories.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sqlx::Connection as _;

use super::program::{Ran, connect, migrated, program, run, sql};
use crate::testkit::{files::names_in, server::Server};

/// Everything below a folder but the logs and the lock: what it is, and its mode.
fn tree(root: &Path) -> BTreeMap<String, String> {
    fn look(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if name == "Logs" || name.ends_with(".lock") {
                continue;
            }
            let kind = fs::symlink_metadata(&path).unwrap();
            let mode = kind.permissions().mode() & 0o777;
            let what = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                look(root, &path, found);
                format!("{mode:o} folder")
            } else {
                format!("{mode:o} {:?}", fs::read(&path).unwrap())
            };
            found.insert(name, what);
        }
    }
    let mut found = BTreeMap::new();
    look(root, root, &mut found);
    found
}

fn restore(root: &Path, backup: &Path) -> Ran {
    run(root, &["restore", backup.to_str().unwrap()], &[])
}

async fn sites(root: &Path) -> Vec<String> {
    let mut connection = connect(root).await;
    let names = sqlx::query_scalar("SELECT name FROM sites ORDER BY name")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    names
}

/// A server's root folder with everything in it, and the archive of it.
async fn archived() -> (tempfile::TempDir, tempfile::TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let server = Server::with(&[]).over(root.path()).await;
    server.file("Assemblies/Scripts/deep/hello.ps1", "Write-Output hello\n");
    server.file("Assemblies/Scripts/run.sh", "#!/bin/sh\n");
    server.sql("INSERT INTO sites (name) VALUES ('before')").await;
    server.stop().await;
    let assemblies = root.path().join("Assemblies");
    for (path, mode) in [("Scripts/run.sh", 0o755), ("Scripts/deep/hello.ps1", 0o644)] {
        fs::set_permissions(assemblies.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(assemblies.join("Workflows")).unwrap();
    symlink("../Scripts/run.sh", assemblies.join("Workflows/link")).unwrap();
    // A database that nobody works in is one file.
    sql(root.path(), "PRAGMA journal_mode = DELETE").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let archive = elsewhere.path().join("all.tar");
    let told = run(
        root.path(),
        &["backup", "--all", archive.to_str().unwrap(), "--json"],
        &[],
    )
    .json();
    // The database, two pairs of Ed25519's files less one, the certificate's five, the sealing key, two scripts.
    assert_eq!(told["files"], json!(12), "{told}");
    assert_eq!(
        fs::metadata(&archive).unwrap().permissions().mode() & 0o777,
        0o600
    );
    (root, elsewhere, archive)
}

#[tokio::test]
async fn a_copy_of_the_database_comes_back_and_what_was_there_is_set_aside_whole() {
    let root = migrated();
    sql(root.path(), "INSERT INTO sites (name) VALUES ('before')").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    run(root.path(), &["backup", copy.to_str().unwrap()], &[]).done();
    sql(root.path(), "INSERT INTO sites (name) VALUES ('after')").await;
    // What a server that died has left in its journal goes with its database.
    let journal = root.path().join("database.db-wal");
    fs::write(&journal, "").unwrap();
    for path in [&root.path().join("database.db"), &journal] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let told = run(root.path(), &["restore", copy.to_str().unwrap(), "--json"], &[]).json();
    assert_eq!(sites(root.path()).await, ["before"]);
    let aside: Vec<_> = told["set_aside"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
    let former = tempfile::tempdir().unwrap();
    for (path, name) in aside.iter().rev().zip(["database.db", "database.db-wal"]) {
        assert!(path.contains(".before-restore-"), "{path}");
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it is as secret as before: {path}");
        fs::copy(path, former.path().join(name)).unwrap();
    }
    assert_eq!(sites(former.path()).await, ["after", "before"]);
    let mode = fs::metadata(root.path().join("database.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(copy.exists());
    // It can be served, and again restored within the same second.
    assert_eq!(run(root.path(), &["check"], &[]).code, Some(0));
    restore(root.path(), &copy).done();
}

#[tokio::test]
async fn everything_comes_back_into_an_empty_folder_byte_for_byte_with_narrow_keys() {
    let (root, _elsewhere, archive) = archived().await;
    let before = tree(root.path());
    let fresh = tempfile::tempdir().unwrap();
    let told = restore(fresh.path(), &archive).done();
    assert!(!told.contains("set aside"), "{told}");
    let mut after = tree(fresh.path());
    let mut expected = before.clone();
    // The copy of the database is another file with the same rows; caches and the like are no part of a backup.
    for found in [&mut after, &mut expected] {
        found.remove("database.db");
    }
    expected.retain(|name, _| after.contains_key(name) || !name.starts_with("Data/Engine"));
    assert_eq!(after, expected);
    assert_eq!(sites(fresh.path()).await, ["before"]);
    for key in [
        "Certificates/Server/borealis-server-key.pem",
        "Certificates/Server/borealis-root-ca-key.pem",
        "Certificates/Server/Code-Signing/borealis-script-ed25519.key",
        "Server/Borealis/auth_keys/borealis-jwt-ed25519.key",
        "Data/Server/server_secret.key",
        "database.db",
    ] {
        let mode = fs::metadata(fresh.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let check = run(fresh.path(), &["check"], &[]);
    assert_eq!(check.code, Some(0), "{check:?}");
    check.line("ok", "sealing key");
    check.line("ok", "file modes");
}

#[tokio::test]
async fn what_came_after_the_backup_is_set_aside_and_nothing_is_deleted() {
    let (root, _elsewhere, archive) = archived().await;
    let key = root
        .path()
        .join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
    let former_key = fs::read(&key).unwrap();
    fs::write(&key, "another").unwrap();
    let late = root.path().join("Server/Borealis/server_secret.key");
    fs::write(&late, "a key that came later").unwrap();
    fs::write(root.path().join("Assemblies/Scripts/late.ps1"), "late").unwrap();
    let before = tree(root.path());
    restore(root.path(), &archive).done();
    assert_eq!(fs::read(&key).unwrap(), former_key);
    assert!(!late.exists());
    assert!(!root.path().join("Assemblies/Scripts/late.ps1").exists());
    // Under other names everything is still there, what is a secret for its owner alone.
    let after = tree(root.path());
    for (name, content) in before {
        let narrowed = content.replacen("644 ", "600 ", 1);
        let is_there = after.iter().any(|(other, kept)| {
            (*other == name && *kept == content)
                || (without_time(other) == name && [&content, &narrowed].contains(&kept))
        });
        assert!(is_there, "{name} is gone: {:?}", after.keys());
    }
}

/// A path as it was before something of it was set aside.
fn without_time(path: &str) -> String {
    path.split('/')
        .map(|part| part.split(".before-restore-").next().unwrap())
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn it_refuses_beside_a_server_and_beside_any_program_that_has_the_database_open() {
    let (root, _elsewhere, archive) = archived().await;
    let server = Server::with(&[]).over(root.path()).await;
    let told = restore(root.path(), &archive).refusal();
    assert!(told.contains("in use by another borealis-engine"), "{told}");
    let told = run(root.path(), &["restore", "--roll-back"], &[]).refusal();
    assert!(told.contains("in use by another borealis-engine"), "{told}");
    server.stop().await;
    // As the legacy does: open, and at rest.
    let mut other = connect(root.path()).await;
    sqlx::raw_sql("PRAGMA journal_mode = WAL; SELECT count(*) FROM sites")
        .execute(&mut other)
        .await
        .unwrap();
    let names = || names_in(root.path());
    // Names alone: to read the files would give back the locks that this process has on them.
    let before = names();
    let told = restore(root.path(), &archive).refusal();
    let process = format!("(process {})", std::process::id());
    assert!(
        told.contains("is open in another program") && told.contains(&process),
        "{told}"
    );
    assert_eq!(names(), before);
    other.close().await.unwrap();
    restore(root.path(), &archive).done();
}

#[tokio::test]
async fn a_backup_that_is_not_whole_changes_nothing() {
    let (root, elsewhere, archive) = archived().await;
    let before = tree(root.path());
    let whole = fs::read(&archive).unwrap();
    let broken = elsewhere.path().join("broken");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&broken, bytes).unwrap();
        let told = restore(root.path(), &broken).refusal();
        assert!(!told.is_empty(), "{what}");
        assert_eq!(tree(root.path()), before, "{what}: {told}");
        told
    };
    for part in 0..8 {
        refused(&whole[..whole.len() * part / 8], "cut short");
    }
    // One byte of what is in it, wherever that is.
    let needles: [&[u8]; 4] = [b"PRIVATE KEY", b"SQLite format 3", b"Write-Output", b"sha256"];
    for needle in needles {
        let mut bytes = whole.clone();
        let place = bytes
            .windows(needle.len())
            .position(|window| window == needle)
            .unwrap();
        bytes[place] ^= 1;
        refused(&bytes, "changed");
    }
    refused(b"no backup at all, only a text", "a text");
    // A database of somebody else's, and one that is damaged.
    let other = elsewhere.path().join("other.db");
    let url = format!("sqlite://{}?mode=rwc", other.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE bookmarks (id)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let told = refused(&fs::read(&other).unwrap(), "another program's");
    assert!(told.contains("of another program"), "{told}");
    let mut bytes = fs::read(root.path().join("database.db")).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    refused(&bytes, "a damaged database");
    for missing in ["missing.tar", "."] {
        let told = restore(root.path(), &elsewhere.path().join(missing)).refusal();
        assert!(told.contains("cannot read"), "{told}");
    }
    assert_eq!(tree(root.path()), before);
}

#[tokio::test]
async fn an_archive_that_somebody_made_leads_nowhere_else() {
    let (root, elsewhere, archive) = archived().await;
    let before = tree(root.path());
    let made = elsewhere.path().join("made.tar");
    let outside = elsewhere.path().join("outside");
    let file = |name: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        // `append_data` would refuse such a name.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        header
    };
    let link = |target: &Path| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_path("assemblies/way").unwrap();
        header.set_link_name(target).unwrap();
        header.set_cksum();
        header
    };
    let evil: [Vec<tar::Header>; 5] = [
        vec![file("../outside")],
        vec![file(outside.to_str().unwrap())],
        vec![file("assemblies/../../outside")],
        vec![file("certificates/authorized_keys")],
        vec![link(elsewhere.path()), file("assemblies/way/outside")],
    ];
    for headers in evil {
        let mut builder = tar::Builder::new(fs::File::create(&made).unwrap());
        for header in &headers {
            let content: &[u8] = if header.entry_type().is_file() {
                b"evil"
            } else {
                b""
            };
            builder.append(header, content).unwrap();
        }
        builder.into_inner().unwrap();
        restore(root.path(), &made).refusal();
        assert_eq!(tree(root.path()), before);
        assert!(!outside.exists());
    }
    restore(root.path(), &archive).done();
}

#[tokio::test]
async fn a_failure_half_way_leaves_everything_as_it_was() {
    let (root, _elsewhere, archive) = archived().await;
    // The last thing to get another name cannot: with the time in it, it would be too long.
    let long = format!("{}.db", "d".repeat(230));
    fs::rename(root.path().join("database.db"), root.path().join(&long)).unwrap();
    fs::write(root.path().join("Assemblies/Scripts/late.ps1"), "late").unwrap();
    let before = tree(root.path());
    let path = root.path().join(&long).display().to_string();
    let ran = run(
        root.path(),
        &["restore", archive.to_str().unwrap()],
        &[("BOREALIS_DATABASE_PATH", &path)],
    );
    let told = ran.refusal();
    assert!(told.contains("cannot"), "{told}");
    assert_eq!(tree(root.path()), before);
}

#[tokio::test]
async fn one_that_was_cut_short_keeps_servers_away_until_it_is_taken_back() {
    let root = migrated();
    let before = tree(root.path());
    let path = |name: &str| root.path().join(name).display().to_string();
    let (database, aside, new) = (
        path("database.db"),
        path("database.db.aside"),
        path("database.db.new"),
    );
    fs::write(
        root.path().join("restore-in-progress.json"),
        json!([{"path": database, "new": new, "aside": aside}]).to_string(),
    )
    .unwrap();
    fs::rename(&database, &aside).unwrap();
    for command in ["serve", "migrate", "check"] {
        let ran = run(root.path(), &[command], &[]);
        assert_eq!(ran.code, Some(1), "{command}: {ran:?}");
        let text = ran.output + &ran.errors;
        assert!(text.contains("restore --roll-back"), "{command}: {text}");
    }
    // What they did would be deleted with what is taken back.
    for command in [
        "users list",
        "users create late --generate-password",
        "install-codes list",
        "devices list",
        "backup copy.db",
        "certificate show",
        "certificate renew",
        "certificate replace --yes",
    ] {
        let words: Vec<_> = command.split(' ').collect();
        let told = run(root.path(), &words, &[]).refusal();
        assert!(told.contains("restore --roll-back"), "{command}: {told}");
    }
    let told = run(root.path(), &["restore", "backup.db"], &[]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.errors.contains("restore --roll-back"), "{told:?}");
    assert!(!Path::new(&database).exists());
    let told = run(root.path(), &["restore", "--roll-back"], &[]).done();
    assert!(told.contains("is back"), "{told}");
    assert_eq!(tree(root.path()), before);
    let told = run(root.path(), &["restore", "--roll-back"], &[]).done();
    assert!(told.contains("nothing was changed"), "{told}");
}

#[tokio::test]
async fn an_earlier_restore_is_undone_with_the_journal_that_was_set_aside() {
    let root = migrated();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    run(root.path(), &["backup", copy.to_str().unwrap()], &[]).done();
    // A server that died: what it did last is in the journal alone.
    let mut writer = connect(root.path()).await;
    sqlx::raw_sql("INSERT INTO sites (name) VALUES ('in the journal')")
        .execute(&mut writer)
        .await
        .unwrap();
    let names = ["database.db", "database.db-wal", "database.db-shm"];
    for name in names {
        fs::copy(root.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    writer.close().await.unwrap();
    for name in names {
        fs::copy(elsewhere.path().join(name), root.path().join(name)).unwrap();
    }
    let told = run(root.path(), &["restore", copy.to_str().unwrap(), "--json"], &[]).json();
    assert!(sites(root.path()).await.is_empty());
    let aside: Vec<_> = told["set_aside"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    assert_eq!(aside.len(), 3, "{aside:?}");
    let before: Vec<_> = aside.iter().map(|path| fs::read(path).unwrap()).collect();
    restore(root.path(), Path::new(aside.last().unwrap())).done();
    assert_eq!(sites(root.path()).await, ["in the journal"]);
    let after: Vec<_> = aside.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(before == after, "what is restored stays as it is");
    assert!(
        names_in(root.path())
            .iter()
            .all(|name| !name.contains("restoring"))
    );
}

#[tokio::test]
async fn a_change_that_was_cut_short_is_undone_by_the_journal_beside_the_backup() {
    let root = migrated();
    sql(
        root.path(),
        "INSERT INTO sites (name) VALUES ('before'); PRAGMA journal_mode = DELETE",
    )
    .await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut writer = connect(root.path()).await;
    // More than is held in memory: half of it lies in the database, and in the journal what was there.
    sqlx::raw_sql(
        "PRAGMA cache_size = 2; BEGIN; DELETE FROM sites; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 \
         FROM n WHERE i < 2000) INSERT INTO sites (name) SELECT 'late' || i FROM n",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    for name in ["database.db", "database.db-journal"] {
        fs::copy(root.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    writer.close().await.unwrap();
    restore(root.path(), &elsewhere.path().join("database.db")).done();
    assert_eq!(sites(root.path()).await, ["before"]);
}

#[tokio::test]
async fn a_database_that_is_opened_while_the_backup_is_copied_is_not_taken_away() {
    let (root, _elsewhere, archive) = archived().await;
    sql(root.path(), "PRAGMA journal_mode = WAL").await;
    // Long enough to read that the program can be held in the middle of it.
    let large = root.path().join("Assemblies/large.bin");
    fs::write(&large, vec![7; 64 << 20]).unwrap();
    fs::remove_file(&archive).unwrap();
    run(root.path(), &["backup", "--all", archive.to_str().unwrap()], &[]).done();
    fs::remove_file(&large).unwrap();
    let program = program(root.path(), &["restore", archive.to_str().unwrap()], &[])
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&program);
    let is_staging = || {
        names_in(root.path())
            .iter()
            .any(|name| name.starts_with("Assemblies.restoring-"))
    };
    while !is_staging() {
        std::thread::yield_now();
    }
    kill_process(pid, Signal::STOP).unwrap();
    assert!(is_staging(), "it was held in time");
    let mut other = connect(root.path()).await;
    sqlx::raw_sql("SELECT count(*) FROM sites")
        .execute(&mut other)
        .await
        .unwrap();
    let before = names_in(&root.path().join("Assemblies"));
    kill_process(pid, Signal::CONT).unwrap();
    let ended = program.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains("is open in another program"), "{told}");
    assert_eq!(names_in(&root.path().join("Assemblies")), before);
    assert!(!is_staging());
    other.close().await.unwrap();
    assert_eq!(sites(root.path()).await, ["before"]);
}

#[tokio::test]
async fn what_a_killed_restore_made_ready_is_told_of_and_removed_by_the_next() {
    let (root, elsewhere, archive) = archived().await;
    let copy = elsewhere.path().join("copy.db");
    run(root.path(), &["backup", copy.to_str().unwrap()], &[]).done();
    let before = tree(root.path());
    let key = "Certificates/Server/borealis-server-key.pem";
    let leave = || {
        let at = |name: String| root.path().join(name);
        for name in ["database.db", "database.db-wal", key] {
            let (name, journal) = name
                .split_once("-wal")
                .map_or((name, ""), |(name, _)| (name, "-wal"));
            fs::write(
                at(format!("{name}.restoring-20260102T030405Z-2{journal}")),
                "secret",
            )
            .unwrap();
        }
        let folder = at("Assemblies.restoring-20260102T030405Z".to_owned());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("script.ps1"), "").unwrap();
    };
    let own = root.path().join("database.db.restoring-howto");
    for next in [
        vec!["restore", "--roll-back"],
        vec!["restore", copy.to_str().unwrap()],
        vec!["restore", archive.to_str().unwrap()],
    ] {
        leave();
        fs::write(&own, "somebody's notes").unwrap();
        let check = run(root.path(), &["check"], &[]);
        assert_eq!(check.code, Some(0), "{check:?}");
        let told: Vec<_> = check
            .output
            .lines()
            .filter(|line| line.starts_with("warning  restore: "))
            .collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().any(|line| line.contains(key)), "{told:?}");
        run(root.path(), &next, &[]).done();
        fs::remove_file(&own).unwrap();
        let left: Vec<_> = tree(root.path())
            .into_keys()
            .filter(|name| !before.contains_key(name) && !name.contains(".before-restore-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
