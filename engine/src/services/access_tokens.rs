//! Access tokens of devices.

use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::domain::digest::sha256_hex;

/// How long an access token lives, in seconds.
pub const LIFETIME_SECONDS: i64 = 900;

/// The claims of an access token, in the legacy's order: two tokens of one device, version and second are identical.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccessClaims {
    /// `device:<guid>`.
    pub sub: String,
    /// The device's GUID.
    pub guid: String,
    /// SHA-256 of the device's key, hex.
    pub ssl_key_fingerprint: String,
    /// Dies when the device's version is raised above it.
    pub token_version: i64,
    /// Unix seconds.
    pub iat: i64,
    /// Unix seconds.
    pub nbf: i64,
    /// Unix seconds.
    pub exp: i64,
}

/// Signs access tokens.
#[derive(Clone)]
pub struct AccessTokens {
    key: EncodingKey,
    header: Header,
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccessTokens")
            .field("kid", &self.header.kid)
            .finish_non_exhaustive()
    }
}

/// The token key cannot sign.
#[derive(Debug, thiserror::Error)]
#[error("the token key cannot sign: {0}")]
pub struct SigningError(String);

impl AccessTokens {
    /// Signs with the server's token key.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn new(key: &SigningKey) -> Result<Self, SigningError> {
        let failed = |error: &dyn std::fmt::Display| SigningError(error.to_string());
        let private = key.to_pkcs8_der().map_err(|error| failed(&error))?;
        let public = key
            .verifying_key()
            .to_public_key_der()
            .map_err(|error| failed(&error))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = sha256_hex(public.as_bytes()).get(..16).map(str::to_owned);
        Ok(Self {
            key: EncodingKey::from_ed_der(private.as_bytes()),
            header,
        })
    }

    /// A token for the device, good from `now` (Unix seconds).
    ///
    /// # Errors
    /// Signing failed.
    pub fn issue(
        &self,
        guid: &str,
        fingerprint: &str,
        token_version: i64,
        now: i64,
    ) -> Result<String, SigningError> {
        let claims = AccessClaims {
            sub: format!("device:{guid}"),
            guid: guid.to_owned(),
            ssl_key_fingerprint: fingerprint.to_owned(),
            token_version,
            iat: now,
            nbf: now,
            exp: now.saturating_add(LIFETIME_SECONDS),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map_err(|error| SigningError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn a_token_has_the_legacy_s_header_and_claims() {
        let tokens = AccessTokens::new(&SigningKey::from_bytes(&[7; 32])).unwrap();
        let token = tokens.issue("ABC", "00ff", 2, 1_700_000_000).unwrap();
        let parts: Vec<String> = token
            .split('.')
            .take(2)
            .map(|part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let header: serde_json::Value = serde_json::from_str(&parts[0]).unwrap();
        assert_eq!(header["alg"], "EdDSA");
        assert_eq!(header["typ"], "JWT");
        assert_eq!(header["kid"].as_str().unwrap().len(), 16);
        assert_eq!(header.as_object().unwrap().len(), 3);
        assert_eq!(
            parts[1],
            r#"{"sub":"device:ABC","guid":"ABC","ssl_key_fingerprint":"00ff","token_version":2,"iat":1700000000,"nbf":1700000000,"exp":1700000900}"#
        );
        assert_eq!(token, tokens.issue("ABC", "00ff", 2, 1_700_000_000).unwrap());
    }
}
