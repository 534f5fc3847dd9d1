//! Signed texts taken apart: access tokens (JWT) and the operators' cookies.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::io::Read as _;

/// More than any real payload; keeps a hostile stream from filling the memory.
const LARGEST_PAYLOAD: u64 = 64 * 1024;

/// The readable parts of a JWT.
pub(crate) struct Jwt {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

/// The readable parts of `body.ts.sig`.
pub(crate) struct Signed {
    pub(crate) payload: Value,
    pub(crate) compressed: bool,
    pub(crate) signed_at: i64,
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads a JWT: three parts, of which the first two are JSON objects and the header names an algorithm.
pub(crate) fn jwt(text: &str) -> Option<Jwt> {
    let mut parts = text.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || signature.is_empty() {
        return None;
    }
    decoded(signature)?;
    let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
    let claims: Value = serde_json::from_slice(&decoded(claims)?).ok()?;
    (header.get("alg").is_some() && claims.is_object()).then_some(Jwt { header, claims })
}

/// The readable parts of a text that Fernet sealed.
pub(crate) struct Sealed {
    /// When it was sealed, Unix microseconds; whole seconds.
    pub(crate) at_us: i64,
    /// How many blocks of 16 bytes it holds.
    pub(crate) blocks: usize,
}

/// Bytes of version, time and vector, and those of the signature.
const FERNET_HEAD: usize = 25;
const FERNET_SIGNATURE: usize = 32;

/// Reads a Fernet token.
pub(crate) fn fernet(text: &str) -> Option<Sealed> {
    let bytes = URL_SAFE.decode(text).ok()?;
    let sealed = bytes.len().checked_sub(FERNET_HEAD + FERNET_SIGNATURE)?;
    if bytes.first() != Some(&0x80) || sealed == 0 || sealed % 16 != 0 {
        return None;
    }
    let seconds = i64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?);
    Some(Sealed {
        at_us: seconds.checked_mul(1_000_000)?,
        blocks: sealed / 16,
    })
}

/// The Fernet token that a blob holds, given as base64.
pub(crate) fn sealed_blob(blob: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(blob).ok()?).ok()?;
    fernet(&text).map(|_| text)
}

/// Reads a signed cookie or an operator's token: HMAC-SHA1 over a JSON body, plain or deflated, and a time.
pub(crate) fn signed(text: &str) -> Option<Signed> {
    let (rest, signature) = text.rsplit_once('.')?;
    let (body, time) = rest.rsplit_once('.')?;
    let time = decoded(time).filter(|time| (1..=8).contains(&time.len()))?;
    decoded(signature).filter(|signature| signature.len() == 20)?;
    let (body, compressed) = match body.strip_prefix('.') {
        Some(deflated) => {
            let bytes = decoded(deflated)?;
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(bytes.as_slice())
                .take(LARGEST_PAYLOAD)
                .read_to_end(&mut out)
                .ok()?;
            (out, true)
        }
        None => (decoded(body)?, false),
    };
    let signed_at = time.iter().try_fold(0_i64, |sum, byte| {
        sum.checked_mul(256)?.checked_add(i64::from(*byte))
    })?;
    Some(Signed {
        payload: serde_json::from_slice(&body).ok()?,
        compressed,
        signed_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cookies_of_both_forms() {
        let plain =
            signed("eyJyb2xlIjoiQWRtaW4iLCJ1c2VybmFtZSI6ImFkbWluIn0.ZVPxAA.T10bJdu1ofutZGusbJfF2wxOGwo")
                .unwrap();
        assert_eq!(plain.payload, json!({"role": "Admin", "username": "admin"}));
        assert_eq!((plain.signed_at, plain.compressed), (1_700_000_000, false));
        let deflated =
            signed(".eJyrVipVslJKTMnNzFPSUSoCsh2h7JJiJStDcwMoqAUA8vcK-w.ZVPxAA.oAyNyr2QCUxgyBhw8bnui4AxgA4")
                .unwrap();
        assert_eq!(
            deflated.payload,
            json!({"u": "admin", "r": "Admin", "ts": 1_700_000_000})
        );
        assert!(deflated.compressed);
        assert!(signed("a.b.c").is_none());
    }

    #[test]
    fn sealed_texts_show_when_and_how_much() {
        // The example of the Fernet specification.
        let text = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        let sealed = fernet(text).unwrap();
        assert_eq!((sealed.at_us, sealed.blocks), (499_162_800_000_000, 1));
        assert_eq!(sealed_blob(&STANDARD.encode(text)).as_deref(), Some(text));
        assert!(fernet("gAAA").is_none() && fernet(&text.replacen('g', "A", 1)).is_none());
    }

    #[test]
    fn tokens_of_three_parts() {
        let token = "eyJhbGciOiJFZERTQSIsImtpZCI6IjFhIn0.eyJzdWIiOiJ4In0.AAAA";
        assert_eq!(jwt(token).unwrap().claims, json!({"sub": "x"}));
        assert!(jwt("one.two.three").is_none());
    }
}
