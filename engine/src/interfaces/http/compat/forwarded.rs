//! Who calls, and under which address the client sees the server: the peer and the forwarding headers.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{Request, header, request::Parts};

use super::{
    headers::{joined, unquoted},
    session::Arrival,
};
use crate::config::network::Network;

/// The longest word that counts where a proxy forwards no address.
const LONGEST_WORD: usize = 64;

/// The peer of a request, and the client behind it by its forwarding headers. Every layer looks at it, so it is cheap to
/// clone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller(Arc<Addresses>);

#[derive(Debug, Default, Eq, PartialEq)]
struct Addresses {
    peer: Option<IpAddr>,
    tls: bool,
    host: Option<String>,
    forwarded_for: Option<String>,
    forwarded_proto: Option<String>,
    forwarded_host: Option<String>,
    client: Option<String>,
    /// Where it is another one than `client`.
    limit_key: Option<String>,
    is_forwarded: bool,
}

/// Headers in which a proxy names the client that it asks for.
const FORWARDING: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "forwarded",
];

impl Caller {
    /// Reads a request. Forwarding headers count from loopback peers and from `trusted` ones only. `tls` says whether
    /// the listener itself speaks TLS.
    pub fn of<B>(request: &Request<B>, trusted: &[Network], tls: bool) -> Self {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip().to_canonical());
        let headers = request.headers();
        let named = request.uri().authority().map(|authority| authority.as_str());
        let host = headers
            .get(header::HOST)
            .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
            .or(named.map(str::to_owned));
        let is_trusted = |address: IpAddr| {
            address.is_loopback() || trusted.iter().any(|network| network.contains(address))
        };
        let from_proxy = peer.is_some_and(is_trusted);
        let forwarded = |name| {
            from_proxy
                .then(|| joined(headers, name))
                .flatten()
                .filter(|list| !list.is_empty())
        };
        let forwarded_for = forwarded("x-forwarded-for");
        let nearest = forwarded_for
            .as_deref()
            .and_then(|list| nearest_stranger(list, is_trusted))
            .or_else(|| peer.map(Nearest::Address));
        Self(Arc::new(Addresses {
            is_forwarded: from_proxy && FORWARDING.iter().any(|name| headers.contains_key(*name)),
            peer,
            tls,
            host,
            limit_key: nearest.as_ref().and_then(Nearest::limit_key),
            client: nearest.map(Nearest::into_text),
            forwarded_for,
            forwarded_proto: forwarded("x-forwarded-proto"),
            forwarded_host: forwarded("x-forwarded-host"),
        }))
    }

    /// The address of the socket's other end.
    pub fn peer(&self) -> Option<IpAddr> {
        self.0.peer
    }

    /// Whether a trusted proxy asks for somebody else, who may be anywhere.
    pub fn is_forwarded(&self) -> bool {
        self.0.is_forwarded
    }

    /// The caller's address: the last one forwarded, else the peer's, else `unknown`.
    pub fn last_forwarded(&self) -> String {
        self.0
            .forwarded_for
            .as_deref()
            .and_then(last_item)
            .map_or_else(|| self.peer_text(), str::to_owned)
    }

    /// What the limits by address count: the rightmost forwarded address that is no trusted proxy's, else the peer's,
    /// else `unknown`. Whatever a client writes stands left of what the proxies write, so it cannot choose its key, nor
    /// another one's. Ports and brackets do not count, and of an IPv6 address only its network of 64 bits does.
    pub fn limit_key(&self) -> &str {
        self.0.limit_key.as_deref().unwrap_or_else(|| self.address())
    }

    /// Where the caller is: what [`Caller::limit_key`] counts, but of an IPv6 address all of it.
    pub fn address(&self) -> &str {
        self.0.client.as_deref().unwrap_or("unknown")
    }

    /// The caller's address as enrollment logs it: the first one forwarded, else the peer's, else `unknown`.
    pub fn enrollment_address(&self) -> String {
        self.0
            .forwarded_for
            .as_deref()
            .and_then(|list| list.split(',').next())
            .map_or_else(|| self.peer_text(), |item| item.trim().to_owned())
    }

    /// Whether the caller is on this machine: the peer, and whom it speaks for. A trusted proxy elsewhere cannot say
    /// so (DEV-13).
    pub fn is_local(&self) -> bool {
        if !self.0.peer.is_some_and(|peer| peer.is_loopback()) {
            return false;
        }
        let address = self.last_forwarded();
        address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.")
    }

    /// The scheme of absolute addresses.
    pub fn scheme(&self) -> String {
        self.0.forwarded_proto.as_deref().and_then(last_item).map_or_else(
            || if self.0.tls { "https" } else { "http" }.to_owned(),
            str::to_owned,
        )
    }

    /// Whether the client speaks TLS, as far as peer and headers show.
    pub fn arrival(&self) -> Arrival {
        if self.scheme().eq_ignore_ascii_case("https") {
            Arrival::Tls
        } else {
            Arrival::Plain
        }
    }

    /// Host and port of absolute addresses; the scheme's own port is left out.
    pub fn host(&self) -> String {
        let host = self
            .0
            .forwarded_host
            .as_deref()
            .and_then(last_item)
            .or(self.0.host.as_deref())
            .unwrap_or("localhost");
        let usual_port = match self.scheme().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return host.to_owned(),
        };
        host.strip_suffix(usual_port).unwrap_or(host).to_owned()
    }

    /// Whether `origin` is this server's own as the client sees it: host and port of `Host`, or of a trusted proxy's
    /// `X-Forwarded-Host`. The scheme is not compared: a proxy that ends TLS need not say so.
    pub fn is_own_origin(&self, origin: &str) -> bool {
        let forwarded = self.0.forwarded_host.as_deref().and_then(last_item);
        [forwarded, self.0.host.as_deref()]
            .into_iter()
            .flatten()
            .any(|authority| is_origin_of(authority, origin))
    }

    fn peer_text(&self) -> String {
        self.0
            .peer
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

/// Whether an origin is that of this authority. One without a port means the usual one of the origin's scheme.
pub(super) fn is_origin_of(authority: &str, origin: &str) -> bool {
    let Some((scheme, asked)) = origin.split_once("://") else {
        return false;
    };
    let usual_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let (Some((own, own_port)), Some((name, port))) = (name_and_port(authority), name_and_port(asked)) else {
        return false;
    };
    own.eq_ignore_ascii_case(name) && own_port.unwrap_or(usual_port) == port.unwrap_or(usual_port)
}

/// Host and port of an authority without user; `None` for what is none.
fn name_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let end_of_name = match authority.starts_with('[') {
        true => authority.find(']')? + 1,
        false => authority.find(':').unwrap_or(authority.len()),
    };
    let (name, port) = authority.split_at_checked(end_of_name)?;
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port).filter(|port| !port.is_empty()),
        None if port.is_empty() => None,
        None => return None,
    };
    let is_number = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    (!name.is_empty() && is_number && !name.contains(['/', '@'])).then_some((name, port))
}

/// Who is nearest of those that nobody trusts.
enum Nearest {
    Address(IpAddr),
    /// What a trusted proxy calls its client by another word than an address.
    Word(String),
}

impl Nearest {
    /// `None` where all of it counts.
    fn limit_key(&self) -> Option<String> {
        match self {
            Self::Address(address) => match network_of(*address) {
                IpAddr::V4(_) => None,
                IpAddr::V6(network) => Some(format!("{network}/64")),
            },
            Self::Word(_) => None,
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Word(word) => word,
        }
    }
}

/// The rightmost address of a list of forwarded ones that nobody trusts; where all are trusted, the first one.
fn nearest_stranger(list: &str, is_trusted: impl Fn(IpAddr) -> bool) -> Option<Nearest> {
    let mut first = None;
    for item in list.rsplit(',').map(str::trim).filter(|item| !item.is_empty()) {
        match address_in(item) {
            Some(address) => {
                if !is_trusted(address) {
                    return Some(Nearest::Address(address));
                }
                first = Some(Nearest::Address(address));
            }
            None => return Some(Nearest::Word(item.chars().take(LONGEST_WORD).collect())),
        }
    }
    first
}

/// The address in an item such as `192.0.2.1`, `192.0.2.1:5000`, `[2001:db8::1]:5000`, `"[::1]"` or `fe80::1%eth0`.
fn address_in(item: &str) -> Option<IpAddr> {
    let item = item.trim_matches('"');
    let bare = match item.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        // One colon is a port's; an IPv6 address has more.
        None => match item.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => item,
        },
    };
    let bare = bare.split('%').next().unwrap_or(bare);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// An IPv4 address, or the network of an IPv6 one: who has one address of it has them all.
pub(in crate::interfaces::http) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The last item of a list that is not empty, without quotes around it. A comma in quotes separates nothing, but where
/// quotes are left open every comma does: whoever leaves them so would hide what the proxies wrote behind it.
fn last_item(list: &str) -> Option<&str> {
    let mut in_quotes = false;
    let mut is_escaped = false;
    let mut items = list.split(|character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '"' if !was_escaped => in_quotes = !in_quotes,
            '\\' if in_quotes && !was_escaped => is_escaped = true,
            _ => {}
        }
        character == ',' && !in_quotes
    });
    let last = last_filled(&mut items);
    let last = if in_quotes {
        last_filled(&mut list.split(','))
    } else {
        last
    }?;
    Some(unquoted(last)).filter(|item| !item.is_empty())
}

fn last_filled<'a>(items: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    items.map(str::trim).filter(|item| !item.is_empty()).last()
}

#[cfg(test)]
mod tests;
