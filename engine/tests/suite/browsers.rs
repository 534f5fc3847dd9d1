//! What guards operators who use a browser: whose pages may send their cookies, and what pages are served with.

use insta::assert_snapshot;
use reqwest::header::HeaderMap;

use crate::testkit::server::Server;

const LISTED: &str = "https://listed.example";

/// A server with a page.
async fn start(variables: &[(&str, &str)]) -> Server {
    let pages = "Data/Server/web-interface/build";
    Server::with(variables)
        .file(&format!("{pages}/index.html"), "<!doctype html>")
        .file(&format!("{pages}/app.js"), "1")
        .start()
        .await
}

async fn ask(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap, String) {
    let answer = server.send(method, path, headers, "").await;
    (answer.status, answer.headers, answer.body)
}

const FORBIDDEN: &str = "{\"error\":\"forbidden_origin\"}\n";

#[tokio::test]
async fn a_foreign_page_cannot_write_with_an_operator_s_cookie() {
    let server = start(&[
        ("BOREALIS_CORS_ALLOWED_ORIGINS", LISTED),
        ("BOREALIS_PUBLIC_URL", "https://public.example:8443"),
        ("BOREALIS_PORT", "0"),
    ])
    .await;
    let cookies = server.log_in().await;
    let own = format!("http://{}", server.address());
    let over_tls = own.replace("http:", "https:");
    let token = format!(
        "Bearer {}",
        cookies
            .split_once("borealis_auth=")
            .unwrap()
            .1
            .split(';')
            .next()
            .unwrap()
    );
    let write = |headers: Vec<(&'static str, String)>| {
        let server = &server;
        async move {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let (status, _, body) = ask(server, "POST", "/api/github/token", &headers).await;
            if status == 403 { body } else { String::new() }
        }
    };
    let cookie = || ("cookie", cookies.clone());
    let from = |origin: &str| ("origin", origin.to_owned());
    let forwarded = || ("x-forwarded-host", "proxied.example".to_owned());
    let cross_site = || ("sec-fetch-site", "cross-site".to_owned());
    for headers in [
        vec![cookie()],
        vec![cookie(), from(&own)],
        vec![cookie(), from(&over_tls)],
        vec![cookie(), from("https://public.example:8443"), cross_site()],
        vec![cookie(), from(LISTED), cross_site()],
        vec![cookie(), from("https://proxied.example"), forwarded()],
        vec![cookie(), ("sec-fetch-site", "same-origin".to_owned())],
        vec![from("https://foreign.example"), cross_site()],
        vec![("authorization", token.clone()), from("https://foreign.example")],
    ] {
        assert_eq!(write(headers.clone()).await, "", "{headers:?}");
    }
    for headers in [
        vec![cookie(), from("https://foreign.example")],
        vec![cookie(), from("null")],
        vec![cookie(), from("https://public.example")],
        vec![cookie(), from("https://proxied.example")],
        vec![cookie(), from(&format!("{own}0"))],
        vec![cookie(), cross_site()],
        vec![
            cookie(),
            from("https://foreign.example"),
            ("sec-fetch-site", "same-origin".to_owned()),
        ],
        vec![
            ("cookie", "session=x".to_owned()),
            from("https://foreign.example"),
        ],
        vec![
            ("cookie", "a=1; borealis_auth=x".to_owned()),
            from("https://foreign.example"),
        ],
    ] {
        assert_eq!(write(headers.clone()).await, FORBIDDEN, "{headers:?}");
    }
    // Logging out is a write, too, and reading is the business of the cross-origin headers.
    let foreign = [
        ("cookie", cookies.as_str()),
        ("origin", "https://foreign.example"),
    ];
    assert_eq!(ask(&server, "POST", "/api/auth/logout", &foreign).await.0, 403);
    let (status, headers, _) = ask(&server, "GET", "/api/auth/me", &foreign).await;
    assert_eq!(status, 200);
    assert!(!headers.contains_key("access-control-allow-origin"));
    assert_eq!(ask(&server, "OPTIONS", "/api/users", &foreign).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_page_opens_no_socket_with_an_operator_s_cookie() {
    let server = start(&[]).await;
    let cookies = server.log_in().await;
    let own = format!("https://{}", server.address());
    let path = "/socket.io/?EIO=4&transport=polling";
    for (headers, expected) in [
        (
            vec![
                ("cookie", cookies.as_str()),
                ("origin", "https://foreign.example"),
            ],
            403,
        ),
        (
            vec![("cookie", cookies.as_str()), ("sec-fetch-site", "cross-site")],
            403,
        ),
        (vec![("cookie", cookies.as_str()), ("origin", own.as_str())], 200),
        (vec![("cookie", cookies.as_str())], 200),
        (vec![("origin", "https://foreign.example")], 200),
    ] {
        let (status, _, body) = ask(&server, "GET", path, &headers).await;
        assert_eq!(status, expected, "{headers:?} {body}");
    }
    let upgrade = [
        ("cookie", cookies.as_str()),
        ("origin", "https://foreign.example"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    for path in [
        "/socket.io/?EIO=4&transport=websocket",
        "//socket.io/?EIO=4&transport=websocket",
    ] {
        let (status, _, body) = ask(&server, "GET", path, &upgrade).await;
        assert_eq!((status, body.as_str()), (403, FORBIDDEN), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn answers_and_pages_carry_what_guards_them() {
    let server = start(&[]).await;
    let mut guards = String::new();
    for path in [
        "/",
        "/devices",
        "/api/nope",
        "/app.js",
        "/health",
        "/api/users",
        "/socket.io/?EIO=3",
    ] {
        let (status, headers, _) = ask(&server, "GET", path, &[]).await;
        guards += &format!("{path} {status}\n");
        for name in [
            "content-security-policy",
            "strict-transport-security",
            "x-content-type-options",
            "x-frame-options",
        ] {
            if let Some(value) = headers.get(name) {
                guards += &format!("    {name}: {}\n", value.to_str().unwrap());
            }
        }
    }
    assert_snapshot!(guards, @r#"
    / 200
        content-security-policy: frame-ancestors 'none'; object-src 'none'; base-uri 'self'
        x-content-type-options: nosniff
        x-frame-options: DENY
    /devices 200
        content-security-policy: frame-ancestors 'none'; object-src 'none'; base-uri 'self'
        x-content-type-options: nosniff
        x-frame-options: DENY
    /api/nope 404
        content-security-policy: frame-ancestors 'none'; object-src 'none'; base-uri 'self'
        x-content-type-options: nosniff
        x-frame-options: DENY
    /app.js 200
        x-content-type-options: nosniff
    /health 200
        x-content-type-options: nosniff
    /api/users 401
        x-content-type-options: nosniff
    /socket.io/?EIO=3 400
        x-content-type-options: nosniff
    "#);
    server.stop().await;
}

#[tokio::test]
async fn a_browser_is_given_its_cookie_with_the_page_once() {
    let server = start(&[]).await;
    let (_, headers, _) = ask(&server, "GET", "/devices", &[]).await;
    let cookie = headers["set-cookie"].to_str().unwrap();
    let (pair, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(attributes, " HttpOnly; Path=/; SameSite=Lax");
    assert_eq!(headers["cache-control"], "private, no-cache");
    let (_, again, _) = ask(&server, "GET", "/", &[("cookie", pair)]).await;
    assert!(!again.contains_key("set-cookie"));
    assert_eq!(again["cache-control"], "no-cache");
    // A page that the browser has already, and a cookie that is none of this server's.
    for unknown in [
        &[("if-none-match", "*")][..],
        &[("cookie", "borealis_browser=short")],
    ] {
        let (_, headers, _) = ask(&server, "GET", "/", unknown).await;
        let other = headers["set-cookie"].to_str().unwrap();
        assert!(
            other.starts_with("borealis_browser=") && !other.starts_with(pair),
            "{other}"
        );
    }
    for path in [
        "/app.js",
        "/health",
        "/api/nope",
        "/socket.io/?EIO=4&transport=polling",
    ] {
        assert!(
            !ask(&server, "GET", path, &[]).await.1.contains_key("set-cookie"),
            "{path}"
        );
    }
    let over_tls = [("x-forwarded-proto", "https")];
    let (_, headers, _) = ask(&server, "GET", "/", &over_tls).await;
    assert!(
        headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("; Secure; HttpOnly")
    );
    server.stop().await;
}

#[tokio::test]
async fn under_the_policy_legacy_nothing_is_guarded() {
    let server = start(&[("BOREALIS_ACCESS_POLICY", "legacy")]).await;
    let cookies = server.log_in().await;
    let foreign = [
        ("cookie", cookies.as_str()),
        ("origin", "https://foreign.example"),
    ];
    let (status, headers, _) = ask(&server, "POST", "/api/auth/logout", &foreign).await;
    assert_eq!(status, 200);
    assert_eq!(headers["access-control-allow-credentials"], "true");
    let (_, headers, _) = ask(&server, "GET", "/", &[]).await;
    for name in [
        "x-content-type-options",
        "x-frame-options",
        "content-security-policy",
        "set-cookie",
    ] {
        assert!(!headers.contains_key(name), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn redirects_name_the_public_address_where_one_is_set() {
    for (variables, expected) in [
        (&[][..], "http://inner.example/api/users"),
        (
            &[("BOREALIS_PUBLIC_URL", "https://public.example/")][..],
            "https://public.example/api/users",
        ),
    ] {
        let server = start(variables).await;
        let (status, headers, _) = ask(&server, "POST", "/api//users", &[("host", "inner.example")]).await;
        assert_eq!((status, headers["location"].to_str().unwrap()), (308, expected));
        server.stop().await;
    }
}

#[tokio::test]
async fn where_the_web_client_is_missing_its_paths_say_so_and_what_to_do() {
    let server = Server::with(&[]).start().await;
    for path in ["/", "/devices"] {
        let (status, headers, body) = ask(&server, "GET", path, &[]).await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (404, "text/html; charset=utf-8")
        );
        for word in [
            "web client is not installed",
            "Data/Server/web-interface/build",
            "BOREALIS_STATIC_ROOT",
        ] {
            assert!(body.contains(word), "{path}: {word} in {body}");
        }
        let root = server.root().display().to_string();
        assert!(!body.contains(&root), "{body}");
    }
    // What is no page of the client says what the legacy says.
    for path in ["/favicon.ico", "/api/none"] {
        let (status, _, body) = ask(&server, "GET", path, &[]).await;
        assert_eq!((status, body.contains("not installed")), (404, false), "{path}");
    }
    server.stop().await;
}
