//! An agent's proof that it holds the key it claims.

use ed25519_dalek::{Signature, VerifyingKey};

use super::public_key::{Kind, kind_of};

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// The stored key is no public key.
    #[error("the key is no readable public key")]
    UnreadableKey,
    /// The signature does not fit, or the key is of a kind that cannot prove.
    #[error("the signature does not prove the key")]
    Invalid,
}

/// Checks `signature` over `message` with the key in `spki_der`. Small-order keys, which make forged proofs fit, are
/// refused (the legacy takes them: ENR-16), and so are Ed448 keys (ENR-15).
///
/// # Errors
/// The proof does not hold.
pub fn verify_proof(spki_der: &[u8], message: &[u8], signature: &[u8]) -> Result<(), ProofError> {
    let key = match kind_of(spki_der) {
        Some(Kind::Ed25519(key)) => key,
        Some(Kind::Other) => return Err(ProofError::Invalid),
        None => return Err(ProofError::UnreadableKey),
    };
    let key = VerifyingKey::from_bytes(&key).map_err(|_| ProofError::Invalid)?;
    let signature = Signature::from_slice(signature).map_err(|_| ProofError::Invalid)?;
    key.verify_strict(message, &signature)
        .map_err(|_| ProofError::Invalid)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey, pkcs8::EncodePublicKey as _};
    use proptest::prelude::*;

    use super::*;

    fn spki(key: &SigningKey) -> Vec<u8> {
        key.verifying_key().to_public_key_der().unwrap().into_vec()
    }

    #[test]
    fn only_the_key_s_own_signature_over_the_message_proves() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signature = key.sign(b"message").to_bytes();
        assert_eq!(verify_proof(&spki(&key), b"message", &signature), Ok(()));
        assert_eq!(
            verify_proof(&spki(&key), b"another", &signature),
            Err(ProofError::Invalid)
        );
        assert_eq!(
            verify_proof(&spki(&key), b"message", &signature[..63]),
            Err(ProofError::Invalid)
        );
        let mut trailing = spki(&key);
        trailing.push(0);
        assert_eq!(
            verify_proof(&trailing, b"message", &signature),
            Err(ProofError::UnreadableKey)
        );
        assert_eq!(
            verify_proof(&spki(&key)[..40], b"message", &signature),
            Err(ProofError::UnreadableKey)
        );
    }

    #[test]
    fn a_small_order_key_proves_nothing() {
        let mut weak = spki(&SigningKey::from_bytes(&[7; 32]))[..12].to_vec();
        weak.push(1);
        weak.extend([0; 31]);
        let mut forged = [0; 64];
        forged[0] = 1;
        assert_eq!(
            verify_proof(&weak, b"anything", &forged),
            Err(ProofError::Invalid)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(key in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
            prop_assert!(verify_proof(&key, b"message", &signature).is_err());
        }
    }
}
