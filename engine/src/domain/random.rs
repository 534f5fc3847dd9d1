//! Randomness as the rest of the engine sees it.
//!
//! Short because what implements it is outside of the domain, in `integrations`.

use std::fmt::Debug;

use uuid::{Builder, Uuid};

/// The only source of random bytes. Production takes the operating system's.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills `bytes` with random bytes fit for keys and tokens.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// A random (version 4) UUID.
pub fn random_uuid(random: &dyn Random) -> Uuid {
    Builder::from_random_bytes(random_bytes(random)).into_uuid()
}
