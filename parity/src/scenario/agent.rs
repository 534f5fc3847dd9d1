//! An agent's identity: everything follows from its seed and its name.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD},
};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::template::Names;

/// The DER bytes that stand before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// One agent of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The name by which steps and templates know it.
    pub name: String,
    pub hostname: String,
    /// The seed of its Ed25519 key.
    pub seed: [u8; 32],
}

impl Agent {
    pub fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.seed)
    }

    /// The public key, bare.
    pub fn public_bytes(&self) -> [u8; 32] {
        self.key().verifying_key().to_bytes()
    }

    /// The public key as SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.public_bytes().as_slice()].concat()
    }

    /// `${name.pubkey}`.
    pub fn pubkey(&self) -> String {
        BASE64.encode(self.spki())
    }

    /// `${name.nonce}`.
    pub fn nonce(&self) -> String {
        BASE64.encode(Sha256::digest(format!("nonce:{}", self.name)))
    }

    /// `${name.fingerprint}`.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.spki()))
    }

    /// By what proofs of possession know the key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let key = URL_SAFE_NO_PAD.encode(self.public_bytes());
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{key}"}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(members))
    }

    /// Every value that templates may name, as `(name, value)`.
    pub fn values(&self) -> [(String, String); 5] {
        [
            (format!("{}.hostname", self.name), self.hostname.clone()),
            (format!("{}.seed", self.name), BASE64.encode(self.seed)),
            (format!("{}.pubkey", self.name), self.pubkey()),
            (format!("{}.nonce", self.name), self.nonce()),
            (format!("{}.fingerprint", self.name), self.fingerprint()),
        ]
    }

    /// Makes the agent's values known to templates.
    pub fn define(&self, names: &mut Names) {
        for (name, value) in self.values() {
            names.insert(name, Value::String(value));
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes that a hexadecimal text stands for.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::scenario) fn agent_of_a_recording() -> Agent {
        let seed = BASE64
            .decode("EcfjbZcNWvuFyAMq8WKTm4AudWzXF0jDcKHBHcwaJ0Y=")
            .unwrap();
        Agent {
            name: "agent1".to_owned(),
            hostname: "H".to_owned(),
            seed: seed.try_into().unwrap(),
        }
    }

    #[test]
    fn values_follow_from_seed_and_name_as_in_the_recordings() {
        let agent = agent_of_a_recording();
        assert_eq!(
            agent.pubkey(),
            "MCowBQYDK2VwAyEAwfyKj/QDI/fI4yXW9Q6PHrlS8nUG4OW7InPE5g7rqUw="
        );
        assert_eq!(agent.nonce(), "O5WJpEfYhU4dcHIeOt/AoV3/U/JZMphtEzRlwODg5lw=");
        assert_eq!(
            agent.fingerprint(),
            "2d00c97d88878f55715ba87788f4795bd5e65d3c08a7a15cb51b57ff8925a2bb"
        );
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        assert_eq!(unhex("0"), None);
    }
}
