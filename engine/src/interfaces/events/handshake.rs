//! What a client shows when it connects, as far as it is kept.

use http::{HeaderMap, header};

use crate::{
    domain::{browser::Browser, mask::shown, text::python_trim},
    interfaces::http::compat::{forwarded::Caller, headers::joined},
};

/// Who connected from where, for the log, and for logins and logouts of the same browser.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Handshake {
    /// The client's address.
    pub(super) address: String,
    /// What the limits by address count.
    pub(super) limit_key: String,
    /// `websocket` or `polling`.
    pub(super) transport: &'static str,
    /// The part of the agent that connects, from its header; empty without.
    pub(super) scope: String,
    /// What may be shown of the `Authorization` header; empty without.
    pub(super) authorization: String,
    /// The browser that it is, where it is no device.
    pub(super) browser: Option<Box<Browser>>,
    /// What its further requests may show instead of the credential that it opened a polling session with.
    pub(super) key: Option<Box<str>>,
}

impl Handshake {
    pub(super) fn of(headers: &HeaderMap, caller: &Caller, transport: &'static str) -> Self {
        let text = |name: &str| joined(headers, name).unwrap_or_default();
        Self {
            address: shown(&caller.last_forwarded()).into_owned(),
            limit_key: caller.limit_key().to_owned(),
            transport,
            scope: scope(&text("x-borealis-agent-context")),
            authorization: masked(&text(header::AUTHORIZATION.as_str())),
            browser: None,
            key: None,
        }
    }
}

/// Letters, digits, `_` and `-`, in upper case.
fn scope(text: &str) -> String {
    text.chars()
        .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'))
        .take(64)
        .collect::<String>()
        .to_ascii_uppercase()
}

/// A bearer token with nothing left but its first and last four characters, and of another scheme nothing.
fn masked(authorization: &str) -> String {
    let authorization = python_trim(authorization);
    if authorization.is_empty() {
        return String::new();
    }
    let Some(token) = authorization.strip_prefix("Bearer ").map(python_trim) else {
        return "***".to_owned();
    };
    let characters: Vec<_> = token.chars().collect();
    if characters.len() <= 8 {
        return format!("Bearer {}", "*".repeat(characters.len()));
    }
    let (start, rest) = characters.split_at(4);
    let (_, end) = rest.split_at(rest.len() - 4);
    format!(
        "Bearer {}***{}",
        start.iter().collect::<String>(),
        end.iter().collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_reaches_the_log() {
        assert_eq!(masked("Bearer abcdefghij"), "Bearer abcd***ghij");
        assert_eq!(masked("Bearer abcdefgh"), "Bearer ********");
        assert_eq!(masked("Basic YWRtaW46c2VjcmV0"), "***");
        assert_eq!(masked(""), "");
    }

    #[test]
    fn a_scope_is_a_word() {
        assert_eq!(scope("current user\n-1_x"), "CURRENTUSER-1_X");
    }
}
