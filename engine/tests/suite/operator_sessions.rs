//! When operators' sessions end: at a logout, with the password, the role or the account, and never by accident.

use borealis_engine::domain::{digest::sha512_hex, totp::Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::testkit::{START, server::Server};

/// What a browser or a script keeps of a login.
#[derive(Clone, Debug)]
struct Login {
    session: String,
    token: String,
}

impl Login {
    /// Both cookies, as a browser sends them.
    fn cookies(&self) -> String {
        format!("session={}; borealis_auth={}", self.session, self.token)
    }
}

async fn start() -> Server {
    Server::with(&[]).start().await
}

/// What operators do, with a login that the test keeps.
impl Server {
    async fn login_with(&self, name: &str, password: &str) -> Login {
        self.try_login(name, password).await.unwrap()
    }

    async fn try_login(&self, name: &str, password: &str) -> Result<Login, (u16, Value)> {
        let answer = self
            .request(Method::POST, "/api/auth/login")
            .json(&json!({"username": name, "password": password}))
            .send()
            .await
            .unwrap();
        let session = session_cookie(&answer);
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        match body["token"].as_str() {
            Some(token) => Ok(Login {
                session: session.unwrap(),
                token: token.to_owned(),
            }),
            None => Err((status, body)),
        }
    }

    /// Whether this cookie, this token in its cookie and this token as a bearer are somebody.
    async fn counts(&self, login: &Login) -> [bool; 3] {
        let me = || self.request(Method::GET, "/api/auth/me");
        let cookie = |value: String| me().header("cookie", value);
        [
            is_somebody(cookie(format!("session={}", login.session))).await,
            is_somebody(cookie(format!("borealis_auth={}", login.token))).await,
            is_somebody(me().bearer_auth(&login.token)).await,
        ]
    }

    async fn send_as(
        &self,
        who: &Login,
        method: Method,
        path: &str,
        body: Value,
    ) -> (u16, Value, Option<String>) {
        let answer = self
            .request(method, path)
            .header("cookie", who.cookies())
            .json(&body)
            .send()
            .await
            .unwrap();
        let session = session_cookie(&answer);
        (answer.status().as_u16(), answer.json().await.unwrap(), session)
    }

    async fn post_as(&self, who: &Login, path: &str, body: Value) -> (u16, Value) {
        let (status, body, _) = self.send_as(who, Method::POST, path, body).await;
        (status, body)
    }

    async fn log_out(&self, login: &Login) {
        assert_eq!(self.post_as(login, "/api/auth/logout", Value::Null).await.0, 200);
    }

    async fn create(&self, admin: &Login, name: &str, role: &str, password: &str) {
        let form =
            json!({"username": name, "role": role, "password_sha512": sha512_hex(password.as_bytes())});
        assert_eq!(self.post_as(admin, "/api/users", form).await.0, 200);
    }
}

async fn is_somebody(request: RequestBuilder) -> bool {
    request.send().await.unwrap().status().as_u16() == 200
}

fn session_cookie(answer: &reqwest::Response) -> Option<String> {
    answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .find_map(|cookie| cookie.to_str().unwrap().strip_prefix("session="))
        .map(|cookie| cookie.split(';').next().unwrap().to_owned())
}

fn error(word: &str) -> Value {
    json!({ "error": word })
}

const ALIVE: [bool; 3] = [true; 3];
const ENDED: [bool; 3] = [false; 3];

#[tokio::test]
async fn a_logout_ends_that_session_cookie_and_token_alike_and_no_other() {
    let server = start().await;
    let first = server.login_with("admin", "Password").await;
    server.set_clock(START + 5);
    let second = server.login_with("admin", "Password").await;
    server.log_out(&first).await;
    assert_eq!(server.counts(&first).await, ENDED);
    assert_eq!(server.counts(&second).await, ALIVE);

    // A script that has the token alone ends the cookie with it.
    let logout = server.request(Method::POST, "/api/auth/logout");
    assert!(is_somebody(logout.bearer_auth(&second.token)).await);
    assert_eq!(server.counts(&second).await, ENDED);

    // In the second of a logout as later: who logs in again is logged in.
    for seconds in [5, 6] {
        server.set_clock(START + seconds);
        let again = server.login_with("admin", "Password").await;
        assert_eq!(server.counts(&again).await, ALIVE);
        server.log_out(&again).await;
        assert_eq!(server.counts(&again).await, ENDED);
    }
    server.stop().await;
}

#[tokio::test]
async fn sessions_end_with_the_password_the_role_and_the_account() {
    let server = start().await;
    let admin = server.login_with("admin", "Password").await;
    server.create(&admin, "Eve", "User", "one").await;

    let before = server.login_with("eve", "one").await;
    server.set_clock(START + 10);
    let just_before = server.login_with("eve", "one").await;
    let reset = json!({"password_sha512": sha512_hex(b"two")});
    assert_eq!(
        server
            .post_as(&admin, "/api/users/EVE/reset_password", reset)
            .await
            .0,
        200
    );
    assert_eq!(server.counts(&before).await, ENDED);
    assert_eq!(server.counts(&just_before).await, ENDED);
    // Issued after the end, in its very second, and still so when that has passed.
    let after = server.login_with("eve", "two").await;
    assert_eq!(server.counts(&after).await, ALIVE);
    server.set_clock(START + 11);
    assert_eq!(server.counts(&after).await, ALIVE);

    let role = |role: &str| json!({ "role": role });
    server.post_as(&admin, "/api/users/eve/role", role("user")).await;
    assert_eq!(server.counts(&after).await, ALIVE, "the same role ends nothing");
    server.post_as(&admin, "/api/users/eve/role", role("admin")).await;
    assert_eq!(server.counts(&after).await, ENDED);

    let promoted = server.login_with("eve", "two").await;
    assert_eq!(server.counts(&promoted).await, ALIVE);
    let (status, _, _) = server
        .send_as(&admin, Method::DELETE, "/api/users/eve", Value::Null)
        .await;
    assert_eq!(status, 200);
    assert_eq!(server.counts(&promoted).await, ENDED);
    // An account made anew under the same name, in that second and later.
    server.create(&admin, "eve", "User", "three").await;
    assert_eq!(server.counts(&promoted).await, ENDED);
    let anew = server.login_with("eve", "three").await;
    server.set_clock(START + 60);
    assert_eq!(server.counts(&promoted).await, ENDED);
    assert_eq!(server.counts(&anew).await, ALIVE);
    assert_eq!(server.counts(&admin).await, ALIVE);
    server.stop().await;
}

#[tokio::test]
async fn who_changes_his_own_role_goes_on_with_the_cookie_that_he_is_sent() {
    let server = start().await;
    let admin = server.login_with("admin", "Password").await;
    server.create(&admin, "bob", "Admin", "pw").await;
    let bob = server.login_with("bob", "pw").await;
    let (status, _, session) = server
        .send_as(&bob, Method::POST, "/api/users/bob/role", json!({"role": "User"}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(server.counts(&bob).await, ENDED);
    let renewed = Login {
        session: session.unwrap(),
        ..bob
    };
    for seconds in [0, 100] {
        server.set_clock(START + seconds);
        assert_eq!(server.counts(&renewed).await, [true, false, false]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_pending_login_ends_like_a_session() {
    let server = start().await;
    let admin = server.login_with("admin", "Password").await;
    server.create(&admin, "al", "User", "old").await;
    server
        .post_as(&admin, "/api/users/al/mfa", json!({"enabled": true}))
        .await;
    let pending = |password: &'static str| {
        let login = server
            .request(Method::POST, "/api/auth/login")
            .json(&json!({"username": "al", "password": password}));
        async {
            let answer = login.send().await.unwrap();
            let cookie = session_cookie(&answer).unwrap();
            (cookie, answer.json::<Value>().await.unwrap())
        }
    };
    let verify = |(cookie, pending): &(String, Value), secret: &str, step: i64| {
        let code = Secret::read(secret)
            .unwrap()
            .code(u64::try_from(START / 30 + step).unwrap());
        let request = server
            .request(Method::POST, "/api/auth/mfa/verify")
            .header("cookie", format!("session={cookie}"))
            .json(&json!({"pending_token": pending["pending_token"], "code": code}));
        async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    let secret_of = |pending: &(String, Value)| pending.1["secret"].as_str().unwrap().to_owned();

    // Taken by somebody who knew the old password, completed after it was reset.
    let taken = pending("old").await;
    server.set_clock(START + 1);
    let reset = json!({"password_sha512": sha512_hex(b"new")});
    server
        .post_as(&admin, "/api/users/al/reset_password", reset)
        .await;
    assert_eq!(
        verify(&taken, &secret_of(&taken), 0).await,
        (401, error("invalid_session"))
    );
    assert_eq!(server.count("SELECT COUNT(mfa_secret) FROM users").await, 0);

    // Taken before the owner sets up his secret, completed after: his secret stays.
    server.set_clock(START + 2);
    let taken = pending("new").await;
    let owner = pending("new").await;
    let secret = secret_of(&owner);
    assert_eq!(verify(&owner, &secret, 0).await.0, 200);
    assert_eq!(
        verify(&taken, &secret_of(&taken), 0).await,
        (401, error("invalid_session"))
    );
    let kept = format!("SELECT COUNT(*) FROM users WHERE mfa_secret = '{secret}'");
    let mut database = server.database().await;
    let kept: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(kept))
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    // The owner's next login is asked for his own code, also where somebody changed the account in the file meanwhile.
    server
        .sql("UPDATE users SET role = 'Admin' WHERE username = 'al'")
        .await;
    let next = pending("new").await;
    assert_eq!(next.1["stage"], "verify");
    assert_eq!(verify(&next, &secret, 1).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn what_the_legacy_changed_meanwhile_ends_sessions_too() {
    const NAMES: [&str; 5] = ["reset", "demoted", "anew", "renamed", "left-alone"];
    let server = start().await;
    let admin = server.login_with("admin", "Password").await;
    let mut logins = Vec::new();
    for name in NAMES {
        server.create(&admin, name, "Admin", "pw").await;
        logins.push(server.login_with(name, "pw").await);
    }
    server.set_clock(START + 10);
    let server = server
        .restart_after(
            "UPDATE users SET password_sha512 = 'ff' WHERE username = 'reset'; \
             UPDATE users SET role = 'User' WHERE username = 'demoted'; \
             DELETE FROM users WHERE username = 'anew'; \
             INSERT INTO users (username, password_sha512, role) SELECT 'anew', password_sha512, role FROM users \
             WHERE username = 'renamed'; \
             UPDATE users SET display_name = 'Else', last_login = 7, updated_at = 8, mfa_enabled = 0 \
             WHERE username = 'left-alone'",
        )
        .await;
    for (name, login) in NAMES.iter().zip(&logins) {
        let expected = if ["renamed", "left-alone"].contains(name) {
            ALIVE
        } else {
            ENDED
        };
        assert_eq!(server.counts(login).await, expected, "{name}");
    }
    assert_eq!(server.counts(&admin).await, ALIVE);
    // At once, too, where somebody changes the file while the server runs; and a login after it counts.
    server
        .sql("UPDATE users SET role = 'User' WHERE username = 'left-alone'")
        .await;
    let fresh = server.login_with("left-alone", "pw").await;
    assert_eq!(server.counts(&logins[4]).await, ENDED);
    assert_eq!(server.counts(&fresh).await, ALIVE);
    server.stop().await;
}

#[tokio::test]
async fn ends_survive_a_restart_and_the_loss_of_their_tables_does_no_harm() {
    let server = start().await;
    let admin = server.login_with("admin", "Password").await;
    server.set_clock(START + 5);
    let other = server.login_with("admin", "Password").await;
    server.log_out(&admin).await;
    let server = server.restart_after("SELECT 1").await;
    assert_eq!(
        (server.counts(&admin).await, server.counts(&other).await),
        (ENDED, ALIVE)
    );
    let server = server
        .restart_after("DROP TABLE engine_operator_accounts; DROP TABLE engine_operator_sessions")
        .await;
    assert_eq!(server.counts(&other).await, ALIVE);
    server.log_out(&other).await;
    assert_eq!(server.counts(&other).await, ENDED);
    server.stop().await;
}

#[tokio::test]
async fn a_clock_that_went_back_locks_nobody_out() {
    let server = start().await;
    server.set_clock(START + 3600);
    let admin = server.login_with("admin", "Password").await;
    server.create(&admin, "eve", "User", "one").await;
    let reset = json!({"password_sha512": sha512_hex(b"two")});
    server
        .post_as(&admin, "/api/users/eve/reset_password", reset)
        .await;
    server.set_clock(START);
    let eve = server.login_with("eve", "two").await;
    assert_eq!(server.counts(&eve).await, ALIVE);
    server.stop().await;
}

#[tokio::test]
async fn what_nobody_can_use_any_more_is_cleared_away() {
    let server = start().await;
    let admin = server.login_with("admin", "Password").await;
    server.create(&admin, "eve", "User", "one").await;
    server
        .send_as(&admin, Method::DELETE, "/api/users/eve", Value::Null)
        .await;
    server.log_out(&admin).await;
    let rows = "SELECT (SELECT COUNT(*) FROM engine_operator_accounts) * 10 \
                + (SELECT COUNT(*) FROM engine_operator_sessions)";
    assert_eq!(server.count(rows).await, 21);
    server.set_clock(START + 40 * 24 * 3600);
    let server = server.restart_after("SELECT 1").await;
    assert_eq!(server.count(rows).await, 10);
    server.stop().await;
}

#[tokio::test]
async fn the_policy_legacy_ends_nothing() {
    let server = Server::with(&[("BOREALIS_ACCESS_POLICY", "legacy")])
        .start()
        .await;
    let admin = server.login_with("admin", "Password").await;
    server.set_clock(START + 5);
    server.log_out(&admin).await;
    let reset = json!({"password_sha512": sha512_hex(b"Password")});
    server
        .post_as(&admin, "/api/users/admin/reset_password", reset)
        .await;
    assert_eq!(server.counts(&admin).await, ALIVE);
    server.stop().await;
}

#[tokio::test]
async fn a_password_that_is_no_text_tells_nothing_and_is_counted() {
    let server = start().await;
    for name in ["admin", "nobody"] {
        let login = |password: Value| {
            let form = json!({"username": name, "password": password});
            let request = server.request(Method::POST, "/api/auth/login").json(&form);
            async {
                let answer = request.send().await.unwrap();
                (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
            }
        };
        for password in [
            json!(5),
            json!(true),
            json!(["Password"]),
            json!({"p": 1}),
            json!(1.5),
        ] {
            for _ in 0..2 {
                assert_eq!(
                    login(password.clone()).await,
                    (400, error("missing credentials")),
                    "{name}"
                );
            }
        }
        assert_eq!(login(json!(5)).await, (429, error("rate_limited")), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn cookies_are_secure_where_the_request_came_over_tls() {
    for (variable, forwarded, secure) in [
        (None, None, false),
        (None, Some("https"), true),
        (Some("0"), Some("https"), false),
        (Some("1"), None, true),
    ] {
        let variables: Vec<_> = variable
            .map(|value| ("BOREALIS_COOKIE_SECURE", value))
            .into_iter()
            .collect();
        let server = Server::with(&variables).start().await;
        let sent = |path: &str, body: Value| {
            let mut request = server.request(Method::POST, path).json(&body);
            if let Some(proto) = forwarded {
                request = request.header("x-forwarded-proto", proto);
            }
            async {
                let answer = request.send().await.unwrap();
                let cookies = answer.headers().get_all("set-cookie").iter();
                cookies
                    .map(|cookie| cookie.to_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            }
        };
        let login = sent(
            "/api/auth/login",
            json!({"username": "admin", "password": "Password"}),
        )
        .await;
        let logout = sent("/api/auth/logout", Value::Null).await;
        for cookie in login.iter().chain(&logout) {
            assert_eq!(
                cookie.contains("; Secure"),
                secure,
                "{variable:?} {forwarded:?} {cookie}"
            );
        }
        assert_eq!((login.len(), logout.len()), (2, 2));
        server.stop().await;
    }
}
