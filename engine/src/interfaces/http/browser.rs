//! What concerns browsers alone: which of them is calling, what they may send with an operator's cookie, and the
//! headers that guard pages. Under the access policy `legacy` none of it is there.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

use super::compat::{
    cors::AllowedOrigins,
    forwarded::Caller,
    path::is_socket_path,
    reply::Answer,
    session::{Arrival, SessionCodec, browser_id},
};
use crate::{
    domain::{
        browser::Browser,
        mask::shown,
        random::{Random, random_bytes},
    },
    services::published_identity::IdentityPublisher,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
const NO_FRAMES: HeaderValue = HeaderValue::from_static("DENY");
const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("frame-ancestors 'none'; object-src 'none'; base-uri 'self'");
/// A year. Subdomains are other machines, of which this server knows nothing.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The browser that a request comes from, and how the request came.
#[derive(Clone, Debug)]
pub struct ClientBrowser {
    /// Which it is, as far as its requests show.
    pub browser: Browser,
    /// On what its cookies depend.
    pub arrival: Arrival,
}

impl ClientBrowser {
    /// Of a request with these headers.
    pub fn of(headers: &HeaderMap, caller: &Caller) -> Self {
        let name = headers
            .get(header::USER_AGENT)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        Self {
            browser: Browser::new(browser_id(headers), caller.limit_key(), name),
            arrival: caller.arrival(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for ClientBrowser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        Ok(Self::of(&parts.headers, &caller))
    }
}

/// In an answer's extensions: it is a page of the web client.
#[derive(Clone, Copy, Debug)]
pub struct ClientPage;

/// What guards operators who use a browser.
#[derive(Clone, Debug)]
pub struct BrowserGuard {
    /// Which origins are the server's own.
    pub origins: AllowedOrigins,
    /// The cookies.
    pub sessions: Arc<SessionCodec>,
    /// Ids of browsers come from here.
    pub random: Arc<dyn Random>,
    /// What the listener shows of itself, where it speaks TLS.
    pub identity: Option<IdentityPublisher>,
}

/// Refuses what another site's page makes a browser send with an operator's cookie, and gives answers their headers.
pub async fn guard_browsers(
    guard: &BrowserGuard,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    let client = ClientBrowser::of(request.headers(), &caller);
    let has_cookie = browser_id(request.headers()).is_some();
    let mut response = match guard.foreign_origin(&request, &caller) {
        Some(origin) => {
            log_refusal(&request, &caller, &origin);
            Answer::error(StatusCode::FORBIDDEN, "forbidden_origin").into_response()
        }
        None => next(request).await,
    };
    let is_page = response.extensions().get::<ClientPage>().is_some();
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    if is_page || is_html {
        headers.insert(header::X_FRAME_OPTIONS, NO_FRAMES);
        // Beside the one that shuts a proxied page in: a browser keeps to each of them.
        headers.append(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    }
    if guard
        .identity
        .as_ref()
        .is_some_and(|identity| !identity.is_self_made())
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, TLS_ONLY);
    }
    if is_page && !has_cookie {
        let id = URL_SAFE_NO_PAD.encode(random_bytes::<16>(&*guard.random));
        if let Some(cookie) = guard.sessions.browser(&id, client.arrival) {
            headers.append(header::SET_COOKIE, cookie);
            // A cache that serves several browsers must not give them one cookie.
            headers.insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("private, no-cache"),
            );
        }
    }
    response
}

impl BrowserGuard {
    /// Whose page has made the browser send this, where that is not one of the server's own. Reading is left to the
    /// cross-origin headers; the socket endpoint is no reading.
    fn foreign_origin(&self, request: &Request, caller: &Caller) -> Option<String> {
        let reads = match *request.method() {
            Method::OPTIONS => true,
            Method::GET | Method::HEAD => !is_socket_path(request.uri().path()),
            _ => false,
        };
        if reads || !SessionCodec::has_cookie(request.headers()) {
            return None;
        }
        match request.headers().get(header::ORIGIN) {
            Some(origin) if self.origins.is_own(origin, caller) => None,
            Some(origin) => Some(String::from_utf8_lossy(origin.as_bytes()).into_owned()),
            None => request
                .headers()
                .get(SEC_FETCH_SITE)
                .filter(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site"))
                .map(|_| "another site".to_owned()),
        }
    }
}

fn log_refusal(request: &Request, caller: &Caller, origin: &str) {
    tracing::warn!(
        origin = %shown(origin),
        path = %shown(request.uri().path()),
        host = %shown(&caller.host()),
        address = %shown(&caller.last_forwarded()),
        "refused, an operator's cookie came with a foreign origin: if it is how browsers reach this server, set \
         BOREALIS_PUBLIC_URL to it or let the proxy send X-Forwarded-Host; if it is another site's that operators use, \
         list it in BOREALIS_CORS_ALLOWED_ORIGINS"
    );
}
