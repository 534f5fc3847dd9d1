//! Who calls, and under which address the client sees the server: the peer and the forwarding headers.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{Request, header, request::Parts};

use super::headers::joined;
use crate::config::settings::TrustedNetwork;

/// The peer of a request and what its headers say about the client behind it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller {
    peer: Option<IpAddr>,
    tls: bool,
    host: Option<String>,
    forwarded_for: Option<String>,
    forwarded_proto: Option<String>,
    forwarded_host: Option<String>,
}

impl Caller {
    /// Reads a request. Forwarding headers count from loopback peers and from `trusted` ones only. `tls` says whether
    /// the listener itself speaks TLS.
    pub fn of<B>(request: &Request<B>, trusted: &[TrustedNetwork], tls: bool) -> Self {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip().to_canonical());
        let headers = request.headers();
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or(request.uri().authority().map(|authority| authority.as_str()))
            .map(str::to_owned);
        let believed = peer
            .is_some_and(|peer| peer.is_loopback() || trusted.iter().any(|network| network.contains(peer)));
        let forwarded = |name| {
            believed
                .then(|| joined(headers, name))
                .flatten()
                .filter(|list| !list.is_empty())
        };
        Self {
            peer,
            tls,
            host,
            forwarded_for: forwarded("x-forwarded-for"),
            forwarded_proto: forwarded("x-forwarded-proto"),
            forwarded_host: forwarded("x-forwarded-host"),
        }
    }

    /// The address of the socket's other end.
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The caller's address: the last one forwarded, else the peer's, else `unknown`.
    pub fn last_forwarded(&self) -> String {
        self.forwarded_for
            .as_deref()
            .and_then(last_item)
            .map_or_else(|| self.peer_text(), str::to_owned)
    }

    /// The caller's address as enrollment and the rate limits see it: the first one forwarded, else the peer's, else
    /// `unknown`.
    pub fn enrollment_address(&self) -> String {
        self.forwarded_for
            .as_deref()
            .and_then(|list| list.split(',').next())
            .map_or_else(|| self.peer_text(), |item| item.trim().to_owned())
    }

    /// Whether the caller is on this machine: the peer, and whom it speaks for. A trusted proxy elsewhere cannot say
    /// so (DEV-13).
    pub fn is_local(&self) -> bool {
        if !self.peer.is_some_and(|peer| peer.is_loopback()) {
            return false;
        }
        let address = self.last_forwarded();
        address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.")
    }

    /// The scheme of absolute addresses.
    pub fn scheme(&self) -> String {
        self.forwarded_proto.as_deref().and_then(last_item).map_or_else(
            || if self.tls { "https" } else { "http" }.to_owned(),
            str::to_owned,
        )
    }

    /// Host and port of absolute addresses; the scheme's own port is left out.
    pub fn host(&self) -> String {
        let host = self
            .forwarded_host
            .as_deref()
            .and_then(last_item)
            .or(self.host.as_deref())
            .unwrap_or("localhost");
        let usual_port = match self.scheme().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return host.to_owned(),
        };
        host.strip_suffix(usual_port).unwrap_or(host).to_owned()
    }

    fn peer_text(&self) -> String {
        self.peer
            .map_or_else(|| "unknown".to_owned(), |peer| peer.to_string())
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// The caller that the outermost layer has put into the request.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

fn last_item(list: &str) -> Option<&str> {
    list.rsplit(',')
        .next()
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::settings::Settings;

    fn caller(peer: &str, headers: &[(&str, &str)]) -> Caller {
        let mut request = Request::builder().uri("/").header("host", "a.example:80");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer: IpAddr = peer.parse().unwrap();
        let request = request
            .extension(ConnectInfo(SocketAddr::new(peer, 1)))
            .body(())
            .unwrap();
        Caller::of(&request, &[], false)
    }

    const FORWARDED: [(&str, &str); 3] = [
        ("x-forwarded-for", " 9.9.9.9 , 8.8.8.8"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-host", "a.example, b.example:8443"),
    ];

    #[test]
    fn a_loopback_peer_speaks_for_others() {
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let caller = caller(peer, &FORWARDED);
            assert_eq!(caller.last_forwarded(), "8.8.8.8");
            assert_eq!(caller.enrollment_address(), "9.9.9.9");
            assert_eq!(caller.scheme(), "https");
            assert_eq!(caller.host(), "b.example:8443");
            assert!(!caller.is_local());
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        let caller = caller("192.0.2.1", &FORWARDED);
        assert_eq!(caller.last_forwarded(), "192.0.2.1");
        assert_eq!(caller.enrollment_address(), "192.0.2.1");
        assert_eq!(
            (caller.scheme(), caller.host()),
            ("http".to_owned(), "a.example".to_owned())
        );
    }

    #[test]
    fn nobody_elsewhere_is_local() {
        let variables = [("BOREALIS_TRUSTED_PROXIES".to_owned(), "192.0.2.0/24".to_owned())].into();
        let trusted = Settings::from_map(&variables, Path::new("/"))
            .unwrap()
            .trusted_proxies;
        let request = Request::builder()
            .header("x-forwarded-for", "127.0.0.1")
            .extension(ConnectInfo(SocketAddr::new([192, 0, 2, 1].into(), 1)))
            .body(())
            .unwrap();
        let caller = Caller::of(&request, &trusted, false);
        assert_eq!(caller.last_forwarded(), "127.0.0.1");
        assert!(!caller.is_local());
        assert!(!Caller::default().is_local());
    }

    #[test]
    fn without_headers_the_peer_counts() {
        assert!(caller("127.0.0.1", &[("x-forwarded-for", "")]).is_local());
        assert_eq!(Caller::default().enrollment_address(), "unknown");
    }
}
