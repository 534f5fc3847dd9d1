//! A name under which a server is reached, as its certificate lists it.

use std::{fmt, net::IpAddr};

/// The longest name that the domain name system knows.
const LONGEST: usize = 253;

/// A host name or an address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ServerName {
    /// A host name in lower case; `*.` may stand before it.
    Dns(String),
    Address(IpAddr),
}

impl ServerName {
    /// Reads a name; `None` for what no certificate can list.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Some(Self::Address(address));
        }
        let host = text.strip_prefix("*.").unwrap_or(text);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (text.len() <= LONGEST && host.split('.').all(label)).then(|| Self::Dns(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => formatter.write_str(name),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_nothing_else() {
        let read = |text: &str| ServerName::parse(text).map(|name| name.to_string());
        for (text, shown) in [
            (" Borealis.Example ", "borealis.example"),
            ("*.example", "*.example"),
            ("my_box", "my_box"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "2001:db8::1"),
        ] {
            assert_eq!(read(text).as_deref(), Some(shown));
        }
        for text in [
            "",
            "a..b",
            "a b",
            "-a",
            "https://a",
            "a:443",
            "a.*.b",
            "é",
            &"a".repeat(64),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
