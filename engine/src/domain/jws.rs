//! Signed claims in compact form (JWS), read as the legacy's library reads them: access tokens and DPoP proofs.
//!
//! Only `EdDSA` with an Ed25519 key is known. The server's tokens are signed with nothing else, and a proof by a key of
//! another kind is not by a device's key.

use ed25519_dalek::{Signature, VerifyingKey};

use super::{
    base64::decode_jws_part,
    coerce::integer_of,
    json::{Json, JsonObject},
    json_reader,
};

/// A signed text that is well-formed; whether its signature is good is for [`Jws::verify`] to say.
#[derive(Debug)]
pub struct Jws<'a> {
    pub header: JsonObject,
    message: &'a str,
    payload: Vec<u8>,
    signature: Signature,
}

impl<'a> Jws<'a> {
    /// Reads the three parts; `None` where they are malformed, signed with another algorithm, or ask for an extension
    /// that is not understood.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header = parse_object(&decode_jws_part(header)?)?;
        let payload = decode_jws_part(payload)?;
        let signature = Signature::from_slice(&decode_jws_part(signature)?).ok()?;
        acceptable(&header).then_some(Self {
            header,
            message,
            payload,
            signature,
        })
    }

    /// The claims, if `key` has signed them. Their values are not checked.
    pub fn verify(&self, key: &VerifyingKey) -> Option<JsonObject> {
        key.verify_strict(self.message.as_bytes(), &self.signature).ok()?;
        parse_object(&self.payload)
    }
}

/// The claims of a text that [`Jws::verify`] has found good before.
pub fn claims_of_good(text: &str) -> Option<JsonObject> {
    let (_, rest) = text.split_once('.')?;
    let (payload, _) = rest.split_once('.')?;
    parse_object(&decode_jws_part(payload)?)
}

fn acceptable(header: &JsonObject) -> bool {
    let algorithm = header.get("alg").and_then(Json::as_text) == Some("EdDSA");
    let key_id = header.get("kid").is_none_or(|kid| kid.as_text().is_some());
    // The one extension that is understood; without its encoding the payload would not be in the text at all.
    let encoded = header.get("b64") != Some(&Json::Bool(false));
    let critical = header.get("crit").is_none_or(|names| {
        names.as_list().is_some_and(|names| {
            !names.is_empty()
                && names.iter().all(|name| name.as_text() == Some("b64"))
                && header.contains_key("b64")
        })
    });
    algorithm && key_id && encoded && critical
}

/// Why claims are not good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimsError {
    /// One is missing, of a wrong type, not good yet or not for this use.
    Invalid,
    /// Their time is over.
    Expired,
}

/// Checks the claims that every kind of signed text may have, at `now` (Unix seconds, no leeway). `required` must be
/// there and not `null`.
///
/// # Errors
/// Of several reasons, the first in the order of the legacy's page `device_auth`.
pub fn check_claims(claims: &JsonObject, required: &[&str], now: i64) -> Result<(), ClaimsError> {
    if required
        .iter()
        .any(|name| claims.get(*name).is_none_or(Json::is_null))
    {
        return Err(ClaimsError::Invalid);
    }
    let now = i128::from(now);
    let begun = |name| {
        claims
            .get(name)
            .is_none_or(|value| integer_of(value).is_some_and(|time| time <= now))
    };
    if !begun("iat") || !begun("nbf") {
        return Err(ClaimsError::Invalid);
    }
    if let Some(end) = claims.get("exp") {
        let end = integer_of(end).ok_or(ClaimsError::Invalid)?;
        if end <= now {
            return Err(ClaimsError::Expired);
        }
    }
    let is_text = |name| claims.get(name).is_none_or(|value| value.as_text().is_some());
    if claims.get("aud").is_some_and(Json::is_truthy) || !is_text("sub") || !is_text("jti") {
        return Err(ClaimsError::Invalid);
    }
    Ok(())
}

/// Reads a JSON object; `None` where the bytes are anything else.
fn parse_object(bytes: &[u8]) -> Option<JsonObject> {
    match json_reader::read(bytes).ok()? {
        Json::Object(members) => Some(members),
        _ => None,
    }
}
