//! How devices show who they are: authentication of their calls, token refreshes, proofs of possession.

pub mod authentication;
pub mod dpop;
pub mod refresh;
