//! What the system bounds of connections: how many files are open, and how much waits to be sent.

use std::{io, net::TcpListener};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

/// Bytes that the kernel takes for a client beyond what is on its way.
const MOST_UNSENT: u32 = 128 * 1024;

/// Keeps what the kernel takes for a slow client small, for every connection of this listener: the server sees sooner
/// whether the client takes anything, and holds what waits itself, where it is counted.
///
/// # Errors
/// The kernel refuses.
pub fn limit_unsent(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).set_tcp_notsent_lowat(MOST_UNSENT)
}

/// Has the system keep as many connections as it does for any listener until they are taken: the library asks for 128,
/// and beyond that a client is answered only when it asks again, seconds later.
///
/// # Errors
/// The system refuses.
pub fn keep_many_waiting(listener: &TcpListener) -> io::Result<()> {
    // Whoever listens already only changes the number. The system has a bound of its own (`net.core.somaxconn`).
    SockRef::from(listener).listen(i32::from(u16::MAX))
}

/// Raises the soft limit of open files to the hard one, and returns what it is now; `None` is no limit.
pub fn raise_open_files_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where the system refuses, what there was stays.
    let _ = setrlimit(Resource::Nofile, raised);
    open_files_limit()
}

/// The soft limit of open files, which bounds the connections; `None` is no limit.
pub fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn more_connections_wait_than_the_library_asks_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        keep_many_waiting(&listener).unwrap();
        let address = listener.local_addr().unwrap();
        // The system has its own bound, which is lower than 300 nowhere.
        let waiting: Vec<_> = (0..300).map(|_| TcpStream::connect(address).unwrap()).collect();
        for client in &waiting {
            let (connection, _) = listener.accept().unwrap();
            assert_eq!(connection.peer_addr().unwrap(), client.local_addr().unwrap());
        }
    }

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
