//! Data on its way, counted: a client is alive while it moves.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{outbox::Portion, session::Session};

/// Bytes of an answer that are handed to the connection at a time.
const PIECE: usize = 64 * 1024;

/// A websocket's connection.
#[derive(Debug)]
pub(super) struct MovingStream<S> {
    stream: S,
    session: Arc<Session>,
}

impl<S> MovingStream<S> {
    pub(super) fn new(stream: S, session: Arc<Session>) -> Self {
        Self { stream, session }
    }

    fn note_sent(&self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = sent {
            self.session.heartbeat.note_sent(bytes);
        }
        sent
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MovingStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len().saturating_sub(before);
        if bytes > 0 {
            self.session.heartbeat.note_received(bytes);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MovingStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_sent(sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of a POST.
#[derive(Debug)]
pub(super) struct MovingBody {
    body: Body,
    session: Arc<Session>,
}

impl MovingBody {
    pub(super) fn wrap(body: Body, session: Arc<Session>) -> Body {
        Body::new(Self { body, session })
    }
}

impl HttpBody for MovingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.session.heartbeat.note_received(data.len());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Packets that go out as the answer to a poll. If the connection ends before it has taken all of them, they wait for
/// the next poll. What the connection took may still be lost on the way: a client that misses an answer is told nothing
/// by the protocol and gives up its session.
#[derive(Debug)]
pub(super) struct Delivery {
    session: Arc<Session>,
    portion: Option<Portion>,
}

impl Delivery {
    pub(super) fn new(session: Arc<Session>, portion: Portion) -> Self {
        Self {
            session,
            portion: Some(portion),
        }
    }

    fn done(&mut self) {
        self.portion = None;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(portion) = self.portion.take() {
            self.session.take_back(portion);
        }
    }
}

/// The body of an answer with packets.
#[derive(Debug)]
pub(super) struct AnswerBody {
    rest: Bytes,
    delivery: Delivery,
}

impl AnswerBody {
    pub(super) fn wrap(bytes: Bytes, delivery: Delivery) -> Body {
        Body::new(Self {
            rest: bytes,
            delivery,
        })
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.delivery.session.heartbeat.note_sent(length);
        if self.rest.is_empty() {
            self.delivery.done();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
