use axum::{body::Body, extract::Path};
use http_body_util::BodyExt;

use super::*;

fn dispatcher() -> (Dispatcher, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("index.html"), "page").unwrap();
    let socket = tower::service_fn(async |_: Request| Ok::<_, Infallible>("socket"));
    let routes = Routes::new()
        .get("/health", async || "health")
        .get("/api/users/{name}", async |Path(name): Path<String>| name)
        .delete("/api/users/{name}", async |Path(name): Path<String>| {
            format!("gone {name}")
        })
        .get("/api/users/search", async || "search")
        .put("/api/keys/{id:int}", async |Path(id): Path<i64>| id.to_string())
        .merge(Routes::new().post("/api/auth/login", async || "login"))
        .post("/api/admin/codes", async || "code")
        .options("/api/admin/codes", async || "asked for a session")
        .with_socket_endpoint(socket);
    let pages = Pages::new(root.path().to_owned());
    let dispatcher = routes.into_dispatcher(pages, None, DetachedRequests::default());
    (dispatcher, root)
}

async fn ask(method: &str, uri: &str) -> (u16, String, String) {
    let (dispatcher, _root) = dispatcher();
    let request = Request::builder().method(method).uri(uri).header("host", "h");
    let response = dispatcher.dispatch(request.body(Body::empty()).unwrap()).await;
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let extra = header("allow").or(header("location")).unwrap_or_default();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap(), extra)
}

#[tokio::test]
async fn paths_are_decoded_before_matching() {
    for (uri, body) in [
        ("/health?x=%zz", "health"),
        ("/he%61lth", "health"),
        ("//health", "health"),
        ("/api%2Fusers/a%20b%C3%A9", "a b\u{e9}"),
        ("/api/users/%FF", "\u{fffd}"),
        ("/api/users/search", "search"),
        ("/health/", "page"),
        ("/HEALTH", "page"),
        ("/socket.io/?EIO=4", "socket"),
        ("//socket.io/?EIO=4", "socket"),
        ("///%73ocket.io/x", "socket"),
        ("/devices//x", "page"),
    ] {
        assert_eq!(
            ask("GET", uri).await,
            (200, body.to_owned(), String::new()),
            "{uri}"
        );
    }
    assert_eq!(ask("DELETE", "/api/users/search").await.1, "gone search");
    assert_eq!(ask("get", "/health").await.1, "health");
    // The body comes but for `HEAD`, which the server knows; so its length is no promise that is broken.
    for method in ["head", "Head"] {
        assert_eq!(ask(method, "/health").await.1, "health", "{method}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_the_list() {
    for (method, uri, allow) in [
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/auth/login", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/auth/login/", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/keys/abc", "GET, HEAD, OPTIONS"),
        ("POST", "/api/keys/1", "GET, HEAD, OPTIONS, PUT"),
        ("POST", "/api/keys/%D9%A1", "GET, HEAD, OPTIONS, PUT"),
        ("PROPFIND", "/api/users/x", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/%0Aa", "GET, HEAD, OPTIONS"),
        ("POST", "/api/users/x%0Ay", "DELETE, GET, HEAD, OPTIONS"),
    ] {
        let (status, _, allowed) = ask(method, uri).await;
        assert_eq!((status, allowed.as_str()), (405, allow), "{method} {uri}");
    }
    assert_eq!(
        ask("OPTIONS", "/api/auth/login").await,
        (200, String::new(), "GET, HEAD, OPTIONS, POST".to_owned())
    );
    for (method, uri) in [
        ("GET", "/api/auth/login"),
        ("HEAD", "/api"),
        ("GET", "/api//users/x"),
        // The page route matches no line break behind the first place.
        ("POST", "/health%0A"),
        ("OPTIONS", "/a%0Ab"),
        ("POST", "/api//auth/login%0A"),
    ] {
        assert_eq!(ask(method, uri).await.0, 404, "{method} {uri}");
    }
}

#[tokio::test]
async fn doubled_slashes_are_redirected_for_other_methods_than_get() {
    let (status, _, location) = ask("POST", "/api//auth//login?x=1&y=%20a").await;
    assert_eq!(
        (status, location.as_str()),
        (308, "http://localhost/api/auth/login?x=1&y=%20a")
    );
    for (uri, location) in [
        ("/api//auth/login?", "http://localhost/api/auth/login"),
        ("/api//auth/login??", "http://localhost/api/auth/login??"),
    ] {
        assert_eq!(ask("POST", uri).await.2, location, "{uri}");
    }
    assert_eq!(ask("POST", "/api//nope").await.0, 405);
    // OPTIONS is answered by the page route, even where the collapsed path has a handler for it.
    assert_eq!(ask("OPTIONS", "/api/admin/codes").await.1, "asked for a session");
    for uri in ["/api//admin/codes", "/api/admin//codes?x=1"] {
        assert_eq!(
            ask("OPTIONS", uri).await,
            (200, String::new(), "GET, HEAD, OPTIONS, POST".to_owned()),
            "{uri}"
        );
    }
}
