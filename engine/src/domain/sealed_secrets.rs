//! Secrets as they are stored sealed, whichever table they are in.

/// A stored secret that was sealed with some key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredSecret {
    /// What it belongs to, for a person who has to do something about it.
    pub owner: String,
    /// The token.
    pub token: Vec<u8>,
}
