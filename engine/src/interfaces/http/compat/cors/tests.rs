use axum::{body::Body, response::IntoResponse as _};

use super::*;

async fn ask(allowed: &[&str], method: &str, pairs: &[(&str, &str)]) -> HeaderMap {
    ask_at("/", allowed, method, pairs).await
}

async fn ask_at(path: &str, allowed: &[&str], method: &str, pairs: &[(&str, &str)]) -> HeaderMap {
    ask_under("legacy", path, allowed, method, pairs).await
}

fn settings(policy: &str, allowed: &[&str]) -> Settings {
    let variables = [
        ("BOREALIS_CORS_ALLOWED_ORIGINS".to_owned(), allowed.join(",")),
        ("BOREALIS_ACCESS_POLICY".to_owned(), policy.to_owned()),
        (
            "BOREALIS_PUBLIC_URL".to_owned(),
            "https://b.example:8443/".to_owned(),
        ),
    ];
    Settings::from_map(&variables.into(), std::path::Path::new("/")).unwrap()
}

async fn ask_under(
    policy: &str,
    path: &str,
    allowed: &[&str],
    method: &str,
    pairs: &[(&str, &str)],
) -> HeaderMap {
    let origins = AllowedOrigins::new(&settings(policy, allowed));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in pairs {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = async |_| [(header::VARY, "Cookie")].into_response();
    add_headers(&origins, request, answer).await.headers().clone()
}

#[tokio::test]
async fn an_allowed_origin_is_echoed() {
    for (allowed, origin) in [
        (&[][..], "null"),
        (
            &["https://a.example", "https://ui.example"][..],
            "HTTPS://UI.example",
        ),
    ] {
        let headers = ask(allowed, "GET", &[("origin", origin)]).await;
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(headers["vary"], "Origin, Cookie");
        assert!(!headers.contains_key("access-control-allow-methods"));
    }
}

#[tokio::test]
async fn where_one_origin_is_set_answers_do_not_vary_by_it() {
    let headers = ask(
        &["https://ui.example"],
        "GET",
        &[("origin", "https://ui.example")],
    )
    .await;
    assert_eq!(headers["access-control-allow-origin"], "https://ui.example");
    assert_eq!(headers["vary"], "Cookie");
}

#[tokio::test]
async fn what_a_proxied_server_says_of_origins_stays_but_never_opens_the_cookies() {
    let any = [("access-control-allow-origin", "*")];
    let with_cookies = [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
    ];
    let cookies_alone = [("access-control-allow-credentials", "true")];
    let (foreign, own) = ("https://a.example", "https://b.example:8443");
    for (policy, origin, upstream, allowed, credentials) in [
        ("legacy", foreign, &any[..], "*", false),
        ("legacy", foreign, &with_cookies, foreign, true),
        ("legacy", foreign, &cookies_alone, foreign, true),
        ("strict", foreign, &any, "*", false),
        ("strict", foreign, &with_cookies, foreign, false),
        ("strict", foreign, &cookies_alone, foreign, false),
        ("strict", own, &[], own, true),
    ] {
        let settings = settings(policy, &[]);
        let request = Request::builder().uri("/api/proxy").header("origin", origin);
        let request = request.body(Body::empty()).unwrap();
        let answer = async |_| {
            let mut response = Body::empty().into_response();
            for (name, value) in upstream {
                response
                    .headers_mut()
                    .insert(*name, HeaderValue::from_static(value));
            }
            response
        };
        let origins = AllowedOrigins::new(&settings);
        let answer = add_headers(&origins, request, answer).await;
        let headers = answer.headers();
        let told = headers.contains_key("access-control-allow-credentials");
        assert_eq!(
            headers["access-control-allow-origin"], allowed,
            "{policy} {upstream:?}"
        );
        assert_eq!(told, credentials, "{policy} {origin} {upstream:?}");
    }
}

#[tokio::test]
async fn cookies_are_for_the_servers_own_origins_alone() {
    for (list, origin, allowed, with_cookies) in [
        (&[][..], "https://a.example", true, false),
        (&[], "null", true, false),
        (&[], "https://b.example:8443", true, true),
        (&[], "http://b.example:8443", true, true),
        (&[], "https://b.example", true, false),
        (&["https://a.example"], "https://a.example", true, true),
        (&["https://a.example"], "https://c.example", false, false),
    ] {
        for path in ["/api/x", "/socket.io/?EIO=4"] {
            let headers = ask_under("strict", path, list, "GET", &[("origin", origin)]).await;
            let has = |name: &str| headers.contains_key(name);
            assert_eq!(has("access-control-allow-origin"), allowed, "{origin} {path}");
            assert_eq!(
                has("access-control-allow-credentials"),
                with_cookies,
                "{origin} {path}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_added_for_others() {
    let list = ["https://ui.example"];
    for pairs in [
        &[][..],
        &[("origin", "https://ui.example:8443")][..],
        &[("origin", "null")][..],
    ] {
        let headers = ask(&list, "GET", pairs).await;
        assert!(!headers.contains_key("access-control-allow-origin"));
        assert_eq!(headers["vary"], "Cookie");
    }
}

#[tokio::test]
async fn the_socket_endpoint_has_its_own_form() {
    let path = "/socket.io/?EIO=4";
    let headers = ask_at(path, &[], "GET", &[("origin", "https://a")]).await;
    assert_eq!(headers["access-control-allow-origin"], "https://a");
    assert_eq!(headers["vary"], "Cookie");
    let headers = ask_at(path, &["https://b"], "GET", &[("origin", "https://a")]).await;
    assert!(!headers.contains_key("access-control-allow-credentials"));
    let headers = ask_at(
        path,
        &[],
        "OPTIONS",
        &[("access-control-request-headers", "x-b, x-a")],
    )
    .await;
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-allow-methods"], "OPTIONS, GET, POST");
    assert_eq!(headers["access-control-allow-headers"], "x-b, x-a");
}

#[tokio::test]
async fn a_preflight_lists_what_was_asked_for() {
    let headers = ask(
        &[],
        "OPTIONS",
        &[
            ("origin", "https://a"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "X-Foo,  x-bar,content-type"),
            ("access-control-request-private-network", "true"),
        ],
    )
    .await;
    assert_eq!(headers["access-control-allow-methods"], METHODS);
    assert_eq!(
        headers["access-control-allow-headers"],
        "X-Foo, content-type, x-bar"
    );
    assert_eq!(headers["access-control-allow-private-network"], "false");
}

#[tokio::test]
async fn private_networks_are_refused_in_every_answer() {
    for method in ["GET", "OPTIONS"] {
        let pairs = [
            ("origin", "https://a"),
            ("access-control-request-private-network", "true"),
        ];
        let headers = ask(&[], method, &pairs).await;
        assert_eq!(
            headers["access-control-allow-private-network"], "false",
            "{method}"
        );
    }
    let headers = ask(&[], "GET", &[("access-control-request-private-network", "true")]).await;
    assert!(!headers.contains_key("access-control-allow-private-network"));
}

#[tokio::test]
async fn an_empty_origin_is_none_and_a_star_is_everybody() {
    let headers = ask(&[], "GET", &[("origin", "")]).await;
    assert!(!headers.contains_key("access-control-allow-origin"));
    assert_eq!(headers["vary"], "Cookie");
    let headers = ask(&[], "GET", &[("origin", "*")]).await;
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(headers["vary"], "Cookie");
}

#[tokio::test]
async fn a_preflight_grants_what_is_asked_for_even_if_it_is_no_name() {
    let granted = async |asked: &str| {
        let pairs = [
            ("origin", "https://a"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", asked),
        ];
        let headers = ask(&[], "OPTIONS", &pairs).await;
        let granted = headers.get("access-control-allow-headers")?;
        Some(granted.to_str().unwrap().to_owned())
    };
    assert_eq!(granted("").await, None);
    for method in ["", "TRACE", "GET, POST"] {
        let nothing = [
            ("origin", "https://a"),
            ("access-control-request-method", method),
            ("access-control-request-headers", "a"),
        ];
        assert_eq!(ask(&[], "OPTIONS", &nothing).await.len(), 3, "{method}");
    }
    let in_small_letters = [("origin", "https://a"), ("access-control-request-method", "post")];
    let headers = ask(&[], "OPTIONS", &in_small_letters).await;
    assert_eq!(headers["access-control-allow-methods"], METHODS);
    for (asked, answer) in [("a,,b", ", a, b"), ("b, a,", ", a, b"), (",", ", ")] {
        assert_eq!(granted(asked).await.as_deref(), Some(answer), "{asked}");
    }
}
