//! Secrets at rest: passwords of service accounts and credentials, sealed with the server's own key.

use super::Environment;
use crate::domain::{
    base64,
    fernet::{FernetKey, TOKEN_PREFIX},
    random::random_bytes,
};

/// A stored secret that was sealed with another key. The legacy takes the token itself, or its bytes, for the
/// secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("sealed with another key")]
pub struct SealedWithAnotherKey;

/// Seals and opens secrets.
#[derive(Clone, Debug)]
pub struct SecretBox {
    key: FernetKey,
    /// Open what they sealed; nothing more is sealed with them.
    former: Vec<FernetKey>,
    environment: Environment,
}

impl SecretBox {
    pub fn new(key: FernetKey, environment: Environment) -> Self {
        Self {
            key,
            former: Vec::new(),
            environment,
        }
    }

    /// Opens also what these keys sealed.
    #[must_use]
    pub fn with_former_keys(self, former: Vec<FernetKey>) -> Self {
        Self { former, ..self }
    }

    /// The stored form of a secret: the ASCII text of a Fernet token. Every call makes another one.
    pub fn seal(&self, secret: &str) -> Vec<u8> {
        let seconds = self.environment.clock.now().as_second().unsigned_abs();
        let vector = random_bytes(&*self.environment.random);
        self.key.seal(secret.as_bytes(), seconds, vector).into_bytes()
    }

    /// The secret of a stored form: a Fernet token, base64 of the clear text (which the legacy writes when it has no
    /// usable key), or the clear text itself. Nothing stored is the empty secret.
    ///
    /// # Errors
    /// It looks like a token, but this key does not open it.
    pub fn open(&self, stored: &[u8]) -> Result<String, SealedWithAnotherKey> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut keys = std::iter::once(&self.key).chain(&self.former);
        if let Some(secret) = keys.find_map(|key| key.open(stored)) {
            return Ok(text(&secret));
        }
        if stored.starts_with(TOKEN_PREFIX) {
            return Err(SealedWithAnotherKey);
        }
        Ok(base64::decode_lenient(stored).map_or_else(|| text(stored), |secret| text(&secret)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        integrations::random::SeededRandom,
        testkit::{START, clock_at},
    };

    fn secret_box(key: u8) -> SecretBox {
        let environment = Environment {
            clock: clock_at(START),
            random: Arc::new(SeededRandom::new(1)),
        };
        SecretBox::new(FernetKey::from_bytes([key; 32]), environment)
    }

    #[test]
    fn a_sealed_secret_has_the_legacys_form_and_is_never_the_same_twice() {
        let secrets = secret_box(1);
        let sealed = secrets.seal("p\u{e4}ssword-of-24-charact.");
        assert_eq!(sealed.len(), 120);
        assert!(sealed.starts_with(b"gAAAAA"));
        assert_ne!(sealed, secrets.seal("p\u{e4}ssword-of-24-charact."));
        assert_eq!(secrets.open(&sealed).unwrap(), "p\u{e4}ssword-of-24-charact.");
    }

    #[test]
    fn every_stored_form_is_read() {
        let secrets = secret_box(1);
        for (stored, secret) in [
            ("aGVsbG8=", "hello"),
            ("not base64!!", "not base64!!"),
            ("/w==", "\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(secrets.open(stored.as_bytes()).as_deref(), Ok(secret), "{stored}");
        }
        assert_eq!(secrets.open(&secret_box(2).seal("x")), Err(SealedWithAnotherKey));
    }

    #[test]
    fn what_a_former_key_sealed_is_opened_and_nothing_more_is_sealed_with_it() {
        let secrets = secret_box(1).with_former_keys(vec![FernetKey::from_bytes([2; 32])]);
        assert_eq!(secrets.open(&secret_box(2).seal("old")).as_deref(), Ok("old"));
        assert_eq!(secret_box(1).open(&secrets.seal("new")).as_deref(), Ok("new"));
        assert_eq!(secrets.open(&secret_box(3).seal("x")), Err(SealedWithAnotherKey));
    }
}
