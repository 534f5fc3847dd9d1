//! How devices show who they are: the gate that their requests pass, token refreshes, proofs of possession.

pub mod dpop;
pub mod gate;
pub mod refresh;
