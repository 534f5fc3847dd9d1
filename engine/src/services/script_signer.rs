//! Signs what agents shall run: they trust the key that they pinned when they enrolled.

use ed25519_dalek::{Signer as _, SigningKey, pkcs8::EncodePublicKey as _};

use crate::domain::{
    base64,
    json::{Json, JsonObject},
};

/// Signs scripts and playbooks with the server's code-signing key.
#[derive(Clone)]
pub struct ScriptSigner {
    key: SigningKey,
    published: String,
}

impl std::fmt::Debug for ScriptSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ScriptSigner").finish_non_exhaustive()
    }
}

impl ScriptSigner {
    pub fn new(key: &SigningKey) -> Self {
        Self {
            key: key.clone(),
            published: published_key(key),
        }
    }

    /// The three members of a payload that prove where `content` comes from.
    pub fn members(&self, content: &[u8]) -> JsonObject {
        [
            ("signature", base64::encode(&self.key.sign(content).to_bytes())),
            ("sig_alg", "ed25519".to_owned()),
            ("signing_key", self.published.clone()),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), Json::from(text)))
        .collect()
    }
}

/// The public half of a code-signing key as agents pin it: base64 of its SPKI DER.
pub fn published_key(key: &SigningKey) -> String {
    // An Ed25519 key always has this encoding; the text would only be empty if it had not.
    key.verifying_key()
        .to_public_key_der()
        .map(|der| base64::encode(der.as_bytes()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Verifier as _;

    use super::*;

    #[test]
    fn a_signature_is_of_the_content_and_nothing_is_printed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signer = ScriptSigner::new(&key);
        let members = signer.members(b"exit");
        let signature = base64::decode_strict(members["signature"].as_text().unwrap()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        assert!(key.verifying_key().verify(b"exit", &signature).is_ok());
        assert!(key.verifying_key().verify(b"exit\n", &signature).is_err());
        assert_eq!(members["sig_alg"], "ed25519".into());
        assert_eq!(format!("{signer:?}"), "ScriptSigner { .. }");
    }
}
