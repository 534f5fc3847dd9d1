//! Signed texts taken apart: access tokens (JWT) and the operators' cookies.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use std::io::Read as _;

use crate::json_form;

/// More than any real payload; keeps a hostile stream from filling the memory.
const LARGEST_PAYLOAD: u64 = 64 * 1024;

/// The readable parts of a JWT.
pub(crate) struct Jwt {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// How it is written, where that is not as usual.
    pub(crate) written: Option<Value>,
}

/// The readable parts of `body.ts.sig`.
pub(crate) struct Signed {
    pub(crate) payload: Value,
    pub(crate) compressed: bool,
    pub(crate) signed_at: i64,
    /// How it is written, where that is not as usual.
    pub(crate) written: Option<Value>,
}

/// How both servers write JSON that they sign.
const USUAL_FORM: &str = "compact";
/// The member that an operator's token has and no session: in these the legacy escapes nothing beyond ASCII.
const OF_A_TOKEN: &str = "u";
/// How a text begins that zlib has deflated with its usual level.
const USUAL_DEFLATED: [u8; 2] = [0x78, 0x9c];

/// What is unusual about how something is written, by its part.
#[derive(Default)]
struct Unusual(Map<String, Value>);

impl Unusual {
    fn note(&mut self, part: &str, what: impl Into<Value>) {
        self.0.insert(part.to_owned(), what.into());
    }

    /// Reads JSON.
    fn json(&mut self, part: &str, bytes: &[u8]) -> Option<Value> {
        let text = std::str::from_utf8(bytes).ok()?;
        let value: Value = serde_json::from_str(text).ok()?;
        let form = json_form::spelling(text, &value);
        let is_usual = match value.get(OF_A_TOKEN) {
            Some(_) => serde_json::to_string(&value).is_ok_and(|written| written == text),
            None => form == USUAL_FORM,
        };
        if !is_usual {
            self.note(part, form);
        }
        Some(value)
    }

    fn written(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }
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
    let mut unusual = Unusual::default();
    let header = unusual.json("header", &decoded(header)?)?;
    let claims = unusual.json("claims", &decoded(claims)?)?;
    let is_token = header.get("alg").is_some() && claims.is_object();
    is_token.then(|| Jwt {
        header,
        claims,
        written: unusual.written(),
    })
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
    let mut unusual = Unusual::default();
    if time.first() == Some(&0) {
        unusual.note("time", format!("in {} bytes, the first of them 0", time.len()));
    }
    let (body, compressed) = match body.strip_prefix('.') {
        Some(deflated) => {
            let bytes = decoded(deflated)?;
            let mut out = Vec::new();
            let mut decoder = flate2::bufread::ZlibDecoder::new(bytes.as_slice());
            decoder
                .by_ref()
                .take(LARGEST_PAYLOAD)
                .read_to_end(&mut out)
                .ok()?;
            let head = bytes.get(..USUAL_DEFLATED.len())?;
            if head != USUAL_DEFLATED {
                unusual.note("deflated", json!(head));
            }
            let behind = decoder.into_inner().len();
            if behind > 0 {
                unusual.note("behind", json!(behind));
            }
            (out, true)
        }
        None => (decoded(body)?, false),
    };
    let signed_at = time.iter().try_fold(0_i64, |sum, byte| {
        sum.checked_mul(256)?.checked_add(i64::from(*byte))
    })?;
    Some(Signed {
        payload: unusual.json("payload", &body)?,
        compressed,
        signed_at,
        written: unusual.written(),
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
