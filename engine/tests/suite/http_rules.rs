//! The HTTP rules on a real socket: what only the connection layer can show.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

use axum::response::Response;
use borealis_engine::{
    Settings,
    domain::json::Json,
    integrations::clock::SystemClock,
    interfaces::http::{
        compat::{
            body::{BodyError, RawBody},
            forwarded::Caller,
            reply::Answer,
        },
        detached::DetachedRequests,
        http_service,
        routing::Routes,
        server::configure,
    },
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::testkit::server::Server;

async fn start() -> SocketAddr {
    let settings = Settings::from_map(
        &BTreeMap::from([
            ("BOREALIS_STATIC_ROOT".to_owned(), "/nonexistent".to_owned()),
            ("BOREALIS_SECRET".to_owned(), "the secret of the tests".to_owned()),
        ]),
        Path::new("/"),
    )
    .unwrap();
    let routes = Routes::new()
        .post(
            "/echo",
            async |body: RawBody| -> Result<Answer<Json>, BodyError> {
                Ok(Answer::ok(body.limit(64).lenient().await?.into()))
            },
        )
        .get("/caller", async |caller: Caller| {
            Answer::ok(Json::object([("address", caller.last_forwarded().into())]))
        })
        .get("/panic", async || -> Response { panic!("on purpose") });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = axum_server::from_tcp(listener).unwrap();
    configure(server.http_builder(), &settings.timing);
    let service = http_service(
        routes,
        &settings,
        &DetachedRequests::default(),
        None,
        None,
        Arc::new(SystemClock::new()),
    )
    .for_connections();
    tokio::spawn(server.serve(service));
    address
}

/// Sends bytes as they are and reads until the server closes.
async fn send(request: &str) -> String {
    let mut stream = TcpStream::connect(start().await).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes before it has read everything may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

#[tokio::test]
async fn long_heads_are_refused_with_an_empty_closing_answer() {
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
    let very_long_line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    let long_header = format!("GET /health HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(9000));
    let lines = format!("X: {}\r\n", "a".repeat(8000)).repeat(10);
    let long_headers = format!("GET /health HTTP/1.1\r\n{lines}\r\n");
    let bad_length = "POST /echo HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned();
    for (request, expected) in [
        (long_line, "414"),
        (very_long_line, "414"),
        (long_header, "400"),
        (long_headers, "400"),
        (bad_length, "400"),
    ] {
        let answer = send(&request).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(!answer.to_lowercase().contains("content-type"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn many_headers_and_no_host_are_fine() {
    let with = |count| {
        let lines: String = (0..count).map(|index| format!("X-{index}: v\r\n")).collect();
        format!("GET /health HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
    };
    // One more than the legacy's HTTP library reads, one more than this one's, and a heap.
    for count in [99, 100, 300] {
        let answer = send(&with(count)).await;
        assert_eq!(status(&answer), "431", "{count}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    let answer = send(&with(98)).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.ends_with("{\"status\":\"ok\"}\n"));
    assert!(answer.contains("Content-Type: application/json\r\n"));
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let answer = send("HEAD /health HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.contains("Content-Length: 16\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_panic_is_the_500_page_with_cross_origin_headers_and_the_connection_lives_on() {
    let answer = send(
        "GET /panic HTTP/1.1\r\nOrigin: https://a\r\n\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status(&answer), "500");
    assert!(answer.contains("<h1>Internal Server Error</h1>"));
    assert!(answer.contains("Access-Control-Allow-Origin: https://a"));
    assert!(answer.ends_with("{\"status\":\"ok\"}\n"), "{answer}");
}

#[tokio::test]
async fn bodies_are_limited_while_they_come() {
    let head = "POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n7\r\n{{\"a\":1}}\r\n0\r\n\r\n");
    assert!(send(&chunked).await.ends_with("{\"a\":1}\n"));
    let long = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n50\r\n{}\r\n0\r\n\r\n",
        " ".repeat(0x50)
    );
    let answer = send(&long).await;
    assert_eq!(status(&answer), "413");
    assert!(answer.contains("<title>413 Request Entity Too Large</title>"));
    let truthy = format!("{head}Content-Length: 3\r\n\r\n[1]");
    assert!(
        send(&truthy)
            .await
            .ends_with("{\"error\":\"invalid JSON body\"}\n")
    );
}

#[tokio::test]
async fn a_proxy_on_this_machine_is_believed() {
    let answer =
        send("GET /caller HTTP/1.1\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("{\"address\":\"8.8.8.8\"}\n"), "{answer}");
}

/// Where the legacy's database refuses an id beyond 64 bits its words come, and elsewhere no row has it.
#[tokio::test]
async fn ids_beyond_64_bits_are_refused_where_the_legacy_refuses_them() {
    let server = Server::with(&[]).start().await;
    let operator = server.admin().await;
    let id = "9223372036854775808";
    let too_large = json!({ "error": "Python int too large to convert to SQLite INTEGER" });
    for (method, path, body) in [
        (Method::GET, "/api/credentials", json!(null)),
        (Method::PUT, "/api/credentials", json!({ "name": "n" })),
        (Method::DELETE, "/api/credentials", json!(null)),
        (Method::GET, "/api/ansible/recap", json!(null)),
        (Method::GET, "/api/ansible/run_for_activity", json!(null)),
        (Method::GET, "/api/scheduled_jobs", json!(null)),
        (Method::PUT, "/api/scheduled_jobs", json!({ "name": "n" })),
        (Method::DELETE, "/api/scheduled_jobs", json!(null)),
        (Method::GET, "/api/device/activity/job", json!(null)),
    ] {
        let answer = operator.send(method.clone(), &format!("{path}/{id}"), body).await;
        assert_eq!(
            answer.status_and_json(),
            (500, too_large.clone()),
            "{method} {path}"
        );
        // One less is an id that no row has.
        let answer = operator
            .send(
                method.clone(),
                &format!("{path}/9223372036854775807"),
                json!({ "name": "n" }),
            )
            .await;
        assert_eq!(answer.status_and_json().0, 404, "{method} {path}");
    }
    // The other routes of jobs; their runs are those of whatever id.
    for (method, below) in [
        (Method::POST, "toggle"),
        (Method::GET, "runs"),
        (Method::DELETE, "runs"),
        (Method::GET, "devices"),
        (Method::GET, "devices?occurrence=1"),
    ] {
        let path = format!("/api/scheduled_jobs/{id}/{below}");
        let answer = operator.send(method.clone(), &path, json!({})).await;
        assert_eq!(
            answer.status_and_json(),
            (500, too_large.clone()),
            "{method} {path}"
        );
    }
    // What is wrong with the request comes first.
    for path in ["/api/credentials", "/api/scheduled_jobs"] {
        let empty = operator
            .send(Method::PUT, &format!("{path}/{id}"), json!({}))
            .await;
        assert_eq!(
            empty.status_and_json(),
            (400, json!({ "error": "no fields to update" })),
            "{path}"
        );
    }
    let path = format!("/api/scheduled_jobs/{id}/devices?occurrence=x");
    assert_eq!(operator.get(&path).await.0, 400);
    assert_eq!(operator.get(&format!("/api/device_list_views/{id}")).await.0, 404);
}

/// Reading texts from pictures is not this server's: what callers send is checked as before, and the rest is told so.
#[tokio::test]
async fn ocr_is_checked_and_not_done() {
    let server = Server::with(&[]).start().await;
    let browser = server.admin().await;
    for (body, status, error) in [
        (json!({ "image_base64": "AAAA" }), 500, "OCR is not available"),
        (json!({ "engine": " TesseractOCR " }), 500, "OCR is not available"),
        (
            json!({ "engine": "EasyOCR", "backend": "gpu" }),
            500,
            "OCR is not available",
        ),
        (
            json!({ "engine": " Other " }),
            400,
            "OCR engine 'other' not recognized.",
        ),
        (json!({ "engine": 1 }), 400, "invalid payload"),
        (json!({ "engine": null }), 400, "invalid payload"),
        (json!({ "backend": ["x"] }), 400, "invalid payload"),
        (json!({ "engine": "x", "backend": 1 }), 400, "invalid payload"),
    ] {
        let answer = browser.post("/api/ocr", body.clone()).await;
        assert_eq!(answer, (status, json!({ "error": error })), "{body}");
    }
}

/// The page route answers OPTIONS where slashes are doubled, and looks at no session.
#[tokio::test]
async fn options_of_a_path_with_doubled_slashes_ask_nobody_for_a_session() {
    let server = Server::with(&[]).start().await;
    for (path, status, varies) in [
        ("/api/admin/enrollment-codes", 401, true),
        ("/api//admin/enrollment-codes", 200, false),
    ] {
        let answer = server.send("OPTIONS", path, &[], "").await;
        assert_eq!(answer.status, status, "{path}: {answer}");
        assert_eq!(answer.header("vary").is_some(), varies, "{path}: {answer}");
        let allow = (status == 200).then_some("GET, HEAD, OPTIONS, POST");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    server.stop().await;
}

/// A list that a proxy on this machine leaves with a comma still names its client, who is not local.
#[tokio::test]
async fn a_client_behind_a_proxy_is_local_under_no_spelling() {
    let server = Server::with(&[("BOREALIS_ACCESS_POLICY", "legacy")])
        .start()
        .await;
    for (list, status) in [
        ("10.1.2.3,", 403),
        ("127.0.0.1, \"10.1.2.3\"", 403),
        ("\"127.0.0.1, 10.1.2.3", 403),
        ("\"127.0.0.1\"", 200),
        ("127.0.0.1,", 200),
    ] {
        let headers = [("x-forwarded-for", list)];
        assert_eq!(
            server.get("/api/agent/hash_list", &headers).await.0,
            status,
            "{list}"
        );
    }
    server.stop().await;
}
