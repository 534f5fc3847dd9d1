//! Connections that begin as HTTP/2 does, without having been asked to, end at once.
//!
//! HTTP/2 has bounds and deadlines of its own, none of which this server sets, and no client of it speaks it. The HTTP
//! library tells the versions apart by the first bytes and serves both wherever connections can become websockets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How HTTP/2 begins; no method of HTTP/1 does.
const PREFACE: &[u8] = b"PRI * HTTP/2";

/// Wraps the streams of another acceptor.
#[derive(Clone, Debug)]
pub struct HttpOneAcceptor<A>(A);

impl<A> HttpOneAcceptor<A> {
    /// Around this one.
    pub(super) fn new(inner: A) -> Self {
        Self(inner)
    }
}

impl<A, I, S> Accept<I, S> for HttpOneAcceptor<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: 'static,
    A::Service: 'static,
{
    type Stream = HttpOneStream<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            Ok((HttpOneStream::new(stream), service))
        })
    }
}

/// A stream whose reading fails where it begins as HTTP/2 does.
#[derive(Debug)]
pub struct HttpOneStream<S> {
    stream: S,
    /// What is left to be seen of the beginning; empty once it is another one.
    expected: &'static [u8],
}

impl<S> HttpOneStream<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            expected: PREFACE,
        }
    }

    /// False where the whole beginning has been seen.
    fn is_other(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match self.expected.split_first() {
                Some((next, [])) if next == byte => return false,
                Some((next, rest)) if next == byte => self.expected = rest,
                _ => {
                    self.expected = &[];
                    return true;
                }
            }
        }
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HttpOneStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !self.expected.is_empty() && !self.is_other(read) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "HTTP/2 is not spoken",
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HttpOneStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
