//! The service accounts under which agents run.

/// An agent's service account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccount {
    /// The account's name on the agent's machine.
    pub username: String,
    /// Its password, sealed.
    pub password_encrypted: Vec<u8>,
}
