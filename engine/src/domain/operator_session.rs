//! What operators' clients show: signed values, known by the second in which they were issued and by their signature.

use super::digest::sha256_hex;
use super::operators::User;

/// When sessions are issued, and what has to be stored of them then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Issuing {
    /// The second in which they are issued.
    pub at: i64,
    /// The number of the end whose second that is; `None` where nothing has to be stored.
    pub after_end: Option<i64>,
}

impl Issuing {
    /// Of sessions of which nothing has to be stored.
    pub fn at(now: i64) -> Self {
        Self {
            at: now,
            after_end: None,
        }
    }
}

/// Until when the sessions of an account have ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountSessions {
    /// What the account was when it was last looked at; `None` where it was deleted.
    pub state: Option<String>,
    /// Unix seconds: what was issued until then has ended.
    pub ended_at: Option<i64>,
    /// How often that was.
    pub ends: i64,
}

/// An account as it is, and what is stored of its sessions and of one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountInSession {
    /// The account, as it is found by its name.
    pub user: User,
    /// `None` where the account is seen for the first time.
    pub sessions: Option<AccountSessions>,
    /// Whether the session was logged out.
    pub logged_out: bool,
    /// Whether it was issued after the end with which it shares its second.
    pub kept: bool,
}

/// How long a session cookie is accepted, in seconds: 31 days.
pub const SESSION_MAX_AGE: i64 = 2_678_400;

/// When a signed value was issued, and which it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Issue {
    /// Unix seconds.
    pub at: i64,
    /// A digest of the signature. The signature itself would let a reader of the database put the value together again.
    pub digest: String,
}

impl Issue {
    /// Of a value with this signature.
    pub fn new(at: i64, signature: &str) -> Self {
        Self {
            at,
            digest: sha256_hex(signature.as_bytes()),
        }
    }
}

/// A session cookie or token that was signed by this server or the legacy. Whether it still counts is another question.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OperatorCredential {
    /// The account that it names.
    pub username: String,
    /// When it was issued.
    pub issue: Issue,
}
