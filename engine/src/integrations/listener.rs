//! The listener's own settings, which its connections inherit.

use std::{io, net::TcpListener};

use socket2::SockRef;

/// Bytes that the kernel takes for a client beyond what is on its way.
const MOST_UNSENT: u32 = 128 * 1024;

/// Keeps what the kernel takes for a slow client small: the server sees sooner whether the client takes anything, and
/// holds what waits itself, where it is counted.
///
/// # Errors
/// The kernel refuses.
pub fn limit_unsent(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).set_tcp_notsent_lowat(MOST_UNSENT)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn connections_inherit_how_much_may_be_unsent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        limit_unsent(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let limit = SockRef::from(&connection).tcp_notsent_lowat();
        assert_eq!(limit.unwrap(), MOST_UNSENT);
    }
}
