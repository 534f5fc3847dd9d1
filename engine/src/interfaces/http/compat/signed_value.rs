//! The signed values that operators hold: the session cookie and the operator token.
//!
//! Both have the form `body.ts.sig` of the legacy's signing library, so a login made on either server is valid on
//! the other as long as both have the same secret.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};

use crate::domain::operator_session::Issue;

/// No honest value comes near this; what unpacks to more is refused.
const MAX_PAYLOAD: u64 = 64 * 1024;

/// What a signed value holds.
#[derive(Debug)]
pub struct Signed {
    pub payload: Vec<u8>,
    /// When it was signed, and by which signature it is known.
    pub issue: Issue,
}

/// By what a value that was just signed is known.
pub fn issue_of(value: &str, now: i64) -> Issue {
    let signature = value.rsplit_once('.').map_or(value, |(_, signature)| signature);
    Issue::new(now, signature)
}

/// Signs and reads values of one kind.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 20],
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Signer(…)")
    }
}

impl Signer {
    /// The signer of the `session` cookie.
    pub fn session(secret: &str) -> Self {
        Self {
            key: hmac_sha1(secret.as_bytes(), &[b"cookie-session"]),
        }
    }

    /// The signer of operator tokens and the `borealis_auth` cookie.
    pub fn operator_token(secret: &str) -> Self {
        let digest = Sha1::new()
            .chain_update(b"borealis-auth")
            .chain_update(b"signer")
            .chain_update(secret);
        Self {
            key: digest.finalize().into(),
        }
    }

    /// Signs `json` at `now` (Unix seconds). It is compressed where that makes it shorter, as the legacy does.
    pub fn sign(&self, json: &str, now: i64) -> String {
        let body = match compress(json.as_bytes()) {
            Some(packed) if packed.len() < json.len().saturating_sub(1) => {
                format!(".{}", URL_SAFE_NO_PAD.encode(packed))
            }
            _ => URL_SAFE_NO_PAD.encode(json),
        };
        let seconds: Vec<u8> = now
            .to_be_bytes()
            .into_iter()
            .skip_while(|byte| *byte == 0)
            .collect();
        let signed = format!("{body}.{}", URL_SAFE_NO_PAD.encode(seconds));
        let signature = URL_SAFE_NO_PAD.encode(hmac_sha1(&self.key, &[signed.as_bytes()]));
        format!("{signed}.{signature}")
    }

    /// What a value holds that this signer signed at most `max_age` seconds before `now` and not after it; `None` for
    /// anything else.
    pub fn verify(&self, value: &str, now: i64, max_age: i64) -> Option<Signed> {
        let (signed, signature_text) = value.rsplit_once('.')?;
        // The one spelling of it: others are refused.
        let signature = URL_SAFE_NO_PAD.decode(signature_text).ok()?;
        keyed(&self.key, &[signed.as_bytes()])
            .verify_slice(&signature)
            .ok()?;
        let (body, seconds) = signed.rsplit_once('.')?;
        let seconds = URL_SAFE_NO_PAD.decode(seconds).ok()?;
        let signed_at = seconds.iter().try_fold(0_i64, |total, byte| {
            total.checked_mul(256)?.checked_add(i64::from(*byte))
        })?;
        let age = now.checked_sub(signed_at)?;
        if !(0..=max_age).contains(&age) {
            return None;
        }
        let payload = match body.strip_prefix('.') {
            Some(packed) => decompress(&URL_SAFE_NO_PAD.decode(packed).ok()?)?,
            None => URL_SAFE_NO_PAD.decode(body).ok()?,
        };
        Some(Signed {
            payload,
            issue: Issue::new(signed_at, signature_text),
        })
    }
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha1> {
    // HMAC takes keys of any length; this cannot fail.
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| <Hmac<Sha1> as KeyInit>::new(&Default::default()));
    for part in parts {
        mac.update(part);
    }
    mac
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    keyed(key, parts).finalize().into_bytes().into()
}

fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(packed)
        .take(MAX_PAYLOAD + 1)
        .read_to_end(&mut bytes)
        .ok()?;
    (u64::try_from(bytes.len()).ok()? <= MAX_PAYLOAD).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use data_encoding::HEXLOWER;

    const SECRET: &str = "borealis-dev-secret";
    const SIGNED_AT: i64 = 1_700_000_000;

    #[test]
    fn the_keys_are_the_legacy_ones() {
        assert_eq!(
            HEXLOWER.encode(&Signer::session(SECRET).key),
            "78a4dca86e682cfb68b7a03167df6fe44297b2a8"
        );
        assert_eq!(
            HEXLOWER.encode(&Signer::operator_token(SECRET).key),
            "5ca87bc0e9568647ab9875cb95f4d13ffc073edc"
        );
    }

    #[test]
    fn the_contract_s_vectors_are_written_and_read() {
        let session = Signer::session(SECRET);
        let token = Signer::operator_token(SECRET);
        for (signer, json, value) in [
            (
                &session,
                r#"{"role":"Admin","username":"admin"}"#,
                "eyJyb2xlIjoiQWRtaW4iLCJ1c2VybmFtZSI6ImFkbWluIn0.ZVPxAA.T10bJdu1ofutZGusbJfF2wxOGwo",
            ),
            (
                &session,
                r#"{"role":"User","username":"zo\u00e9"}"#,
                "eyJyb2xlIjoiVXNlciIsInVzZXJuYW1lIjoiem9cdTAwZTkifQ.ZVPxAA.tXVGoF-8BWqP_eO-pK2v8Mb4MMc",
            ),
            (
                &token,
                r#"{"u":"zoé","r":"User","ts":1700000000}"#,
                "eyJ1Ijoiem_DqSIsInIiOiJVc2VyIiwidHMiOjE3MDAwMDAwMDB9.ZVPxAA.ZHRT_MoQ4FuLKQdBB_tpPOLdKmM",
            ),
        ] {
            assert_eq!(signer.sign(json, SIGNED_AT), value);
            assert_eq!(
                signer.verify(value, SIGNED_AT, 0).unwrap().payload,
                json.as_bytes()
            );
        }
        let packed = ".eJyrVipVslJKTMnNzFPSUSoCsh2h7JJiJStDcwMoqAUA8vcK-w.ZVPxAA.oAyNyr2QCUxgyBhw8bnui4AxgA4";
        let payload = token.verify(packed, SIGNED_AT, 0).unwrap().payload;
        assert_eq!(payload, br#"{"u":"admin","r":"Admin","ts":1700000000}"#);
        let pending = ".eJyFjEEKhDAUQ--StYsOsxB6D9dSnCjF-pXfOiji3f09gdklL8mFZQz9RvlFmeAv8NiiMsN_Wlf1da6Bronw6DIVDTIHZYGXPSVzJUwV_qlxPA2XdaZY4F5k1d0OJSx1HlIciPt-AJ7_Kmw.ZVPxAA.NCxc0mo0-qsv3JWV1PVmg7Wm-6E";
        let payload = String::from_utf8(session.verify(pending, SIGNED_AT, 0).unwrap().payload).unwrap();
        assert!(payload.contains("\"username\":\"alice\""), "{payload}");
    }

    #[test]
    fn age_counts_and_the_future_is_refused() {
        let signer = Signer::session(SECRET);
        let value = signer.sign("{}", SIGNED_AT);
        assert!(signer.verify(&value, SIGNED_AT + 60, 60).is_some());
        assert!(signer.verify(&value, SIGNED_AT + 61, 60).is_none());
        assert!(signer.verify(&value, SIGNED_AT - 1, 60).is_none());
        assert!(
            Signer::operator_token(SECRET)
                .verify(&value, SIGNED_AT, 60)
                .is_none()
        );
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_back(json in "\\PC{0,200}", now in 1_i64..4_000_000_000) {
            let signer = Signer::session(SECRET);
            let value = signer.sign(&json, now);
            prop_assert_eq!(signer.verify(&value, now, 0).unwrap().payload, json.into_bytes());
        }

        #[test]
        fn no_text_breaks_the_reader(value in "\\PC*") {
            prop_assert!(Signer::session(SECRET).verify(&value, SIGNED_AT, i64::MAX).is_none());
        }
    }
}
