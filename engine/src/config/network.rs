//! Addresses that the settings name: whose forwarding headers are trusted, and where browsers reach the server.

use std::{net::IpAddr, sync::Arc};

use crate::domain::public_address::is_public;

/// An address or network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// Whether `peer` lies in this network.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let (network, peer, bits) = match (self.address, peer.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(peer)) => {
                (u128::from(network.to_bits()), u128::from(peer.to_bits()), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(peer)) => (network.to_bits(), peer.to_bits(), 128),
            _ => return false,
        };
        let shift = bits - u32::from(self.prefix);
        network.checked_shr(shift).unwrap_or(0) == peer.checked_shr(shift).unwrap_or(0)
    }
}

/// Where a request may go: the name of a host, or an address or network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// A host, whatever its addresses are; in lower case.
    Host(String),
    Network(Network),
}

impl Destination {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(network) = Network::parse(text) {
            return Some(Self::Network(network));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        (!text.is_empty() && text.bytes().all(is_name)).then(|| Self::Host(text.to_ascii_lowercase()))
    }

    /// Whether this is the host of that name.
    pub fn is_host(&self, name: &str) -> bool {
        matches!(self, Self::Host(host) if host.eq_ignore_ascii_case(name))
    }

    /// Whether an address lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(address))
    }
}

/// Which addresses `/api/proxy` may reach.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Any.
    Anywhere,
    /// Those of the internet, and these of the site's own.
    PublicAnd(Arc<[Destination]>),
}

impl Reach {
    /// Whether a host may be reached whatever its address is.
    pub fn allows_host(&self, host: &str) -> bool {
        match self {
            Self::Anywhere => true,
            Self::PublicAnd(allowed) => allowed.iter().any(|one| one.is_host(host)),
        }
    }

    /// Whether an address may be reached.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::PublicAnd(allowed) => is_public(address) || allowed.iter().any(|one| one.contains(address)),
        }
    }
}

/// Scheme, host and port of an address: variable `BOREALIS_PUBLIC_URL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl {
    text: String,
    authority: usize,
}

impl PublicUrl {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let uri = text.parse::<http::Uri>().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        let is_bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
        if !matches!(scheme, "http" | "https") || !is_bare || authority.host().is_empty() {
            return None;
        }
        Some(Self {
            text: format!("{scheme}://{authority}"),
            authority: scheme.len() + "://".len(),
        })
    }

    /// The whole of it, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        self.text.get(self.authority..).unwrap_or_default()
    }
}
