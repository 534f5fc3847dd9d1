//! Operators on a whole server: who logs in, who is limited, who loses his rights when, and what is kept secret.

use borealis_engine::domain::{digest::sha256_hex, fernet::FernetKey, totp::Secret};
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::testkit::{START, answer::Answers, browser::Browser, server::Server};

const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

fn code(secret: &str, seconds: i64) -> String {
    Secret::read(secret)
        .unwrap()
        .code(u64::try_from((START + seconds) / 30).unwrap())
}

/// What is told of a secret.
fn fingerprint(secret: &str) -> String {
    sha256_hex(secret.as_bytes()).chars().take(16).collect()
}

fn error(word: &str) -> Value {
    json!({ "error": word })
}

#[tokio::test]
async fn the_eleventh_guess_is_refused_even_if_it_is_right() {
    let server = Server::with(&[]).start().await;
    let guesser = server.browser();
    for name in ["admin", "ADMIN"].iter().cycle().take(10) {
        assert_eq!(
            guesser.login(name, "wrong").await,
            (401, error("invalid username or password"))
        );
    }
    let right = json!({"username": "Admin", "password": "Password"});
    let refused = guesser.send(Method::POST, "/api/auth/login", right).await;
    assert_eq!(refused.status_and_json(), (429, error("rate_limited")));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((298..=300).contains(&seconds), "{refused}");
    // A body that is no login is told as that, and other names and addresses are free.
    assert_eq!(guesser.login("admin", "").await.0, 400);
    assert_eq!(guesser.login("nobody", "wrong").await.0, 401);
    let elsewhere = Browser {
        address: "192.0.2.2".to_owned(),
        ..server.browser()
    };
    assert_eq!(elsewhere.login("admin", "Password").await.0, 200);
    server.set_clock(START + 301);
    assert_eq!(guesser.login("admin", "Password").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn guesses_side_by_side_do_not_pass_the_limit_together() {
    let server = Server::with(&[]).start().await;
    let guesser = server.browser();
    let tries = (0..40).map(|_| {
        let request = guesser
            .client
            .post(format!("{}/api/auth/login", guesser.base))
            .json(&json!({"username": "admin", "password": "wrong"}));
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    let mut refused = 0;
    for answer in tries.collect::<Vec<_>>() {
        refused += usize::from(answer.await.unwrap() == 401);
    }
    assert_eq!(refused, 10);
    server.stop().await;
}

#[tokio::test]
async fn right_logins_are_never_limited() {
    let server = Server::with(&[]).start().await;
    for _ in 0..30 {
        assert_eq!(server.browser().login("admin", "Password").await.0, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_first_login_with_mfa_sets_up_a_secret_and_the_next_asks_for_it() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    admin.create("al@x", "User").await;
    assert_eq!(
        admin
            .post("/api/users/al@x/mfa", json!({"enabled": true}))
            .await
            .0,
        200
    );
    let browser = server.browser();
    let (status, setup) = browser.login("AL@X", "pw").await;
    assert_eq!((status, &setup["stage"]), (200, &json!("setup")));
    let secret = setup["secret"].as_str().unwrap();
    assert_eq!(
        setup["otpauth_url"],
        format!("otpauth://totp/Borealis:al%40x?secret={secret}&issuer=Borealis")
    );
    assert!(
        setup["qr_image"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,iVBORw0KGgo")
    );
    assert_eq!(browser.get("/api/auth/me").await.0, 401);
    assert_eq!(
        browser.verify(&setup, "12345").await,
        (400, error("invalid_code"))
    );
    let (status, done) = browser.verify(&setup, code(secret, 0)).await;
    assert_eq!((status, &done["username"]), (200, &json!("al@x")));
    assert_eq!(browser.get("/api/auth/me").await.0, 200);
    assert_eq!(
        browser.verify(&setup, code(secret, 0)).await,
        (401, error("mfa_pending"))
    );

    let (_, pending) = browser.login("al@x", "pw").await;
    assert_eq!(
        (&pending["stage"], &pending["secret"]),
        (&json!("verify"), &Value::Null)
    );
    // The code of the setup is used up.
    assert_eq!(
        browser.verify(&pending, code(secret, 0)).await,
        (401, error("invalid_code"))
    );
    assert_eq!(browser.verify(&pending, code(secret, 30)).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn wrong_codes_are_limited_like_wrong_passwords() {
    let server = Server::with(&[]).start().await;
    server.admin().await.create("al", "User").await;
    server
        .sql("UPDATE users SET mfa_enabled = 1, mfa_secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' WHERE username = 'al'")
        .await;
    let browser = server.browser();
    let (_, pending) = browser.login("al", "pw").await;
    for _ in 0..5 {
        assert_eq!(browser.login("al", "wrong").await.0, 401);
        assert_eq!(
            browser.verify(&pending, "1234567").await,
            (401, error("invalid_code"))
        );
    }
    assert_eq!(
        browser.verify(&pending, code(SECRET, 0)).await,
        (429, error("rate_limited"))
    );
    assert_eq!(browser.login("al", "pw").await.0, 429);
    server.set_clock(START + 305);
    assert_eq!(
        browser.verify(&pending, code(SECRET, 305)).await,
        (401, error("expired"))
    );
    assert_eq!(
        browser.verify(&pending, code(SECRET, 305)).await,
        (401, error("mfa_pending"))
    );
    let (_, pending) = browser.login("al", "pw").await;
    assert_eq!(browser.verify(&pending, code(SECRET, 305)).await.0, 200);
    server.stop().await;
}

/// Fifty wrong passwords, ten from an address each.
async fn guess_from_everywhere(server: &Server, name: &str) {
    for address in 1..=5 {
        let guesser = server.browser_at(format!("198.51.100.{address}"));
        for _ in 0..10 {
            assert_eq!(guesser.login(name, "wrong").await.0, 401);
        }
    }
}

#[tokio::test]
async fn a_name_is_guessed_fifty_times_from_wherever_and_its_owner_is_let_in() {
    let server = Server::with(&[]).start().await;
    server.admin().await;
    for name in ["admin", "nobody"] {
        guess_from_everywhere(&server, name).await;
        let refused = (429, error("rate_limited"));
        assert_eq!(
            server.browser_at("198.51.100.9").login(name, "Password").await,
            refused
        );
    }
    // From where he has logged in the owner does, whatever strangers do, and may mistype.
    let home = server.browser_at("6.6.6.6, 192.0.2.1:5060");
    assert_eq!(home.login("ADMIN", "wrong").await.0, 401);
    assert_eq!(home.login("admin", "Password").await.0, 200);
    server.set_clock(START + 890);
    assert_eq!(
        server
            .browser_at("198.51.100.9")
            .login("admin", "Password")
            .await
            .0,
        429
    );
    server.set_clock(START + 910);
    assert_eq!(
        server
            .browser_at("198.51.100.9")
            .login("admin", "Password")
            .await
            .0,
        200
    );
    server.stop().await;
}

#[tokio::test]
async fn an_address_is_known_for_thirty_days() {
    const DAY: i64 = 24 * 60 * 60;
    let server = Server::with(&[]).start().await;
    server.admin().await;
    server.set_clock(START + 30 * DAY);
    guess_from_everywhere(&server, "admin").await;
    assert_eq!(server.browser().login("admin", "Password").await.0, 200);
    server.set_clock(START + 60 * DAY + 1);
    guess_from_everywhere(&server, "admin").await;
    assert_eq!(server.browser().login("admin", "Password").await.0, 429);
    server.stop().await;
}

#[tokio::test]
async fn who_guesses_other_names_does_not_get_rid_of_what_stands_against_him() {
    let server = Server::with(&[]).start().await;
    server.admin().await;
    server.sql("DELETE FROM engine_known_addresses").await;
    let guesser = server.browser();
    for _ in 0..10 {
        assert_eq!(guesser.login("admin", "wrong").await.0, 401);
    }
    let mut taken = 0;
    for name in 0..150 {
        taken += usize::from(guesser.login(&format!("other {name}"), "wrong").await.0 == 401);
    }
    assert_eq!(taken, 90);
    assert_eq!(guesser.login("admin", "Password").await.0, 429);
    assert_eq!(
        server
            .browser_at("203.0.113.1")
            .login("admin", "Password")
            .await
            .0,
        200
    );
    server.stop().await;
}

#[tokio::test]
async fn a_pending_login_follows_its_account() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    for name in ["gone", "demoted"] {
        admin.create(name, "Admin").await;
    }
    server
        .sql("UPDATE users SET mfa_enabled = 1 WHERE username <> 'admin'")
        .await;
    let (gone, demoted) = (server.browser(), server.browser());
    let (_, gone_setup) = gone.login("gone", "pw").await;
    let (_, demoted_setup) = demoted.login("demoted", "pw").await;
    assert_eq!(demoted_setup["role"], "Admin");
    admin.send(Method::DELETE, "/api/users/gone", Value::Null).await;
    admin
        .post("/api/users/demoted/role", json!({"role": "user"}))
        .await;

    let right = |setup: &Value| code(setup["secret"].as_str().unwrap(), 0);
    assert_eq!(
        gone.verify(&gone_setup, right(&gone_setup)).await,
        (401, error("invalid_session"))
    );
    assert_eq!(
        demoted.verify(&demoted_setup, right(&demoted_setup)).await,
        (401, error("invalid_session"))
    );
    let (_, again) = demoted.login("demoted", "pw").await;
    let (status, done) = demoted.verify(&again, right(&again)).await;
    assert_eq!((status, &done["role"]), (200, &json!("User")));
    assert_eq!(demoted.get("/api/users").await, (403, error("forbidden")));
    server.stop().await;
}

#[tokio::test]
async fn rights_end_with_the_account_or_its_role() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    admin.create("eve", "Admin").await;
    let eve = server.browser();
    let token = eve.login("eve", "pw").await.1["token"].clone();
    let by_token = || async {
        let answer = crate::testkit::http::client()
            .get(format!("{}/api/users", eve.base))
            .bearer_auth(token.as_str().unwrap())
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    assert_eq!((eve.get("/api/users").await.0, by_token().await), (200, 200));
    admin.post("/api/users/eve/role", json!({"role": "User"})).await;
    assert_eq!((eve.get("/api/users").await.0, by_token().await), (401, 401));
    assert_eq!(eve.login("eve", "pw").await.0, 200);
    assert_eq!(eve.get("/api/users").await.0, 403);
    assert_eq!(eve.get("/api/auth/me").await.1["role"], "User");
    server
        .sql("UPDATE users SET role = 'Admin' WHERE username = 'eve'")
        .await;
    assert_eq!(eve.get("/api/users").await.0, 401);
    assert_eq!(eve.login("eve", "pw").await.0, 200);
    assert_eq!(eve.get("/api/users").await.0, 200);
    admin.send(Method::DELETE, "/api/users/EVE", Value::Null).await;
    assert_eq!((eve.get("/api/users").await.0, by_token().await), (401, 401));
    assert_eq!(eve.get("/api/auth/me").await, (401, error("unauthorized")));
    server.stop().await;
}

#[tokio::test]
async fn one_admin_is_always_left() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    let mut answers = Answers::default();
    let mut ask = async |method: Method, path: &str, body: Value| {
        let answer = admin.send(method.clone(), path, body.clone()).await;
        answers.note(format_args!("{method} {path} {body}"), &answer);
    };
    ask(Method::DELETE, "/api/users/nobody", Value::Null).await;
    admin.create("bob", "User").await;
    ask(Method::POST, "/api/users/admin/role", json!({"role": "User"})).await;
    ask(Method::DELETE, "/api/users/%20ADMIN", Value::Null).await;
    ask(Method::DELETE, "/api/users/nobody", Value::Null).await;
    ask(Method::POST, "/api/users/bob/role", json!({"role": "ADMIN"})).await;
    ask(Method::POST, "/api/users/admin/role", json!({"role": "User"})).await;
    ask(Method::GET, "/api/users", Value::Null).await;
    assert_snapshot!(answers, @r#"
    DELETE /api/users/nobody null: 400 {"error":"There is only one user currently configured, you cannot delete this user until you have created another."}
    POST /api/users/admin/role {"role":"User"}: 400 {"error":"cannot demote the last admin"}
    DELETE /api/users/%20ADMIN null: 400 {"error":"You cannot delete the user you are currently logged in as."}
    DELETE /api/users/nobody null: 404 {"error":"user not found"}
    POST /api/users/bob/role {"role":"ADMIN"}: 200 {"status":"ok"}
    POST /api/users/admin/role {"role":"User"}: 200 {"status":"ok"}
    GET /api/users null: 403 {"error":"forbidden"}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn secrets_are_sealed_and_never_shown() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    let form = json!({"name": "root", "password": "p\u{e4}ss", "private_key": "k", "metadata": {"port": 22}});
    assert_snapshot!(admin.send(Method::POST, "/api/credentials", form).await, @r#"
    201
    {
      "credential": {
        "become_method": "",
        "become_username": "",
        "connection_type": "ssh",
        "created_at": 1800000000,
        "credential_type": "machine",
        "description": "",
        "has_become_password": false,
        "has_password": true,
        "has_private_key": true,
        "has_private_key_passphrase": false,
        "id": 1,
        "metadata": {
          "port": 22
        },
        "name": "root",
        "site_id": null,
        "site_name": null,
        "updated_at": 1800000000,
        "username": ""
      }
    }
    "#);
    let read = async || admin.send(Method::GET, "/api/credentials/1", Value::Null).await;
    let shown = read().await;
    assert!(shown.body.contains(&fingerprint("p\u{e4}ss")));
    assert_snapshot!(shown, @r#"
    200
    {
      "credential": {
        "become_method": "",
        "become_password_fingerprint": "",
        "become_username": "",
        "connection_type": "ssh",
        "created_at": 1800000000,
        "credential_type": "machine",
        "description": "",
        "has_become_password": false,
        "has_password": true,
        "has_private_key": true,
        "has_private_key_passphrase": false,
        "id": 1,
        "metadata": {
          "port": 22
        },
        "name": "root",
        "password_fingerprint": "73c2e2fd2aec66e5",
        "private_key_fingerprint": "19732980d68fbd00",
        "site_id": null,
        "site_name": null,
        "updated_at": 1800000000,
        "username": ""
      }
    }
    "#);

    // Whoever has the key's file, as the legacy has, opens what is stored.
    let key = std::fs::read(server.root().join("Data/Server/server_secret.key")).unwrap();
    let key = FernetKey::from_text(key.trim_ascii()).unwrap();
    let (password, private_key): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("SELECT password_encrypted, private_key_encrypted FROM credentials")
            .fetch_one(&mut server.database().await)
            .await
            .unwrap();
    assert_eq!(key.open(&password).unwrap(), "p\u{e4}ss".as_bytes());
    assert_eq!(key.open(&private_key).unwrap(), b"k\n");

    let other = FernetKey::from_bytes([7; 32]).seal(b"secret", 1, [0; 16]);
    sqlx::query("UPDATE credentials SET password_encrypted = $1, private_key_encrypted = 'aGVsbG8='")
        .bind(other.as_bytes())
        .execute(&mut server.database().await)
        .await
        .unwrap();
    let (_, read) = read().await.status_and_json();
    assert_eq!(read["credential"]["password_fingerprint"], "");
    assert_eq!(read["credential"]["has_password"], true);
    assert_eq!(
        read["credential"]["private_key_fingerprint"],
        fingerprint("hello")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_blank_role_makes_no_account() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    let user = |role: Value| json!({"username": "bob", "password_sha512": "ab", "role": role});
    for role in [json!("  "), json!("root"), json!(7)] {
        assert_eq!(
            admin.post("/api/users", user(role)).await,
            (400, error("invalid role"))
        );
    }
    assert_eq!(server.count("SELECT count(*) FROM users").await, 1);
    assert_eq!(admin.post("/api/users", user(json!(""))).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn accounts_that_cannot_be_read_are_told_in_the_databases_words() {
    for policy in ["strict", "legacy"] {
        let server = Server::start(policy, "").await;
        let admin = server.admin().await;
        server.sql("ALTER TABLE users RENAME TO u2").await;
        let told = (500, error("no such table: users"));
        for path in ["/api/users", "/api/auth/me", "/api/credentials"] {
            assert_eq!(admin.get(path).await, told, "{policy} {path}");
        }
        assert_eq!(
            admin.post("/api/users/admin/mfa", json!({})).await,
            told,
            "{policy}"
        );
        assert_eq!(
            server.browser().login("admin", "Password").await,
            told,
            "{policy}"
        );
        server.sql("ALTER TABLE u2 RENAME TO users").await;
        assert_eq!(admin.get("/api/users").await.0, 200, "{policy}");
        server.stop().await;
    }
}

#[tokio::test]
async fn numbers_that_no_credential_has_are_not_found() {
    let server = Server::with(&[]).start().await;
    let admin = server.admin().await;
    // What the legacy's database refuses stands with the rules of HTTP: ids beyond 64 bits.
    for id in ["7", "9223372036854775807"] {
        let path = format!("/api/credentials/{id}");
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PUT, json!({"description": "d"})),
            (Method::DELETE, Value::Null),
        ] {
            let answer = admin.send(method, &path, body).await;
            let not_found = (404, error("credential not found"));
            assert_eq!(answer.status_and_json(), not_found);
            assert_eq!(answer.header("retry-after"), None);
        }
    }
    assert_eq!(
        admin.get("/api/credentials?site_id=18446744073709551616").await,
        (200, json!({"credentials": []}))
    );
    server.stop().await;
}
