//! Addresses that the settings name: whose forwarding headers are trusted, and where browsers reach the server.

use std::net::IpAddr;

/// An address or network whose forwarding headers are trusted, besides loopback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrustedNetwork {
    address: IpAddr,
    prefix: u8,
}

impl TrustedNetwork {
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
