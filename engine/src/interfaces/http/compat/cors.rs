//! Cross-origin headers, on every answer of the server.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{
    forwarded::Caller,
    path::{decode, is_socket_path},
};

const REQUEST_PRIVATE_NETWORK: &str = "access-control-request-private-network";
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const CREDENTIALS: HeaderValue = HeaderValue::from_static("true");
const SOCKET_METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, POST");
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// The origins that may read answers; none means any.
#[derive(Clone, Debug)]
pub struct AllowedOrigins(Arc<[String]>);

impl AllowedOrigins {
    /// The origins of the setting.
    pub fn new(origins: &[String]) -> Self {
        Self(origins.into())
    }

    /// Whether this origin may read answers.
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}

impl AllowedOrigins {
    /// Whether this origin may open sockets: an allowed one, or the server's own, whatever the setting lists.
    pub fn allow_sockets(&self, origin: &HeaderValue, caller: &Caller) -> bool {
        self.allow(origin) || origin.to_str().is_ok_and(|origin| caller.is_own_origin(origin))
    }
}

/// In an answer's extensions: the socket endpoint refuses before its cross-origin rule, so no header is added.
#[derive(Clone, Copy, Debug)]
pub struct WithoutCors;

/// Adds the headers to the answer of a request that names an allowed origin.
pub async fn add_headers(State(origins): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    if is_socket_path(&decode(request.uri().path())) {
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        let granted = socket_headers(&origins, &caller, request.method(), request.headers());
        let mut response = next.run(request).await;
        if response.extensions().get::<WithoutCors>().is_none() {
            set_all(response.headers_mut(), &granted);
        }
        return response;
    }
    let granted = request
        .headers()
        .get(header::ORIGIN)
        .filter(|origin| origins.allow(origin))
        .map(|origin| headers_for(origin.clone(), request.method(), request.headers()));
    let mut response = next.run(request).await;
    if let Some(granted) = granted {
        let headers = response.headers_mut();
        let vary = merged_vary(headers);
        set_all(headers, &granted);
        headers.insert(header::VARY, vary);
    }
    response
}

fn set_all(headers: &mut HeaderMap, granted: &HeaderMap) {
    for (name, value) in granted {
        headers.insert(name, value.clone());
    }
}

/// `Origin` before what the answer varies by already, in one line.
fn merged_vary(headers: &HeaderMap) -> HeaderValue {
    let mut names = vec!["Origin"];
    for line in headers.get_all(header::VARY) {
        let others = line.to_str().unwrap_or_default().split(',').map(str::trim);
        names.extend(others.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("origin")));
    }
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("Origin"))
}

/// The socket endpoint's own form: no `Vary`, credentials always, and what was asked for as it was sent.
fn socket_headers(
    origins: &AllowedOrigins,
    caller: &Caller,
    method: &Method,
    request: &HeaderMap,
) -> HeaderMap {
    let mut granted = HeaderMap::new();
    match request.get(header::ORIGIN) {
        Some(origin) if !origins.allow_sockets(origin, caller) => return granted,
        Some(origin) => {
            granted.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        None => {}
    }
    granted.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, CREDENTIALS);
    if *method == Method::OPTIONS {
        granted.insert(header::ACCESS_CONTROL_ALLOW_METHODS, SOCKET_METHODS);
    }
    if let Some(asked) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        granted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    granted
}

fn headers_for(origin: HeaderValue, method: &Method, request: &HeaderMap) -> HeaderMap {
    let mut granted = HeaderMap::new();
    granted.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    granted.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, CREDENTIALS);
    let preflight = *method == Method::OPTIONS && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !preflight {
        return granted;
    }
    granted.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Some(asked) = request
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|asked| asked.to_str().ok())
    {
        let mut names: Vec<_> = asked
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
            granted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
    if request
        .get(REQUEST_PRIVATE_NETWORK)
        .is_some_and(|asked| asked == "true")
    {
        granted.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("false"));
    }
    granted
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware};
    use tower::ServiceExt;

    use super::*;

    async fn ask(allowed: &[&str], method: &str, pairs: &[(&str, &str)]) -> HeaderMap {
        ask_at("/", allowed, method, pairs).await
    }

    async fn ask_at(path: &str, allowed: &[&str], method: &str, pairs: &[(&str, &str)]) -> HeaderMap {
        let allowed: Vec<_> = allowed.iter().map(|origin| (*origin).to_owned()).collect();
        let service = Router::new().fallback(async || [(header::VARY, "Cookie")]).layer(
            middleware::from_fn_with_state(AllowedOrigins::new(&allowed), add_headers),
        );
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let response = service
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        response.headers().clone()
    }

    #[tokio::test]
    async fn an_allowed_origin_is_echoed() {
        for (allowed, origin) in [
            (&[][..], "null"),
            (&["https://ui.example"][..], "HTTPS://UI.example"),
        ] {
            let headers = ask(allowed, "GET", &[("origin", origin)]).await;
            assert_eq!(headers["access-control-allow-origin"], origin);
            assert_eq!(headers["access-control-allow-credentials"], "true");
            assert_eq!(headers["vary"], "Origin, Cookie");
            assert!(!headers.contains_key("access-control-allow-methods"));
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
}
