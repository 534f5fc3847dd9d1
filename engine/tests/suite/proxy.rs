//! `/api/proxy`: who may ask, how far, what goes up and what comes down.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

use crate::testkit::{browser::Browser, server::Server};

fn percent(url: &str) -> String {
    form_urlencoded::byte_serialize(url.as_bytes()).collect()
}

/// Where `url` is asked for through the server.
fn through(url: &str) -> String {
    format!("/api/proxy?url={}", percent(url))
}

/// What the server answers an operator who asks for `url` through it.
async fn ask(operator: &Browser, url: &str) -> reqwest::Response {
    let url = format!("{}{}", operator.base, through(url));
    operator.client.get(url).send().await.unwrap()
}

async fn site() -> MockServer {
    let site = MockServer::start().await;
    let page = ResponseTemplate::new(200)
        .set_body_string("<p>hello")
        .insert_header("x-up", "yes")
        .insert_header("set-cookie", "session=theirs");
    Mock::given(method("GET"))
        .and(path("/page"))
        .respond_with(page)
        .mount(&site)
        .await;
    let html = ResponseTemplate::new(200)
        .insert_header("content-security-policy", "img-src 'none'")
        .set_body_raw("<script>act()</script>", "text/html");
    Mock::given(method("GET"))
        .and(path("/html"))
        .respond_with(html)
        .mount(&site)
        .await;
    site
}

/// A server that may reach this machine.
async fn reaching() -> Server {
    Server::with(&[("BOREALIS_PROXY_ALLOW", "127.0.0.0/8")])
        .start()
        .await
}

/// A server as the legacy is, which reaches whatever it is told to.
async fn legacy() -> Server {
    Server::with(&[("BOREALIS_ACCESS_POLICY", "legacy")])
        .start()
        .await
}

#[tokio::test]
async fn nobody_without_a_session_asks_through_the_server() {
    let (server, site) = (reaching().await, site().await);
    let (status, body) = server
        .browser()
        .get(&through(&format!("{}/page", site.uri())))
        .await;
    assert_eq!((status, body), (401, json!({ "error": "unauthorized" })));
    assert!(site.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn this_machine_and_private_networks_are_reached_where_the_setting_lists_them_alone() {
    let (server, site) = (Server::with(&[]).start().await, site().await);
    let operator = server.admin().await;
    let port = site.address().port();
    let mut targets = vec![
        "http://10.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://[::1]/".to_owned(),
        "http://0x7f000001/".to_owned(),
    ];
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        targets.push(format!("http://{host}:{port}/page"));
    }
    for target in targets {
        let (status, body) = operator.get(&through(&target)).await;
        assert_eq!(
            (status, body),
            (403, json!({ "error": "forbidden_target" })),
            "{target}"
        );
    }
    assert!(site.received_requests().await.unwrap().is_empty());

    for allowed in ["127.0.0.1", "127.0.0.0/8, 10.0.0.0/8", "localhost"] {
        let server = Server::with(&[("BOREALIS_PROXY_ALLOW", allowed)]).start().await;
        let host = if allowed == "localhost" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        let target = format!("http://{host}:{port}/page");
        let answer = ask(&server.admin().await, &target).await;
        assert_eq!(answer.status(), 200, "{allowed}");
    }
}

#[tokio::test]
async fn a_redirect_is_looked_at_like_the_first_address() {
    let site = site().await;
    let inward = ResponseTemplate::new(302).insert_header("location", "http://10.0.0.1/admin");
    Mock::given(path("/inward"))
        .respond_with(inward)
        .mount(&site)
        .await;
    let round = ResponseTemplate::new(307).insert_header("location", "/round");
    Mock::given(path("/round")).respond_with(round).mount(&site).await;
    let onward = ResponseTemplate::new(301).insert_header("location", "page");
    Mock::given(path("/onward"))
        .respond_with(onward)
        .mount(&site)
        .await;
    let server = reaching().await;
    let operator = server.admin().await;
    let answered = async |path: &str| {
        let answer = ask(&operator, &format!("{}{path}", site.uri())).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(
        answered("/inward").await,
        (403, "{\"error\":\"forbidden_target\"}\n".to_owned())
    );
    assert_eq!(
        answered("/round").await,
        (502, "{\"error\":\"upstream request failed\"}\n".to_owned())
    );
    assert_eq!(answered("/onward").await, (200, "<p>hello".to_owned()));
}

#[tokio::test]
async fn what_comes_down_cannot_act_as_the_operator() {
    let (server, site) = (reaching().await, site().await);
    let answer = ask(&server.admin().await, &format!("{}/page", site.uri())).await;
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-up"), Some("yes"));
    assert_eq!(header("set-cookie"), None);
    assert_eq!(header("content-security-policy"), Some("sandbox"));
    let asked = site.received_requests().await.unwrap();
    for name in ["cookie", "authorization"] {
        assert!(!asked[0].headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_page_from_elsewhere_is_shut_in_as_well_as_kept_out_of_frames() {
    let (server, site) = (reaching().await, site().await);
    let answer = ask(&server.admin().await, &format!("{}/html", site.uri())).await;
    let policies: Vec<_> = answer
        .headers()
        .get_all("content-security-policy")
        .iter()
        .collect();
    assert_eq!(
        policies,
        [
            "img-src 'none'",
            "sandbox",
            "frame-ancestors 'none'; object-src 'none'; base-uri 'self'"
        ]
    );
    assert_eq!(answer.headers()["x-frame-options"], "DENY");
}

#[tokio::test]
async fn an_encoding_that_the_client_asks_for_is_asked_for_upstream_where_it_can_be_unpacked() {
    let (server, site) = (reaching().await, site().await);
    let operator = server.admin().await;
    for accepted in ["identity", "br"] {
        let url = format!("{}{}", operator.base, through(&format!("{}/page", site.uri())));
        let request = operator.client.get(url).header("accept-encoding", accepted);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let asked = site.received_requests().await.unwrap();
    let sent: Vec<_> = asked.iter().map(|one| &one.headers["accept-encoding"]).collect();
    assert_eq!(sent[0], "identity");
    assert!(!sent[1].to_str().unwrap().contains("br"), "{sent:?}");
}

#[tokio::test]
async fn a_body_goes_up_as_it_is_and_a_long_one_comes_down_whole() {
    let site = MockServer::start().await;
    let long = "x".repeat(3 << 20);
    Mock::given(method("POST"))
        .and(body_string("hello"))
        .and(header("content-type", "text/x-test"))
        .respond_with(ResponseTemplate::new(201).set_body_string(&long))
        .mount(&site)
        .await;
    let server = reaching().await;
    let operator = server.admin().await;
    let answer = operator
        .client
        .post(format!("{}{}", operator.base, through(&site.uri())))
        .header("content-type", "text/x-test")
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.text().await.unwrap().len(), long.len());
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let server = reaching().await;
    let operator = server.admin().await;
    for (query, status, error) in [
        ("", 400, "Missing ?url="),
        ("?url=", 400, "Missing ?url="),
        ("?url=notaurl", 502, "upstream request failed"),
        (
            "?url=file%3A%2F%2F%2Fetc%2Fhostname",
            502,
            "upstream request failed",
        ),
        ("?url=ftp%3A%2F%2F127.0.0.1%2F", 502, "upstream request failed"),
        (
            "?url=http%3A%2F%2F127.0.0.1%3A9%2F",
            502,
            "upstream request failed",
        ),
    ] {
        let (answered, body) = operator.get(&format!("/api/proxy{query}")).await;
        assert_eq!((answered, body), (status, json!({ "error": error })), "{query}");
    }
}

#[tokio::test]
async fn what_the_target_leaves_out_is_said_as_the_legacy_says_it() {
    let (server, site) = (legacy().await, MockServer::start().await);
    let untyped = ResponseTemplate::new(200)
        .set_body_bytes("?")
        .insert_header("keep-alive", "timeout=5");
    let unchanged = ResponseTemplate::new(304)
        .insert_header("etag", "\"x\"")
        .insert_header("content-type", "text/css")
        .insert_header("content-location", "/y")
        .insert_header("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT");
    for (at, answer) in [("/untyped", untyped), ("/unchanged", unchanged)] {
        Mock::given(path(at)).respond_with(answer).mount(&site).await;
    }
    let operator = server.admin().await;
    let headers = async |path: &str| {
        let answer = ask(&operator, &format!("{}{path}", site.uri())).await;
        answer.headers().clone()
    };
    let untyped = headers("/untyped").await;
    assert_eq!(untyped["content-type"], "text/html; charset=utf-8");
    assert_eq!(untyped["keep-alive"], "timeout=5");
    let unchanged = headers("/unchanged").await;
    assert_eq!(unchanged["etag"], "\"x\"");
    assert_eq!(unchanged["content-location"], "/y");
    for gone in ["content-type", "last-modified"] {
        assert!(!unchanged.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn a_long_body_says_its_length_where_the_target_does() {
    let (server, site) = (reaching().await, MockServer::start().await);
    let long = "x".repeat(1 << 20);
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string(&long))
        .mount(&site)
        .await;
    let operator = server.admin().await;
    let answer = ask(&operator, &site.uri()).await;
    assert_eq!(answer.headers()["content-length"], "1048576");
    assert!(!answer.headers().contains_key("transfer-encoding"));
    assert_eq!(answer.text().await.unwrap().len(), long.len());
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_long_is_not_begun() {
    let (server, site) = (reaching().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = site.local_addr().unwrap();
    let site = tokio::spawn(async move {
        let (mut asked, _) = site.accept().await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 104857601\r\n\r\nx";
        asked.write_all(head.as_bytes()).await.unwrap();
        // Until the server lets it go.
        let _ = asked.read_to_end(&mut Vec::new()).await;
    });
    let answer = ask(&server.admin().await, &format!("http://{address}/")).await;
    assert_eq!(answer.status(), 502);
    site.await.unwrap();
}

#[tokio::test]
async fn a_redirect_takes_no_body_along_but_for_307_and_308() {
    let (server, site) = (reaching().await, MockServer::start().await);
    for status in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", "/there");
        let at = format!("/{status}");
        Mock::given(path(at)).respond_with(redirect).mount(&site).await;
    }
    Mock::given(path("/there"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&site)
        .await;
    let operator = server.admin().await;
    let mut arrived = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        let target = through(&format!("{}/{status}", site.uri()));
        let request = operator.client.get(format!("{}{target}", operator.base));
        let request = request.header("content-type", "text/x-test").body("hello");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let asked = site.received_requests().await.unwrap();
        let last = asked.last().unwrap();
        let body = String::from_utf8_lossy(&last.body).into_owned();
        arrived.push((status, body, last.headers.contains_key("content-type")));
    }
    let without = |status| (status, String::new(), false);
    let with = |status| (status, "hello".to_owned(), true);
    assert_eq!(
        arrived,
        [without(301), without(302), without(303), with(307), with(308)]
    );
}
