//! Codes that were used: each counts once.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::totp::oldest_step;

/// The codes that were used and could still be used again: at most three steps of each account's secret.
#[derive(Debug, Default)]
pub struct UsedCodes(BTreeSet<(u64, [u8; 32])>);

impl UsedCodes {
    /// Uses up the code of `step` of an account's secret at `now` (Unix seconds); false where that was done before.
    pub fn take(&mut self, username: &str, secret: &str, step: u64, now: i64) -> bool {
        // Codes of earlier steps are refused for their age.
        self.0 = self.0.split_off(&(oldest_step(now), [0; 32]));
        let owner = Sha256::new()
            .chain_update((username.len() as u64).to_be_bytes())
            .chain_update(username)
            .chain_update(secret)
            .finalize();
        self.0.insert((step, owner.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_once_for_its_account_and_secret() {
        let mut used = UsedCodes::default();
        assert!(used.take("a", "S", 10, 300));
        assert!(!used.take("a", "S", 10, 329));
        assert!(used.take("a", "S", 11, 329));
        assert!(used.take("b", "S", 10, 329));
        assert!(used.take("a", "T", 10, 329));
        assert!(used.take("aS", "", 10, 329));
    }

    #[test]
    fn codes_that_are_too_old_to_be_used_are_forgotten() {
        let mut used = UsedCodes::default();
        for step in 0..100 {
            assert!(used.take("a", "S", step, i64::try_from(step * 30).unwrap()));
            assert!(used.0.len() <= 3);
        }
    }
}
