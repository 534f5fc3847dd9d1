//! Cross-origin headers, on every answer of the server.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{
    forwarded::{Caller, is_origin_of},
    path::is_socket_path,
};
use crate::config::{
    network::PublicUrl,
    settings::{AccessPolicy, Settings},
};

const REQUEST_PRIVATE_NETWORK: &str = "access-control-request-private-network";
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const CREDENTIALS: HeaderValue = HeaderValue::from_static("true");
const SOCKET_METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, POST");
const METHODS: HeaderValue = HeaderValue::from_static(ALLOWED_METHODS);
const ALLOWED_METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

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
    if is_socket_path(request.uri().path()) {
        let granted = socket_headers(origins, &caller, request.method(), request.headers());
        let mut response = next(request).await;
        if response.extensions().get::<WithoutCors>().is_none() {
            set_all(response.headers_mut(), &granted);
        }
        return response;
    }
    // An empty one is none.
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.filter(|origin| !origin.is_empty());
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
        // What is for everybody is the same for everybody, also where a client says so.
        if origins.vary() && granted.get(header::ACCESS_CONTROL_ALLOW_ORIGIN) != Some(&ANY_ORIGIN) {
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
    // Not only to preflights.
    if request
        .get(REQUEST_PRIVATE_NETWORK)
        .is_some_and(|asked| asked == "true")
    {
        granted.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("false"));
    }
    let asks_for_method = request
        .get(header::ACCESS_CONTROL_REQUEST_METHOD)
        .is_some_and(|asked| {
            ALLOWED_METHODS
                .split(", ")
                .any(|allowed| asked.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
        });
    if *method != Method::OPTIONS || !asks_for_method {
        return granted;
    }
    // Where nothing is asked for nothing is granted; an empty name beside others is one of them.
    let asked = request
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .filter(|asked| !asked.is_empty());
    if let Some(asked) = asked {
        let mut names: Vec<_> = asked
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .collect();
        names.sort_unstable();
        if let Ok(names) = HeaderValue::from_bytes(&names.join(&b", "[..])) {
            granted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
    granted.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    granted
}

#[cfg(test)]
mod tests;
