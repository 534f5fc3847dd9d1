//! Which browser a request comes from, as far as its requests show.

use super::digest::sha256;

/// A browser: by the cookie that it was given with the page, else by its address and what it calls itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Browser {
    id: Option<String>,
    /// A digest of address and name, because names have any length; `None` where it has no name: browsers have one.
    trace: Option<[u8; 32]>,
}

impl Browser {
    /// Of a request with this cookie, from this address, by a client of this name.
    pub fn new(id: Option<String>, address: &str, name: &[u8]) -> Self {
        let trace = (!name.is_empty()).then(|| sha256(&[address.as_bytes(), b"\0", name].concat()));
        Self { id, trace }
    }

    /// Whether both are the same, as far as both show.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(one), Some(other)) => one == other,
            _ => self.trace.is_some() && self.trace == other.trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_decides_and_without_it_address_and_name_together() {
        let browser =
            |id: Option<&str>, address: &str, name: &[u8]| Browser::new(id.map(str::to_owned), address, name);
        let (here, there) = ("192.0.2.1", "192.0.2.2");
        for (one, other, same) in [
            (
                browser(Some("a"), here, b"F"),
                browser(Some("a"), there, b"F"),
                true,
            ),
            (
                browser(Some("a"), here, b"F"),
                browser(Some("b"), here, b"F"),
                false,
            ),
            (browser(None, here, b"F"), browser(Some("b"), here, b"F"), true),
            (browser(None, here, b"F"), browser(None, there, b"F"), false),
            (browser(None, here, b"F"), browser(None, here, b"curl"), false),
            (browser(None, here, b""), browser(None, here, b""), false),
        ] {
            assert_eq!(one.is(&other), same, "{one:?} {other:?}");
        }
    }
}
