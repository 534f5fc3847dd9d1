//! Sockets of browsers whose operators log in and out.

use serde_json::json;

use crate::testkit::{AGENT, GUID, START, rows::Device, server::Server, socket::Client};

const DEVICE: Device = Device::new(GUID, "WIN-1", "aa");
const CREDENTIALS: &str = "{\"username\":\"admin\",\"password\":\"Password\"}";
const ONE: &str = "borealis_browser=AAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "borealis_browser=BBBBBBBBBBBBBBBBBBBBBB";
const FIREFOX: (&str, &str) = ("user-agent", "Firefox");

async fn agent(server: &Server) -> Client {
    let headers = [
        ("authorization", server.bearer(&DEVICE)),
        ("user-agent", FIREFOX.1.to_owned()),
    ];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut agent = Client::join_new(server, &headers).await;
    agent
        .call(
            "connect_agent",
            json!({"agent_id": AGENT, "service_mode": "system"}),
        )
        .await;
    agent
}

/// Lets the agent show something, and says whether it reaches this client.
async fn sees(agent: &mut Client, client: &mut Client) -> bool {
    let task = json!({"agent_id": AGENT, "node_id": "n", "image_base64": "QUJD"});
    agent.call("agent_screenshot_task", task).await;
    client
        .frames()
        .await
        .iter()
        .any(|frame| frame.starts_with("42[\"agent_screenshot_task\""))
}

async fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) {
    let (status, answer) = server.ask("POST", path, headers, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
}

/// A login in the browser whose cookie is [`ONE`].
async fn log_in(server: &Server) {
    post(
        server,
        "/api/auth/login",
        &[("cookie", ONE), FIREFOX],
        CREDENTIALS,
    )
    .await;
}

#[tokio::test]
async fn a_login_ends_the_sockets_of_its_browser_and_no_others() {
    let server = Server::start("strict", DEVICE).await;
    let mut agent = agent(&server).await;
    let mut known = Client::join_new(&server, &[("cookie", ONE), FIREFOX]).await;
    let mut other = Client::join_new(&server, &[("cookie", OTHER), FIREFOX]).await;
    let mut unknown = Client::join_new(&server, &[FIREFOX]).await;
    let mut nameless = Client::join_new(&server, &[]).await;
    let mut elsewhere = Client::join_new(&server, &[FIREFOX, ("x-forwarded-for", "192.0.2.1")]).await;
    log_in(&server).await;
    assert!(known.ends_without_a_word().await);
    // Its page was opened before it was given a cookie, or came from another server: address and name decide.
    assert!(unknown.ends_without_a_word().await);
    for staying in [&mut other, &mut nameless, &mut elsewhere, &mut agent] {
        staying.nothing_came().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_logout_ends_the_sockets_of_its_session_and_its_browser() {
    let server = Server::start("strict", DEVICE).await;
    let mut agent = agent(&server).await;
    let cookies = server.log_in().await;
    let in_browser = format!("{cookies}; {ONE}");
    let mut page = Client::join_new(&server, &[("cookie", &in_browser), FIREFOX]).await;
    let mut script = Client::join_new(&server, &[("cookie", &cookies)]).await;
    server.pass(std::time::Duration::from_secs(1));
    let later = server.log_in().await;
    let mut stays = Client::join_new(&server, &[("cookie", &later)]).await;
    assert!(sees(&mut agent, &mut page).await && sees(&mut agent, &mut script).await);
    stays.frames().await;

    post(
        &server,
        "/api/auth/logout",
        &[("cookie", &in_browser), FIREFOX],
        "",
    )
    .await;
    assert!(page.is_closed().await);
    // The last screenshot may still have been on its way.
    assert!(script.is_closed().await);
    assert!(sees(&mut agent, &mut stays).await);
    // Who comes back with the old cookies is nobody.
    let mut again = Client::join_new(&server, &[("cookie", &in_browser), FIREFOX]).await;
    assert!(!sees(&mut agent, &mut again).await);
    server.stop().await;
}

#[tokio::test]
async fn sockets_lose_their_rights_with_a_reset_password_and_a_changed_role() {
    for (path, body) in [
        (
            "/api/users/admin/reset_password",
            format!("{{\"password_sha512\":\"{}\"}}", "0".repeat(128)),
        ),
        ("/api/users/admin/role", "{\"role\":\"User\"}".to_owned()),
    ] {
        let server = Server::start(
            "strict",
            "INSERT INTO users (username, password_sha512, role) VALUES ('root', '00', 'Admin')",
        )
        .await;
        server.sql(DEVICE).await;
        let mut agent = agent(&server).await;
        let cookies = server.log_in().await;
        let mut socket = Client::join_new(&server, &[("cookie", &cookies)]).await;
        assert!(sees(&mut agent, &mut socket).await);
        post(&server, path, &[("cookie", &cookies)], &body).await;
        server.pass(std::time::Duration::from_secs(6));
        assert!(!sees(&mut agent, &mut socket).await, "{path}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_connection_s_id_is_no_credential_where_it_was_opened_with_one() {
    let server = Server::start("strict", DEVICE).await;
    let cookies = server.log_in().await;
    let token = format!("Bearer {}", server.token(GUID, "aa", 1, START));
    for own in [("cookie", cookies.as_str()), ("authorization", token.as_str())] {
        let open = "EIO=4&transport=polling";
        let (_, headers, body) = server.poll("GET", open, &[own], "").await;
        let cookie = headers["set-cookie"].to_str().unwrap();
        assert!(
            cookie.ends_with("; HttpOnly; Path=/socket.io/; SameSite=Lax"),
            "{cookie}"
        );
        let key = cookie.split(';').next().unwrap();
        let packet: serde_json::Value = serde_json::from_slice(body.strip_prefix(b"0").unwrap()).unwrap();
        let query = format!("{open}&sid={}", packet["sid"].as_str().unwrap());
        let websocket = query.replace("polling", "websocket");
        let upgrade = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ];
        let foreign = if own.0 == "cookie" {
            ("authorization", token.as_str())
        } else {
            ("cookie", cookies.as_str())
        };
        for stranger in [
            &[][..],
            &[foreign],
            &[("cookie", "session=forged")],
            &[("authorization", "Bearer x")],
        ] {
            let upgrading = [&upgrade[..], stranger].concat();
            for (method, query, headers, body) in [
                ("GET", &query, stranger, ""),
                ("POST", &query, stranger, "40"),
                ("POST", &query, stranger, "1"),
                ("GET", &websocket, &upgrading[..], ""),
            ] {
                let (status, _, answer) = server.poll(method, query, headers, body).await;
                assert_eq!(
                    (status, String::from_utf8(answer).unwrap().as_str()),
                    (403, "\"The session was opened with another credential\""),
                    "{method} {headers:?}"
                );
            }
        }
        // Nothing has happened to it. Clients that send headers of their own with the first request alone keep cookies.
        assert_eq!(server.poll("POST", &query, &[own], "40").await.0, 200);
        let (status, _, body) = server.poll("GET", &query, &[own], "").await;
        assert_eq!(status, 200);
        assert!(body.starts_with(b"40{\"sid\":"));
        for (shown, status) in [(key, 200), ("borealis_socket=AAAAAAAAAAAAAAAAAAAAAA", 403)] {
            assert_eq!(
                server.poll("POST", &query, &[("cookie", shown)], "3").await.0,
                status
            );
        }
    }
    // Who shows nothing is given nothing to show.
    let (_, headers, _) = server.poll("GET", "EIO=4&transport=polling", &[], "").await;
    assert!(!headers.contains_key("set-cookie"));
    server.stop().await;
}

#[tokio::test]
async fn the_policy_legacy_leaves_sockets_alone() {
    let server = Server::start("legacy", "").await;
    let mut socket = Client::join_new(&server, &[("cookie", ONE), FIREFOX]).await;
    log_in(&server).await;
    post(&server, "/api/auth/logout", &[("cookie", ONE), FIREFOX], "").await;
    socket.nothing_came().await;
    server.stop().await;
}
