//! What is seen of each request from outside of all rules: its line in the access log, and its part of the metrics.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use bytes::Bytes;
use http::{Extensions, Method};
use http_body::{Body as HttpBody, Frame, SizeHint};
use jiff::Timestamp;

use crate::{
    config::access_log::{Access, AccessLog},
    domain::{clock::Clock, measures},
};

/// The route of files and pages of the web client.
pub(super) const PAGES: &str = "pages";
/// The route of the channel's endpoint.
pub(super) const SOCKETS: &str = "/socket.io/";
/// The route of what has none: unknown paths, methods that a path does not have, heads beyond the limits.
const NONE: &str = "none";

/// Watches requests.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Where each has a line.
    pub access_log: Option<Arc<AccessLog>>,
    /// Whether each counts in the metrics.
    pub measures: bool,
    /// The time that lines bear.
    pub clock: Arc<dyn Clock>,
    /// Measures how long requests take: in real time, whatever the other clock says.
    pub stopwatch: Arc<dyn Clock>,
}

/// In a request's extensions where requests are watched: what the rules find out about it on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed(Arc<Found>);

#[derive(Debug, Default)]
struct Found {
    route: OnceLock<String>,
    from: OnceLock<String>,
}

impl Observed {
    /// Records which route answers.
    pub(super) fn note_route(extensions: &Extensions, template: &str) {
        if let Some(Self(found)) = extensions.get() {
            found.route.get_or_init(|| template.to_owned());
        }
    }

    /// Records where the request comes from.
    pub(super) fn note_address(extensions: &Extensions, address: &str) {
        if let Some(Self(found)) = extensions.get() {
            found.from.get_or_init(|| address.to_owned());
        }
    }

    fn route(&self) -> &str {
        self.0.route.get().map_or(NONE, String::as_str)
    }
}

/// Watches a request until the last byte of its answer.
pub async fn observe(
    observer: &Observer,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let observed = Observed::default();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip().to_canonical());
    request.extensions_mut().insert(observed.clone());
    let mut exchange = Exchange {
        begun: observer.stopwatch.monotonic(),
        line: observer.access_log.is_some().then(|| Line {
            time: observer.clock.now(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            peer,
        }),
        observer: observer.clone(),
        observed,
        status: None,
        bytes: 0,
    };
    let method = known(request.method());
    let response = next(request).await;
    let status = response.status().as_u16();
    exchange.status = Some(status);
    if exchange.observer.measures {
        measures::request(method, exchange.observed.route(), status, exchange.took());
    }
    response.map(|inner| Body::new(Watched { inner, exchange }))
}

/// Methods are words that clients choose.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let method = method.as_str();
    KNOWN
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(method))
        .unwrap_or("other")
}

/// A request and its answer; over when it is dropped, whether or not the client took all of it.
struct Exchange {
    observer: Observer,
    observed: Observed,
    begun: Duration,
    line: Option<Line>,
    status: Option<u16>,
    bytes: u64,
}

/// What the access log shows of the request itself.
struct Line {
    time: Timestamp,
    method: String,
    path: String,
    /// Where it comes from, should nobody find out more.
    peer: Option<IpAddr>,
}

impl Exchange {
    fn took(&self) -> Duration {
        self.observer.stopwatch.monotonic().saturating_sub(self.begun)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.observer.measures && self.bytes > 0 {
            measures::response_bytes(self.observed.route(), self.bytes);
        }
        let took = self.took();
        let (Some(log), Some(line)) = (&self.observer.access_log, self.line.take()) else {
            return;
        };
        log.note(Access {
            time: line.time,
            from: self
                .observed
                .0
                .from
                .get()
                .cloned()
                .or_else(|| line.peer.map(|peer| peer.to_string()))
                .unwrap_or_default(),
            method: line.method,
            path: line.path,
            route: self.observed.route().to_owned(),
            status: self.status,
            bytes: self.bytes,
            took,
        });
    }
}

/// A body whose bytes are counted.
struct Watched {
    inner: Body,
    exchange: Exchange,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.exchange.bytes += data.len() as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
