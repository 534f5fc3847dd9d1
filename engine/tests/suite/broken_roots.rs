//! `check` predicts `serve`: over roots that are broken in many ways both come to the same, and tell the same.
//!
//! Run as root, the program runs as a user without rights; what this machine does not let a test mount or own is printed
//! as not tried.

mod ground;

use std::{fs, net::TcpListener, path::Path};

use ground::{Ground, chmod, chown};
use sqlx::{Connection as _, SqliteConnection};

use crate::testkit::{files::everything_in, process};

const DATABASE: &str = "database.db";
const CERTIFICATE: &str = "Certificates/Server/borealis-server-cert.pem";
const KEY: &str = "Certificates/Server/borealis-server-key.pem";
const BUNDLE: &str = "Certificates/Server/borealis-server-bundle.pem";
const SCRIPT_KEY: &str = "Certificates/Server/Code-Signing/borealis-script-ed25519.key";
const TOKEN_KEY: &str = "Server/Borealis/auth_keys/borealis-jwt-ed25519.key";
const SEALING_KEY: &str = "Data/Server/server_secret.key";
const TLS: &[(&str, &str)] = &[("BOREALIS_TLS", "on")];

#[test]
fn a_whole_root_and_an_empty_one_are_served() {
    let ground = Ground::new();
    for tls in [&[][..], TLS] {
        ground.both("whole", tls, |_| {}).serves();
        ground
            .both("empty", tls, |root| {
                fs::remove_dir_all(root).unwrap();
                fs::create_dir(root).unwrap();
            })
            .serves();
    }
}

#[test]
fn places_that_cannot_be_written_are_named_with_their_owner() {
    let ground = Ground::new();
    ground
        .both("unwritable folder", &[], |root| chmod(root, 0o555))
        .refused(&["database.db", "belongs to user", "run the server as"]);
    ground
        .both("unwritable folder without a database", &[], |root| {
            fs::remove_file(root.join(DATABASE)).unwrap();
            chmod(root, 0o555);
        })
        .refused(&["database.db has to be made", "belongs to user"]);
    ground
        .both("unwritable database", &[], |root| {
            chmod(&root.join(DATABASE), 0o444);
        })
        .refused(&[
            "database.db cannot be written",
            "belongs to user",
            "run the server as",
        ]);
    ground
        .both("unreadable database", &[], |root| {
            chmod(&root.join(DATABASE), 0o000);
        })
        .refused(&["database.db cannot be written", "belongs to user"]);
    for journal in ["database.db-wal", "database.db-shm", "database.db-journal"] {
        ground
            .both("unwritable journal", &[], |root| {
                fs::write(root.join(journal), "").unwrap();
                chmod(&root.join(journal), 0o444);
            })
            .refused(&[journal, "cannot be written", "belongs to user"]);
    }
    ground
        .both("unwritable certificate folder, nothing to write", &[], |root| {
            chmod(&root.join("Certificates/Server"), 0o555);
        })
        .serves();
    ground
        .both(
            "unwritable certificate folder, certificate missing",
            &[],
            |root| {
                for file in [CERTIFICATE, KEY, BUNDLE] {
                    fs::remove_file(root.join(file)).unwrap();
                }
                chmod(&root.join("Certificates/Server"), 0o555);
            },
        )
        .refused(&["Certificates/Server", "belongs to user", "run the server as"]);
    ground
        .both("unwritable certificate folder, bundle missing", &[], |root| {
            fs::remove_file(root.join(BUNDLE)).unwrap();
            chmod(&root.join("Certificates/Server"), 0o555);
        })
        .refused(&["Certificates/Server", "belongs to user", "run the server as"]);
    ground
        .both("unwritable key folder, sealing key missing", &[], |root| {
            fs::remove_file(root.join(SEALING_KEY)).unwrap();
            chmod(&root.join("Data/Server"), 0o555);
        })
        .refused(&["server_secret.key has to be written", "belongs to user"]);
    ground
        .both("unwritable log folder", &[], |root| {
            fs::remove_dir_all(root.join("Logs")).unwrap();
            fs::create_dir(root.join("Logs")).unwrap();
            chmod(&root.join("Logs"), 0o555);
        })
        .serves();
    ground
        .both("a lock that somebody else left", &[], |root| {
            chmod(&root.join("database.db.lock"), 0o000);
        })
        .refused(&["database.db.lock", "cannot be opened", "remove the file"]);
    if ground.is_root() {
        ground
            .both("foreign owner", &[], |root| {
                chown(&root.join(DATABASE), 1);
                chmod(&root.join(DATABASE), 0o640);
            })
            .refused(&["database.db belongs to user 1", "65534", "run the server as"]);
        ground
            .both("foreign owner of all, readable", &[], |root| chown_all(root, 1))
            .refused(&["database.db", "belongs to user 1"]);
    } else {
        println!("not tried: foreign owner, which takes root");
    }
}

fn chown_all(folder: &Path, user: u32) {
    for path in everything_in(folder) {
        chown(&path, user);
    }
    chown(folder, user);
}

#[test]
fn a_read_only_file_system_and_a_full_disk_are_named() {
    let ground = Ground::new();
    if !ground.can_mount() {
        println!("not tried: read-only file system, full disk; this user may mount nothing");
        return;
    }
    ground
        .both_mounted(
            "read-only file system",
            "size=32m",
            "mount -o remount,ro none \"$ROOT\"",
            &[],
        )
        .refused(&[
            "database.db",
            "read-only file system",
            "mount it so that it can be written",
        ]);
    let fill = "cat /dev/zero > \"$ROOT/filler\" 2>/dev/null || true";
    ground
        .both_mounted("full disk", "size=32m", fill, &[])
        .refused(&["database.db", "full", "make room"]);
    let fill_and_begin_anew = format!("rm \"$ROOT/{DATABASE}\"; {fill}");
    ground
        .both_mounted("full disk, no database", "size=32m", &fill_and_begin_anew, &[])
        .refused(&["database.db", "full", "make room"]);
    ground
        .both_mounted("enough room", "size=32m", "true", &[])
        .serves();
}

async fn hold(root: &Path, statements: &'static str) -> SqliteConnection {
    let mut connection = SqliteConnection::connect(root.join(DATABASE).to_str().unwrap())
        .await
        .unwrap();
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_told_with_who_locks_it() {
    let ground = Ground::new();
    let own = format!("process {}", std::process::id());
    for (name, statements) in [
        ("locked by a writer", "BEGIN IMMEDIATE"),
        (
            "locked by a writer with the old journal",
            "PRAGMA journal_mode = DELETE; BEGIN IMMEDIATE",
        ),
        ("locked whole", "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE"),
    ] {
        let root = ground.root(|_| {});
        let holder = hold(root.path(), statements).await;
        ground.give(root.path());
        ground.both_over(name, &root, &[]).refused(&[
            "database.db is locked",
            &own,
            "Stop the legacy server",
        ]);
        holder.close().await.unwrap();
    }
    let root = ground.root(|_| {});
    let reader = hold(root.path(), "BEGIN; SELECT count(*) FROM users").await;
    ground.give(root.path());
    ground.both_over("somebody reads", &root, &[]).serves();
    reader.close().await.unwrap();
}

#[test]
fn a_taken_port_and_a_second_server_are_told() {
    let ground = Ground::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    ground
        .both("taken port", &[("BOREALIS_PORT", &port)], |_| {})
        .refused(&[&port, "cannot listen on", "BOREALIS_PORT"]);
    ground
        .both(
            "an address of another machine",
            &[("BOREALIS_HOST", "192.0.2.1"), ("BOREALIS_SECRET", "own")],
            |_| {},
        )
        .refused(&["192.0.2.1", "BOREALIS_HOST"]);
    ground
        .both(
            "a public address with a secret that everybody knows",
            &[("BOREALIS_HOST", "0.0.0.0")],
            |_| {},
        )
        .refused(&["0.0.0.0", "BOREALIS_FLASK_SECRET_KEY"]);

    let root = ground.root(|_| {});
    let first = process::start(ground.command(root.path(), "serve", &[])).serving();
    ground.both_over("second server", &root, &[]).refused(&[
        "database.db.lock",
        "another borealis-engine",
        "stop it first",
    ]);
    assert_eq!(first.health(), 200);
    first.stop();
}

#[test]
fn broken_keys_and_certificates_are_told_alike() {
    let ground = Ground::new();
    for (file, cure) in [
        (SCRIPT_KEY, "restore it from a backup"),
        (TOKEN_KEY, "restore it from a backup"),
        (SEALING_KEY, "restore it from a backup"),
    ] {
        for garbage in [
            &b"garbage"[..],
            b"\xff\xfe\0",
            b"",
            b"-----BEGIN PRIVATE KEY-----\nAAAA",
        ] {
            ground
                .both("corrupt key", &[], |root| {
                    fs::write(root.join(file), garbage).unwrap();
                })
                .refused(&[file, cure]);
        }
        ground
            .both("unreadable key", &[], |root| chmod(&root.join(file), 0o000))
            .refused(&[file]);
    }
    let another = ground.root(|root| fs::remove_dir_all(root.join("Certificates")).unwrap());
    process::start(ground.command(another.path(), "serve", &[]))
        .serving()
        .stop();
    for tls in [&[][..], TLS] {
        ground
            .both("certificate and key that do not fit", tls, |root| {
                fs::copy(another.path().join(KEY), root.join(KEY)).unwrap();
            })
            .agrees(&["borealis-server-key.pem"]);
        ground
            .both("missing key", tls, |root| {
                fs::remove_file(root.join(KEY)).unwrap();
            })
            .agrees(&["borealis-server"]);
        ground
            .both("missing certificate", tls, |root| {
                fs::remove_file(root.join(CERTIFICATE)).unwrap();
            })
            .agrees(&["borealis-server"]);
        for garbage in [
            &b"garbage"[..],
            b"\xff\xfe\0",
            b"-----BEGIN CERTIFICATE-----\nAAAA",
        ] {
            for file in [CERTIFICATE, KEY] {
                ground
                    .both("corrupt certificate or key", tls, |root| {
                        fs::write(root.join(file), garbage).unwrap();
                    })
                    .agrees(&["borealis-server"]);
            }
        }
        ground
            .both("unreadable TLS key", tls, |root| chmod(&root.join(KEY), 0o000))
            .agrees(&["borealis-server-key.pem"]);
    }
    ground
        .both("a file in the place of a folder", &[], |root| {
            fs::remove_dir_all(root.join("Server")).unwrap();
            fs::write(root.join("Server"), "").unwrap();
        })
        .refused(&["Server"]);
}

#[test]
fn a_damaged_database_is_told() {
    let ground = Ground::new();
    ground
        .both("damaged pages", &[], |root| {
            let mut content = fs::read(root.join(DATABASE)).unwrap();
            let pages = content.len() / 4096;
            for page in 2..pages {
                content[page * 4096..page * 4096 + 100].fill(0xee);
            }
            fs::write(root.join(DATABASE), content).unwrap();
        })
        .refused(&["database.db is damaged", "restore it from a backup"]);
    ground
        .both("cut off", &[], |root| {
            let content = fs::read(root.join(DATABASE)).unwrap();
            fs::write(root.join(DATABASE), &content[..content.len() / 2]).unwrap();
        })
        .refused(&["database.db is damaged", "restore it from a backup"]);
    ground
        .both("no database", &[], |root| {
            fs::write(root.join(DATABASE), "no database, only a text of some length").unwrap();
        })
        .refused(&[
            "database.db is damaged or no database",
            "restore it from a backup",
        ]);
    ground
        .both("a folder", &[], |root| {
            fs::remove_file(root.join(DATABASE)).unwrap();
            fs::create_dir(root.join(DATABASE)).unwrap();
        })
        .refused(&["database.db is no file", "move it out of the way"]);
    ground
        .both("empty", &[], |root| fs::write(root.join(DATABASE), "").unwrap())
        .serves();
}

#[tokio::test]
async fn an_upgrade_that_cannot_succeed_is_told_beforehand_and_one_that_can_is_served() {
    let ground = Ground::new();
    let root = ground.root(|root| fs::remove_file(root.join(DATABASE)).unwrap());
    let old = "PRAGMA page_size = 4096; CREATE TABLE device_keys (id TEXT PRIMARY KEY, guid TEXT NOT NULL, \
               ssl_key_fingerprint TEXT NOT NULL, added_at TEXT NOT NULL, retired_at TEXT); \
               INSERT INTO device_keys VALUES ('1', 'g', 'f', '', NULL)";
    fs::write(root.path().join(DATABASE), "").unwrap();
    hold(root.path(), old).await.close().await.unwrap();
    ground.give(root.path());
    let whole = fs::read(root.path().join(DATABASE)).unwrap();
    ground.both_over("an older database", &root, &[]).serves();

    let without_names = ground.root(|root| fs::remove_file(root.join(DATABASE)).unwrap());
    fs::write(without_names.path().join(DATABASE), "").unwrap();
    let statement = "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, role TEXT)";
    hold(without_names.path(), statement).await.close().await.unwrap();
    ground.give(without_names.path());
    ground
        .both_over("a table that no upgrade completes", &without_names, &[])
        .refused(&["users", "database.db", "password_sha512", "restore the database"]);

    let doubled = "INSERT INTO device_keys VALUES ('2', 'g', 'f', '', NULL)";
    for journal in ["database.db-wal", "database.db-shm"] {
        let _ = fs::remove_file(root.path().join(journal));
    }
    fs::write(root.path().join(DATABASE), whole).unwrap();
    hold(root.path(), doubled).await.close().await.unwrap();
    ground.give(root.path());
    let before = fs::read(root.path().join(DATABASE)).unwrap();
    ground
        .both_over("an older database with rows in the way", &root, &[])
        .refused(&[
            "database.db",
            "device_keys.guid",
            "Nothing in the database was changed",
        ]);
    assert_eq!(fs::read(root.path().join(DATABASE)).unwrap(), before);
}

#[test]
fn settings_and_roots_that_are_wrong_end_with_the_same_code() {
    let ground = Ground::new();
    ground
        .both(
            "a value that cannot be read",
            &[("BOREALIS_TLS", "maybe")],
            |_| {},
        )
        .ends_with(2, &["BOREALIS_TLS", "auto, on or off"]);
    ground
        .both("a folder of other things", &[], |root| {
            fs::remove_dir_all(root).unwrap();
            fs::create_dir(root).unwrap();
            fs::write(root.join("letter.txt"), "").unwrap();
        })
        .ends_with(2, &["letter.txt", "BOREALIS_ROOT", "--create"]);
    ground
        .both("a root that is not there", &[], |root| {
            fs::remove_dir_all(root).unwrap();
        })
        .ends_with(2, &["is not there", "BOREALIS_ROOT", "--create"]);
    let elsewhere = [("BOREALIS_DATABASE_PATH", "/nonexistent/folder/database.db")];
    ground
        .both("a database in a folder that is not there", &elsewhere, |_| {})
        .refused(&["/nonexistent/folder/database.db", "BOREALIS_DATABASE_PATH"]);
    let off = [("BOREALIS_ENGINE_AUTO_MIGRATE", "off")];
    ground
        .both("no tables and no upgrade", &off, |root| {
            fs::remove_file(root.join(DATABASE)).unwrap();
        })
        .refused(&["database.db", "borealis-engine migrate"]);
}

#[tokio::test]
async fn a_journal_that_a_killed_server_left_is_read_and_stays() {
    let ground = Ground::new();
    let root = ground.root(|_| {});
    drop(process::start(ground.command(root.path(), "serve", &[])).serving());
    assert!(root.path().join("database.db-wal").is_file());
    fs::remove_file(root.path().join("database.db-shm")).unwrap();
    ground
        .both_over("a journal without its index", &root, &[])
        .serves();
}
