//! DPoP proofs: a device shows with each request that it holds its key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{SigningKey, VerifyingKey, pkcs8::EncodePublicKey as _};
use jiff::Timestamp;

use super::{
    base64::decode_jwk_member,
    digest::{sha256, sha256_hex},
    json::{Json, JsonObject},
    jws::{Jws, check_claims},
};

/// How old a proof may be, in seconds. None may be ahead of the clock (DEV-19).
const MOST_AGE_SECONDS: f64 = 300.0;

/// What came with a request, and what it is to prove.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PresentedProof {
    /// The proof as sent.
    pub proof: String,
    /// The request's method.
    pub method: String,
    /// The request's address as the client sees it, query included.
    pub url: String,
}

/// A proof that holds, of which nobody has said yet whether it is new and by the right key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckedProof {
    /// What makes the proof different from every other.
    pub jti: String,
    /// SHA-256 of the key that made it (SPKI DER), hex: the form in which devices' keys are known.
    pub fingerprint: String,
    /// The key's RFC 7638 thumbprint.
    pub thumbprint: String,
}

impl PresentedProof {
    /// Checks the proof at `now`. `access_token` is the one that it came with, if any. `None` where it does not hold,
    /// for whatever reason: the answer does not name it.
    pub fn check(&self, access_token: Option<&str>, now: Timestamp) -> Option<CheckedProof> {
        let jws = Jws::parse(&self.proof)?;
        let key = public_key(jws.header.get("jwk")?)?;
        let claims = jws.verify(&key)?;
        check_claims(&claims, &["htm", "htu", "jti", "iat"], now.as_second()).ok()?;
        let text = |name: &str| claims.get(name).and_then(Json::as_text);
        let fits = text("htm")?.eq_ignore_ascii_case(&self.method)
            && text("htu")? == self.url
            && is_fresh(&claims, now)
            && access_token.is_none_or(|token| is_for_token(&claims, token));
        let der = key.to_public_key_der().ok()?;
        fits.then_some(CheckedProof {
            jti: text("jti")?.to_owned(),
            fingerprint: sha256_hex(der.as_bytes()),
            thumbprint: thumbprint(&key),
        })
    }
}

/// The key in a header. One that names an algorithm is for that alone, and where a private part is there it is the key,
/// whatever the public part says (DEV-19).
fn public_key(jwk: &Json) -> Option<VerifyingKey> {
    let member = |name: &str| jwk.get(name).and_then(Json::as_text);
    let algorithm = jwk.get("alg").filter(|algorithm| algorithm.is_truthy());
    if member("kty") != Some("OKP")
        || member("crv") != Some("Ed25519")
        || algorithm.is_some_and(|algorithm| algorithm.as_text() != Some("EdDSA"))
    {
        return None;
    }
    let public = decode_jwk_member(member("x")?)?;
    if jwk.get("d").is_some() {
        let private: [u8; 32] = decode_jwk_member(member("d")?)?.try_into().ok()?;
        return Some(SigningKey::from_bytes(&private).verifying_key());
    }
    VerifyingKey::from_bytes(&public.try_into().ok()?).ok()
}

fn is_fresh(claims: &JsonObject, now: Timestamp) -> bool {
    let issued = match claims.get("iat") {
        Some(Json::Int(seconds)) => *seconds as f64,
        Some(Json::Float(seconds)) => *seconds,
        _ => return false,
    };
    now.as_duration().as_secs_f64() - issued <= MOST_AGE_SECONDS
}

/// Whether a proof that names an access token names this one.
fn is_for_token(claims: &JsonObject, access_token: &str) -> bool {
    claims.get("ath").filter(|ath| ath.is_truthy()).is_none_or(|ath| {
        ath.as_text() == Some(URL_SAFE_NO_PAD.encode(sha256(access_token.as_bytes())).as_str())
    })
}

fn thumbprint(key: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    let required = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(sha256(required.as_bytes()))
}

/// Makes proofs, for tests.
#[cfg(test)]
pub(crate) mod making {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    /// A JWS of this header and these claims, signed by `key`.
    pub(crate) fn jws(key: &SigningKey, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// The header of a proof by `key`.
    pub(crate) fn header(key: &SigningKey) -> String {
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        format!(r#"{{"alg":"EdDSA","typ":"dpop+jwt","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#)
    }

    /// A proof by `key` of a POST to `url`, made at `iat`.
    pub(crate) fn proof(key: &SigningKey, url: &str, jti: &str, iat: i64) -> PresentedProof {
        let claims = format!(r#"{{"htm":"POST","htu":"{url}","jti":"{jti}","iat":{iat}}}"#);
        PresentedProof {
            proof: jws(key, &header(key), &claims),
            method: "POST".to_owned(),
            url: url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
