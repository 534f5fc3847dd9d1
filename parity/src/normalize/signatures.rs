//! Signatures are verified, not measured: who could have made them is compared, what they are is not.

use super::{Normalizer, Place};
use crate::scenario::made::{CookieKind, cookie_signature};
use crate::transcript::Keys;
use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _, block_padding::Pkcs7};
use ed25519_dalek::{Signature, VerifyingKey, pkcs8::DecodePublicKey as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

/// What a signature that no key explains is called.
pub(super) const BROKEN: &str = "made with no known key";
/// The members of which a payload's signature may be made, each base64.
const SIGNED: [&str; 2] = ["script_content", "playbook_content"];
/// Bytes of a Fernet token behind the cipher text.
const FERNET_TAG: usize = 32;
/// Bytes of version and time, and of the vector that follows.
const FERNET_VECTOR: std::ops::Range<usize> = 9..25;

/// Which cookie a text of the form `body.time.signature` could be. Nothing where the secret is not known.
pub(super) fn cookie(keys: &Keys, text: &str) -> Option<&'static str> {
    let secret = keys.cookie_secret.as_ref()?;
    let (input, signature) = text.rsplit_once('.')?;
    let made_as = |kind| cookie_signature(kind, secret, input) == signature;
    Some(if made_as(CookieKind::Session) {
        "a session"
    } else if made_as(CookieKind::Token) {
        "an operator's token"
    } else {
        BROKEN
    })
}

/// Whether one of the server's keys made an access token. Nothing where none is known: those of a recorded server are
/// not.
pub(super) fn token(keys: &Keys, text: &str) -> Option<bool> {
    if keys.token_keys.is_empty() {
        return None;
    }
    let (input, signature) = text.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    Some(
        keys.token_keys
            .iter()
            .any(|key| verifies(Some(*key), input.as_bytes(), &signature)),
    )
}

fn verifies(key: Option<VerifyingKey>, message: &[u8], signature: &[u8]) -> bool {
    match (key, Signature::from_slice(signature)) {
        (Some(key), Ok(signature)) => key.verify_strict(message, &signature).is_ok(),
        _ => false,
    }
}

/// What a Fernet token holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// A text, by a key that both servers have.
    Says(String),
    /// Something that a key of the server's own opens. Of a recorded server that key is not known, so what it says can
    /// not be compared here; answers show it.
    Opens,
    /// None of the keys opens it.
    Broken,
    /// No key is known.
    Unknown,
}

/// What a Fernet token holds, as far as a key opens it.
pub(super) fn sealed(keys: &Keys, text: &str) -> Sealed {
    let bytes = URL_SAFE.decode(text).unwrap_or_default();
    let opened = |keys: &[String]| keys.iter().find_map(|key| open(key, &bytes));
    if let Some(says) = opened(&keys.sealing_keys) {
        Sealed::Says(says)
    } else if opened(&keys.own_sealing_keys).is_some() {
        Sealed::Opens
    } else if keys.sealing_keys.is_empty() && keys.own_sealing_keys.is_empty() {
        Sealed::Unknown
    } else {
        Sealed::Broken
    }
}

fn open(key: &str, token: &[u8]) -> Option<String> {
    let key = URL_SAFE.decode(key.trim()).ok().filter(|key| key.len() == 32)?;
    let (signing, encryption) = key.split_at(16);
    let (signed, tag) = token.split_at_checked(token.len().checked_sub(FERNET_TAG)?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(signing).ok()?;
    mac.update(signed);
    mac.verify_slice(tag).ok()?;
    let (vector, cipher) = (signed.get(FERNET_VECTOR)?, signed.get(FERNET_VECTOR.end..)?);
    let plain = cbc::Decryptor::<Aes128>::new_from_slices(encryption, vector)
        .ok()?
        .decrypt_padded_vec::<Pkcs7>(cipher)
        .ok()?;
    String::from_utf8(plain).ok()
}

/// Which member of a payload its signature is over.
fn over(payload: &Map<String, Value>, signature: &str) -> &'static str {
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    let decoded = |text: &str| STANDARD.decode(text).unwrap_or_default();
    let key = text("signing_key").and_then(|key| VerifyingKey::from_public_key_der(&decoded(key)).ok());
    let signature = decoded(signature);
    SIGNED
        .into_iter()
        .find(|name| text(name).is_some_and(|signed| verifies(key, &decoded(signed), &signature)))
        .unwrap_or("nothing that stands beside it")
}

impl Normalizer<'_> {
    /// The signature of a payload that also holds the key and what was signed.
    pub(super) fn signature(&mut self, place: Place<'_>, payload: &Map<String, Value>, text: &str) -> Value {
        let name = self.text(place, text);
        json!({ "<signature>": { "name": name, "over": over(payload, text) } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey, pkcs8::EncodePublicKey as _};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn a_payloads_signature_says_what_it_is_over() {
        let script = b"write-host hello";
        let der = key(1).verifying_key().to_public_key_der().unwrap();
        let payload = json!({ "script_content": STANDARD.encode(script), "signing_key": STANDARD.encode(der.as_bytes()) });
        let payload = payload.as_object().unwrap();
        let by = |seed: u8, message: &[u8]| STANDARD.encode(key(seed).sign(message).to_bytes());
        assert_eq!(over(payload, &by(1, script)), "script_content");
        let nothing = "nothing that stands beside it";
        assert_eq!(over(payload, &by(2, script)), nothing, "another key");
        assert_eq!(over(payload, &by(1, b"write-host hullo")), nothing, "other bytes");
        assert_eq!(over(payload, "AAAA"), nothing, "no signature");
    }

    #[test]
    fn a_cookie_says_which_of_the_two_it_is() {
        let keys = |secret: &str| Keys {
            cookie_secret: Some(secret.to_owned()),
            ..Keys::default()
        };
        let made = |kind| format!("e30.ZVPxAA.{}", cookie_signature(kind, "secret", "e30.ZVPxAA"));
        let (session, token) = (made(CookieKind::Session), made(CookieKind::Token));
        assert_eq!(cookie(&keys("secret"), &session), Some("a session"));
        assert_eq!(cookie(&keys("secret"), &token), Some("an operator's token"));
        assert_eq!(cookie(&keys("other"), &session), Some(BROKEN));
        assert_eq!(cookie(&Keys::default(), &session), None);
    }

    #[test]
    fn a_token_is_held_against_the_keys_that_the_server_had() {
        let text = format!("a.b.{}", URL_SAFE_NO_PAD.encode(key(1).sign(b"a.b").to_bytes()));
        let with = |seeds: &[u8]| Keys {
            token_keys: seeds.iter().map(|seed| key(*seed).verifying_key()).collect(),
            ..Keys::default()
        };
        assert_eq!(token(&with(&[]), &text), None);
        assert_eq!(token(&with(&[2, 1]), &text), Some(true));
        assert_eq!(token(&with(&[2]), &text), Some(false));
        assert_eq!(token(&with(&[1]), &text.replace("a.b", "a.c")), Some(false));
    }

    #[test]
    fn a_sealed_text_is_opened() {
        // The example of the Fernet specification.
        let text = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        let with = |key: &str| Keys {
            sealing_keys: vec![key.to_owned()],
            ..Keys::default()
        };
        let right = with("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
        assert_eq!(sealed(&right, text), Sealed::Says("hello".to_owned()));
        let own = Keys {
            own_sealing_keys: right.sealing_keys,
            ..Keys::default()
        };
        assert_eq!(sealed(&own, text), Sealed::Opens);
        let wrong = with("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=");
        assert_eq!(sealed(&wrong, text), Sealed::Broken);
        assert_eq!(sealed(&Keys::default(), text), Sealed::Unknown);
    }
}
