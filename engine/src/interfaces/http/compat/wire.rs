//! How an answer is written beside what it says, as the legacy writes it: the reason in capitals, and the order of the
//! headers. The letter case of their names is the connection's (`configure` in the server).

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::stream::empty;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::ext::ReasonPhrase;

use super::path::is_socket_path;
use crate::domain::clock::Clock;

/// In an answer's extensions: how long it is is not known when it begins.
#[derive(Clone, Copy, Debug)]
pub struct UnknownLength;

/// The dates of answers: one is written a second.
#[derive(Debug)]
pub struct Dates {
    clock: Arc<dyn Clock>,
    last: Mutex<Option<(u64, HeaderValue)>>,
}

impl Dates {
    /// By this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            last: Mutex::default(),
        }
    }

    fn now(&self) -> Option<HeaderValue> {
        let seconds = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, date)) = last.as_ref().filter(|(of, _)| *of == seconds) {
            return Some(date.clone());
        }
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let date = HeaderValue::from_str(&date).ok()?;
        *last = Some((seconds, date.clone()));
        Some(date)
    }
}

/// Gives an answer its reason, its date, the length of its body and the order of its headers.
pub async fn write_as_the_legacy(
    dates: &Dates,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let is_head = request.method() == Method::HEAD;
    let keeps_alive = asks_to_keep_alive(&request);
    let mut order = Order {
        socket: is_socket_path(request.uri().path()),
        ..Order::default()
    };
    let mut response = next(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    if let Some(reason) = reason(response.status()) {
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(reason));
    }
    if is_head && response.extensions().get::<UnknownLength>().is_some() {
        // The router has taken the body away by now, and would say that nothing is zero bytes long.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from_stream(empty::<Result<Bytes, Infallible>>());
    }
    if !is_head && has_length(response.status()) && response.body().is_end_stream() {
        order.empty = true;
        *response.body_mut() = Body::new(Empty);
    }
    let length = response
        .body()
        .size_hint()
        .exact()
        // What answers HEAD without a body says itself how long it would be.
        .filter(|length| (!is_head || *length > 0) && has_length(response.status()));
    if let Some(length) = length {
        response
            .headers_mut()
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    let unsatisfiable = response.status() == StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    if let Some(date) = dates.now() {
        headers.entry(header::DATE).or_insert(date);
    }
    order.file = headers.contains_key(header::ACCEPT_RANGES);
    order.unsatisfiable = unsatisfiable;
    *headers = order.of(std::mem::take(headers));
    if keeps_alive {
        headers
            .entry(header::CONNECTION)
            .or_insert(HeaderValue::from_static("keep-alive"));
    }
    response
}

/// Whether a client asks for what HTTP/1.1 does anyway, as agents do: the legacy says so back. To HTTP/1.0 the HTTP library
/// does.
fn asks_to_keep_alive(request: &Request) -> bool {
    let asked = request.headers().get(header::CONNECTION);
    request.version() == Version::HTTP_11
        && asked.is_some_and(|asked| asked.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
}

/// No bytes, but a body: hyper writes the length of an answer without one behind all other headers.
struct Empty;

impl http_body::Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// Whether a body may stand under a status.
fn has_length(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// In which order an answer's headers stand.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    /// Of the channel's endpoint: its library sets the headers before the length is known.
    socket: bool,
    /// Of an answer without a body: its length is found out at the very end.
    empty: bool,
    /// Of a file: its date is set with it, and what says who may read it comes later.
    file: bool,
    /// Of a range that the file does not have: the page says so as what it is about.
    unsatisfiable: bool,
    /// Whether the session's cookie is the only one: it is set at the very end, where others are set by their route.
    session_alone: bool,
}

impl Order {
    /// Where a header stands: what says what the body is comes first, as it is set first.
    fn rank(self, name: &HeaderName) -> u8 {
        match *name {
            header::CONTENT_DISPOSITION => 0,
            header::CONTENT_TYPE => 1,
            header::ALLOW => 2,
            header::CONTENT_RANGE if self.unsatisfiable => 2,
            header::CONTENT_LENGTH if self.socket || self.empty => 9,
            header::CONTENT_LENGTH => 3,
            header::LAST_MODIFIED => 4,
            header::SET_COOKIE if !self.session_alone => 5,
            header::ACCESS_CONTROL_ALLOW_ORIGIN | header::ACCESS_CONTROL_ALLOW_CREDENTIALS if self.file => 13,
            header::VARY if self.file => 14,
            header::VARY => 7,
            header::SET_COOKIE => 8,
            header::DATE => 10,
            header::ACCEPT_RANGES => 11,
            header::CONTENT_RANGE => 12,
            _ => 6,
        }
    }

    fn of(mut self, headers: HeaderMap) -> HeaderMap {
        let mut cookies = headers.get_all(header::SET_COOKIE).iter();
        self.session_alone = cookies.all(|cookie| cookie.as_bytes().starts_with(b"session="));
        // Most answers are made in this order.
        if headers.keys().map(|name| self.rank(name)).is_sorted() {
            return headers;
        }
        let mut lines: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len());
        let mut current = None;
        for (name, value) in headers {
            current = name.or(current);
            if let Some(name) = &current {
                lines.push((name.clone(), value));
            }
        }
        lines.sort_by_key(|(name, _)| self.rank(name));
        let mut ordered = HeaderMap::with_capacity(lines.len());
        for (name, value) in lines {
            ordered.append(name, value);
        }
        ordered
    }
}

/// The words behind the status, in capitals; the library's own where the legacy never sends the status.
fn reason(status: StatusCode) -> Option<&'static [u8]> {
    Some(match status.as_u16() {
        201 => b"CREATED",
        202 => b"ACCEPTED",
        204 => b"NO CONTENT",
        206 => b"PARTIAL CONTENT",
        203 => b"NON AUTHORITATIVE INFORMATION",
        205 => b"RESET CONTENT",
        207 => b"MULTI-STATUS",
        300 => b"MULTIPLE CHOICES",
        301 => b"MOVED PERMANENTLY",
        302 => b"FOUND",
        303 => b"SEE OTHER",
        304 => b"NOT MODIFIED",
        307 => b"TEMPORARY REDIRECT",
        308 => b"PERMANENT REDIRECT",
        400 => b"BAD REQUEST",
        401 => b"UNAUTHORIZED",
        402 => b"PAYMENT REQUIRED",
        403 => b"FORBIDDEN",
        404 => b"NOT FOUND",
        405 => b"METHOD NOT ALLOWED",
        406 => b"NOT ACCEPTABLE",
        408 => b"REQUEST TIMEOUT",
        409 => b"CONFLICT",
        410 => b"GONE",
        411 => b"LENGTH REQUIRED",
        412 => b"PRECONDITION FAILED",
        413 => b"REQUEST ENTITY TOO LARGE",
        415 => b"UNSUPPORTED MEDIA TYPE",
        416 => b"REQUESTED RANGE NOT SATISFIABLE",
        417 => b"EXPECTATION FAILED",
        422 => b"UNPROCESSABLE ENTITY",
        423 => b"LOCKED",
        424 => b"FAILED DEPENDENCY",
        426 => b"UPGRADE REQUIRED",
        428 => b"PRECONDITION REQUIRED",
        429 => b"TOO MANY REQUESTS",
        451 => b"UNAVAILABLE FOR LEGAL REASONS",
        500 => b"INTERNAL SERVER ERROR",
        501 => b"NOT IMPLEMENTED",
        502 => b"BAD GATEWAY",
        503 => b"SERVICE UNAVAILABLE",
        504 => b"GATEWAY TIMEOUT",
        507 => b"INSUFFICIENT STORAGE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::integrations::clock::ManualClock;

    #[test]
    fn headers_stand_in_the_order_of_the_legacy() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("vary", "Cookie"),
            ("set-cookie", "a=1"),
            ("content-length", "2"),
            ("set-cookie", "b=2"),
            ("content-type", "text/plain"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let lines: Vec<_> = Order::default()
            .of(headers)
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            lines,
            [
                "content-type: text/plain",
                "content-length: 2",
                "set-cookie: a=1",
                "set-cookie: b=2",
                "vary: Cookie"
            ]
        );
    }

    proptest! {
        #[test]
        fn headers_of_one_rank_stay_in_the_order_in_which_they_were_set(
            names in prop::collection::vec(prop::sample::select(vec![
                "content-type", "content-length", "date", "vary", "set-cookie", "x-a", "x-b", "allow", "last-modified",
            ]), 0..8),
            socket: bool,
        ) {
            let headers: HeaderMap = names
                .iter()
                .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
                .collect();
            let order = Order { socket, ..Order::default() };
            let mut expected: Vec<_> = headers.keys().cloned().collect();
            expected.sort_by_key(|name| order.rank(name));
            let ordered = order.of(headers);
            prop_assert_eq!(ordered.keys().cloned().collect::<Vec<_>>(), expected);
        }
    }

    #[tokio::test]
    async fn who_asks_to_keep_the_connection_is_told_so_at_the_end() {
        let clock = ManualClock::new(jiff::Timestamp::UNIX_EPOCH);
        let dates = Dates::new(Arc::new(clock));
        let connection = async |version, asked: &'static str, said: Option<&'static str>| {
            let request = http::Request::builder()
                .version(version)
                .header(header::CONNECTION, asked)
                .body(Body::empty())
                .unwrap();
            let answered = write_as_the_legacy(&dates, request, async |_| {
                let mut response = Response::new(Body::from("x"));
                if let Some(said) = said {
                    let said = HeaderValue::from_static(said);
                    response.headers_mut().insert(header::CONNECTION, said);
                }
                response
            });
            let headers = answered.await.into_parts().0.headers;
            let value = headers.get(header::CONNECTION)?.to_str().unwrap().to_owned();
            if said.is_none() {
                assert_eq!(headers.keys().last(), Some(&header::CONNECTION));
            }
            Some(value)
        };
        for (version, asked, said, expected) in [
            (Version::HTTP_11, "keep-alive", None, Some("keep-alive")),
            (Version::HTTP_11, "Keep-Alive", None, Some("keep-alive")),
            (Version::HTTP_11, "keep-alive", Some("close"), Some("close")),
            (Version::HTTP_11, "Keep-Alive, TE", None, None),
            (Version::HTTP_11, "close", None, None),
            (Version::HTTP_10, "keep-alive", None, None),
        ] {
            let shown = connection(version, asked, said).await;
            assert_eq!(shown.as_deref(), expected, "{version:?} {asked} {said:?}");
        }
    }

    #[test]
    fn what_a_page_or_the_proxy_may_answer_has_its_reason() {
        for code in [200, 301, 303, 307, 406, 412, 423, 507] {
            let status = StatusCode::from_u16(code).unwrap();
            assert!(code == 200 || reason(status).is_some(), "{code}");
        }
    }

    #[test]
    fn every_reason_is_the_usual_one_in_capitals() {
        for status in (200..600).filter_map(|code| StatusCode::from_u16(code).ok()) {
            let (Some(reason), Some(usual)) = (reason(status), status.canonical_reason()) else {
                continue;
            };
            let reason = std::str::from_utf8(reason).unwrap();
            // Where the words differ, the legacy has those of an older specification, or its own.
            let differ = [
                "NON AUTHORITATIVE INFORMATION",
                "REQUEST ENTITY TOO LARGE",
                "REQUESTED RANGE NOT SATISFIABLE",
            ];
            if !differ.contains(&reason) {
                assert_eq!(reason, usual.to_uppercase());
            }
        }
    }
}
