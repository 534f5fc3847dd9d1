//! Who a device is: authentication of its calls, its tokens, proofs of possession, refreshes and revocation.

pub mod authentication;
pub mod dpop;
pub mod refresh;
pub mod revocation;
pub mod tokens;
