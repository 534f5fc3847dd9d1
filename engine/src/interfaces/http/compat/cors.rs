//! Cross-origin headers, on every answer of the server.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{
    forwarded::{Caller, is_origin_of},
    path::{decode, is_socket_path},
};
use crate::config::{
    network::PublicUrl,
    settings::{AccessPolicy, Settings},
};

const REQUEST_PRIVATE_NETWORK: &str = "access-control-request-private-network";
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const CREDENTIALS: HeaderValue = HeaderValue::from_static("true");
const SOCKET_METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, POST");
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

/// Which origins may read answers, and which of them with an operator's cookies.
#[derive(Clone, Debug)]
pub struct AllowedOrigins {
    /// Those of the setting; none means any.
    listed: Arc<[String]>,
    public: Option<PublicUrl>,
    /// Whether cookies are for the server's own origins alone.
    guards_cookies: bool,
}

impl AllowedOrigins {
    /// The origins of the settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            listed: settings.cors_allowed_origins.clone().into(),
            public: settings.public_url.clone(),
            guards_cookies: settings.access_policy == AccessPolicy::Strict,
        }
    }

    /// Whether this origin may read answers.
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        self.listed.is_empty()
            || self
                .listed
                .iter()
                .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }

    /// Whether this is an origin of the server's own: as the client sees it, as `BOREALIS_PUBLIC_URL` says, or one that
    /// the setting lists. Schemes are not compared: a proxy that ends TLS need not say so.
    pub fn is_own(&self, origin: &HeaderValue, caller: &Caller) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let authorities = self
            .listed
            .iter()
            .filter_map(|listed| Some(listed.split_once("://")?.1));
        let public = self.public.as_ref().map(PublicUrl::authority);
        caller.is_own_origin(origin)
            || authorities
                .chain(public)
                .any(|authority| is_origin_of(authority, origin))
    }

    /// Whether this origin may open sockets: an allowed one, or one of the server's own, whatever the setting lists.
    pub fn allow_sockets(&self, origin: &HeaderValue, caller: &Caller) -> bool {
        self.allow(origin) || self.is_own(origin, caller)
    }

    /// Whether answers to this origin may be read where they were asked for with cookies.
    fn allow_cookies(&self, origin: &HeaderValue, caller: &Caller) -> bool {
        !self.guards_cookies || self.is_own(origin, caller)
    }

    /// Whether answers depend on who asks. Where one origin is set, the legacy says that they do not.
    fn vary(&self) -> bool {
        self.listed.len() != 1
    }
}

/// In an answer's extensions: the socket endpoint refuses before its cross-origin rule, so no header is added.
#[derive(Clone, Copy, Debug)]
pub struct WithoutCors;

/// Adds the headers to the answer of a request that names an allowed origin.
pub async fn add_headers(
    origins: &AllowedOrigins,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    if is_socket_path(&decode(request.uri().path())) {
        let granted = socket_headers(origins, &caller, request.method(), request.headers());
        let mut response = next(request).await;
        if response.extensions().get::<WithoutCors>().is_none() {
            set_all(response.headers_mut(), &granted);
        }
        return response;
    }
    let origin = request.headers().get(header::ORIGIN);
    let with_cookies = origin.is_none_or(|origin| origins.allow_cookies(origin, &caller));
    let granted = origin.filter(|origin| origins.allow(origin)).map(|origin| {
        let mut granted = headers_for(origin.clone(), request.method(), request.headers());
        if !with_cookies {
            granted.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        }
        granted
    });
    let mut response = next(request).await;
    let headers = response.headers_mut();
    if !with_cookies {
        // Whatever a server says of itself that `/api/proxy` asked: the cookies are this one's.
        headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    }
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        // Such a server has said who may read its answer.
        return response;
    }
    if let Some(granted) = granted {
        let vary = merged_vary(headers);
        set_all(headers, &granted);
        if origins.vary() {
            headers.insert(header::VARY, vary);
        }
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
    let origin = request.get(header::ORIGIN);
    match origin {
        Some(origin) if !origins.allow_sockets(origin, caller) => return granted,
        Some(origin) => {
            granted.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        None => {}
    }
    if origin.is_none_or(|origin| origins.allow_cookies(origin, caller)) {
        granted.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, CREDENTIALS);
    }
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
    if let Some(asked) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        let mut names: Vec<_> = asked
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        if let Ok(names) = HeaderValue::from_bytes(&names.join(&b", "[..])) {
            granted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
    granted.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
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
}
