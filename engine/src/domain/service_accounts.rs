//! The service accounts under which agents run.
//!
//! Short because the feature has the same file in every layer, and its rules are in `services`.

/// An agent's service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccount {
    /// The account's name on the agent's machine.
    pub username: String,
    /// Its password, sealed.
    pub password_encrypted: Vec<u8>,
}
