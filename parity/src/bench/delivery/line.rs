//! A connection that ends as networks end them: without a good-bye, and silent for a while before.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::target::endpoint::{Around, Stream};

/// What does not get through any more, although the connection still stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Silence {
    /// What the agent sends.
    Outgoing = 1,
    /// Anything, either way.
    Both = 2,
}

/// The hand at the cable.
#[derive(Clone, Debug, Default)]
pub(super) struct Cable(Arc<AtomicU8>);

impl Cable {
    /// From now on this does not get through.
    pub(super) fn cut(&self, silence: Silence) {
        self.0.store(silence as u8, Ordering::Relaxed);
    }

    fn loses(&self, silence: Silence) -> bool {
        self.0.load(Ordering::Relaxed) >= silence as u8
    }

    /// What connections are put on this cable with. One that `resets` ends so at last, any other with the usual end of a
    /// connection whose program was killed.
    pub(super) fn around(&self, resets: bool) -> Around {
        let cable = self.clone();
        Arc::new(move |stream| -> Box<dyn Stream> {
            if resets {
                // Where the system does not let it, the connection ends in the other way.
                let _ = stream.set_zero_linger();
            }
            Box::new(Line {
                stream,
                cable: cable.clone(),
            })
        })
    }
}

struct Line {
    stream: TcpStream,
    cable: Cable,
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cable.loses(Silence::Both) {
            // Nobody is woken: the end of the connection is what comes next.
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cable.loses(Silence::Outgoing) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_sent_over_a_cut_cable_is_lost_and_its_end_is_a_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cable = Cable::default();
        let mut agent = cable.around(true)(TcpStream::connect(address).await.unwrap());
        let (mut server, _) = listener.accept().await.unwrap();
        agent.write_all(b"a").await.unwrap();
        cable.cut(Silence::Outgoing);
        agent.write_all(b"b").await.unwrap();
        server.write_all(b"c").await.unwrap();
        assert_eq!(agent.read_u8().await.unwrap(), b'c');
        drop(agent);
        let mut got = Vec::new();
        let ended = server.read_to_end(&mut got).await;
        // A reset may overtake what came before it.
        assert!(b"a".starts_with(&got), "{got:?}");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
