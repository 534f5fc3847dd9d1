//! Streams and bodies that count their bytes: a client is alive while data moves, and is read from while it reads and the
//! budget allows it.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{budget::Reading, connection::Connection, fragments::Fragments, outbox::Portion};

/// Bytes of an answer that are handed to the connection at a time.
const PIECE: usize = 64 * 1024;

/// Bytes that are read of a websocket's connection at a time.
const READ: usize = 4096;

/// Bytes that are still read of a client that does not read: pongs and acknowledgements of one that is busy with
/// something large. The websocket library answers pings whether the answers go out or not.
const MOST_UNANSWERED: usize = 64 * 1024;

/// Reads on as far as the budget allows it. A client that is kept waiting cannot be heard, and is not to blame.
#[derive(Debug)]
struct Budgeted {
    connection: Arc<Connection>,
    reading: Arc<Reading>,
    is_kept_waiting: bool,
}

impl Budgeted {
    fn new(connection: Arc<Connection>, reading: Arc<Reading>) -> Self {
        Self {
            connection,
            reading,
            is_kept_waiting: false,
        }
    }

    fn poll_read_on(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let poll = self.reading.poll_read_on(context);
        let heartbeat = &self.connection.heartbeat;
        match (poll.is_pending(), self.is_kept_waiting) {
            (true, false) => heartbeat.begin_backlog(),
            (false, true) => heartbeat.end_backlog(),
            _ => {}
        }
        self.is_kept_waiting = poll.is_pending();
        poll
    }

    fn note_read(&self, bytes: usize) {
        self.connection.heartbeat.note_received(bytes);
        self.reading.note_read(bytes);
    }
}

impl Drop for Budgeted {
    fn drop(&mut self) {
        if self.is_kept_waiting {
            self.connection.heartbeat.end_backlog();
        }
    }
}

/// A websocket's connection. A client that does not read is not read from.
#[derive(Debug)]
pub(super) struct MeteredStream<S> {
    stream: S,
    budgeted: Budgeted,
    /// Something waits to be written that the client does not take.
    is_blocked: bool,
    /// Bytes that were read since then, less those that were written.
    unanswered: usize,
    /// Who waits to read.
    reader: Option<Waker>,
    fragments: Fragments,
    /// What was read and is to be taken, and how much of it has been. It is given up when it is taken: most connections
    /// say nothing for most of the time.
    read: Vec<u8>,
    taken: usize,
}

impl<S> MeteredStream<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>, reading: Arc<Reading>) -> Self {
        Self {
            stream,
            fragments: Fragments::new(connection.limits.message),
            budgeted: Budgeted::new(connection, reading),
            is_blocked: false,
            unanswered: 0,
            reader: None,
            read: Vec::new(),
            taken: 0,
        }
    }

    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = self.read.get(self.taken..).unwrap_or_default();
        let fits = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..fits).unwrap_or_default());
        self.taken += fits;
        if self.taken == self.read.len() {
            self.read = Vec::new();
            self.taken = 0;
        }
    }

    fn note_sent(&mut self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match sent {
            Poll::Ready(Ok(bytes)) => {
                self.budgeted.connection.heartbeat.note_sent(bytes);
                self.unanswered = self.unanswered.saturating_sub(bytes);
                self.let_read();
            }
            Poll::Ready(Err(_)) => self.let_read(),
            Poll::Pending if !self.is_blocked => {
                self.is_blocked = true;
                self.unanswered = 0;
            }
            Poll::Pending => {}
        }
        sent
    }

    fn let_read(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_blocked && self.unanswered >= MOST_UNANSWERED {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        ready!(self.budgeted.poll_read_on(context));
        // A header that is incomplete is not handed on: until then there is nothing that could be.
        while self.read.is_empty() {
            let mut space = [MaybeUninit::uninit(); READ];
            let mut chunk = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut chunk))?;
            let bytes = chunk.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let this = &mut *self;
            this.budgeted.note_read(bytes.len());
            if this.is_blocked {
                this.unanswered = this.unanswered.saturating_add(bytes.len());
            }
            this.fragments.split(bytes, &mut this.read);
        }
        self.hand_on(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_sent(sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // The library flushes once all is written.
        if flushed.is_ready() {
            self.is_blocked = false;
            self.let_read();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of a POST.
#[derive(Debug)]
pub(super) struct MeteredBody {
    body: Body,
    budgeted: Budgeted,
}

impl MeteredBody {
    pub(super) fn wrap(body: Body, connection: Arc<Connection>, reading: Arc<Reading>) -> Body {
        let budgeted = Budgeted::new(connection, reading);
        Body::new(Self { body, budgeted })
    }
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        ready!(self.budgeted.poll_read_on(context));
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.budgeted.note_read(data.len());
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
/// the next poll. What the connection took may still be lost on the way: a client that misses an answer learns nothing
/// by the protocol and gives up its connection.
#[derive(Debug)]
pub(super) struct Delivery {
    connection: Arc<Connection>,
    portion: Option<Portion>,
}

impl Delivery {
    pub(super) fn new(connection: Arc<Connection>, portion: Portion) -> Self {
        Self {
            connection,
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
            self.connection.take_back(portion);
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
        self.delivery.connection.heartbeat.note_sent(length);
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
