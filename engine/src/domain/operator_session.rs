//! What operators' clients show: signed values, known by the second in which they were issued and by their signature.

use super::digest::sha256_hex;

/// How long a session cookie is accepted, in seconds: 31 days.
pub const SESSION_MAX_AGE: i64 = 2_678_400;

/// When a signed value was issued, and which it is.
#[derive(Clone, Debug, Eq, PartialEq)]
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorCredential {
    /// The account that it names.
    pub username: String,
    /// When it was issued.
    pub issue: Issue,
}
