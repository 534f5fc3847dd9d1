//! The listener's streams and services, which report to the registry what their connections do.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError,
    body::{Body, HttpBody},
    extract::Request,
    response::Response,
};
use axum_server::accept::Accept;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Timeout,
};
use tower::Service;

use super::{
    super::arrivals::{Arrival, Place},
    Connection, Connections, InFlight, Registered, RequestConnection,
};

/// The longest answer that is handed to the HTTP library whole.
const WHOLE: u64 = 64 * 1024;

/// Wraps the streams and the services of another acceptor.
#[derive(Clone, Debug)]
pub struct BoundedAcceptor<A> {
    inner: A,
    connections: Arc<Connections>,
}

impl<A> BoundedAcceptor<A> {
    pub(crate) fn new(inner: A, connections: Arc<Connections>) -> Self {
        Self { inner, connections }
    }
}

/// What an acceptor makes of a stream, once it has.
type Accepting<S, T> = Pin<Box<dyn Future<Output = io::Result<(BoundedStream<S>, T)>> + Send>>;

/// What a listener accepts.
pub trait Accepted {
    /// Its stream, and its place in the line if it waited in one.
    fn into_parts(self) -> (TcpStream, Option<Place>);
}

impl Accepted for TcpStream {
    fn into_parts(self) -> (TcpStream, Option<Place>) {
        (self, None)
    }
}

impl Accepted for Arrival {
    fn into_parts(self) -> (TcpStream, Option<Place>) {
        (self.stream, Some(self.place))
    }
}

impl<A, I, S> Accept<I, S> for BoundedAcceptor<A>
where
    A: Accept<TcpStream, BoundedService<S>> + Clone + Send + 'static,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
    I: Accepted,
    S: Send + 'static,
{
    type Stream = BoundedStream<A::Stream>;
    type Service = A::Service;
    type Future = Accepting<A::Stream, A::Service>;

    fn accept(&self, accepted: I, service: S) -> Self::Future {
        let (stream, place) = accepted.into_parts();
        let peer = stream.peer_addr();
        let connections = Arc::clone(&self.connections);
        let inner = self.inner.clone();
        Box::pin(async move {
            let registered = connections.open(peer?.ip(), place);
            let service = BoundedService {
                service,
                connection: Arc::clone(&registered.connection),
            };
            let (stream, service) = inner.accept(stream, service).await?;
            let stream = BoundedStream {
                stream,
                registered,
                blocked: None,
                preface: Preface::default(),
            };
            Ok((stream, service))
        })
    }
}

/// Says of its requests when they begin and end.
#[derive(Clone, Debug)]
pub struct BoundedService<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> Service<Request<Incoming>> for BoundedService<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.connection.begin();
        let connection = RequestConnection(Arc::clone(&self.connection));
        let mut request = request.map(|body| {
            if body.is_end_stream() {
                Body::empty()
            } else {
                keep_in_flight(body, in_flight.clone())
            }
        });
        request.extensions_mut().insert(connection);
        let answering = self.service.call(request);
        Box::pin(async move {
            let response = answering.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // No request ever begins on this connection again.
                in_flight.keep();
            }
            if response
                .body()
                .size_hint()
                .upper()
                .is_some_and(|size| size <= WHOLE)
            {
                return Ok(response);
            }
            Ok(response.map(|body| keep_in_flight(body, in_flight)))
        })
    }
}

/// The body, whose request is under way until it is dropped.
fn keep_in_flight<B>(body: B, in_flight: InFlight) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Body::new(body.map_err(move |error| {
        let _ = &in_flight;
        error
    }))
}

/// A stream that counts what is read while there is no request, that ends when its connection is evicted, and
/// whose reading fails where it begins as HTTP/2 does.
#[derive(Debug)]
pub struct BoundedStream<S> {
    stream: S,
    registered: Registered,
    /// Since the peer takes nothing.
    blocked: Option<Pin<Box<Timeout<std::future::Pending<()>>>>>,
    preface: Preface,
}

impl<S> BoundedStream<S> {
    /// What writing came to, unless the peer has taken nothing for too long.
    fn within_deadline<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        let deadline = self.registered.connections.write_deadline;
        let blocked = self
            .blocked
            .get_or_insert_with(|| Box::pin(tokio::time::timeout(deadline, std::future::pending())));
        let _ = ready!(blocked.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer takes nothing",
        )))
    }
}

/// What is left to be seen of the beginning of HTTP/2; nothing once a connection has begun otherwise.
///
/// HTTP/2 has bounds and deadlines of its own, none of which this server sets, and no client of it speaks it. The HTTP
/// library tells the versions apart by the first bytes and serves both wherever connections can become websockets.
#[derive(Debug)]
struct Preface(&'static [u8]);

impl Default for Preface {
    fn default() -> Self {
        // No method of HTTP/1 begins so.
        Self(b"PRI * HTTP/2")
    }
}

impl Preface {
    /// Whether all of it has been seen once these bytes have come, too.
    fn is_whole_with(&mut self, bytes: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        for byte in bytes {
            match self.0.split_first() {
                Some((next, rest)) if next == byte => self.0 = rest,
                _ => {
                    self.0 = &[];
                    return false;
                }
            }
            if self.0.is_empty() {
                return true;
            }
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let stream = &mut *self;
        let read = Pin::new(&mut stream.stream).poll_read(context, buffer);
        let connection = &stream.registered.connection;
        if read.is_pending() {
            connection.reader.register(context.waker());
        } else {
            let bytes = buffer.filled().get(before..).unwrap_or_default();
            if stream.preface.is_whole_with(bytes) {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "HTTP/2 is not spoken",
                )));
            }
            stream.registered.connections.note_head(connection, bytes.len());
        }
        if connection.has_ended() {
            // To the HTTP library the peer has closed its side, so that an answer that is still being written goes out.
            buffer.set_filled(before);
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_deadline(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.within_deadline(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.within_deadline(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
