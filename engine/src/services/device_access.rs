//! Who a device is: its tokens, the gate that its requests pass, proofs of possession, refreshes and revocation.

pub mod dpop;
pub mod gate;
pub mod refresh;
pub mod revocation;
pub mod tokens;
