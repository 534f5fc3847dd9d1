//! Access tokens of devices.

mod seen;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _},
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::{Deserialize, Serialize};

use self::seen::Seen;
use crate::{
    domain::{
        coerce::integer_of,
        digest::{sha256, sha256_hex},
        json::JsonObject,
        jws::{ClaimsError, Jws, check_claims, claims_of_good},
    },
    integrations::token_signing,
};

/// How long an access token lives, in seconds.
pub const LIFETIME_SECONDS: i64 = 900;
/// For how long after its end a token still opens a connection to the channel: as long as a refresh token lives.
const FORGIVEN_SECONDS: i128 = 30 * 24 * 60 * 60;

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

/// Why a token is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// It is malformed, not of this server, not good yet or not for this use.
    #[error("the access token is invalid")]
    Invalid,
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
}

/// The header, in the legacy's order.
#[derive(Serialize)]
struct TokenHeader<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

/// Characters of a key's name.
const KID: usize = 16;

/// A part of a token.
fn part(value: &impl Serialize) -> Result<String, SigningError> {
    serde_json::to_vec(value)
        .map(|text| URL_SAFE_NO_PAD.encode(text))
        .map_err(|error| SigningError(error.to_string()))
}

/// Signs and verifies access tokens.
#[derive(Clone)]
pub struct AccessTokens {
    key: EncodingKey,
    verifying_key: VerifyingKey,
    kid: String,
    /// The first part of every token.
    header: String,
    /// Tokens whose signatures were found good.
    good: Arc<Seen>,
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccessTokens")
            .field("kid", &self.kid)
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
        token_signing::install();
        let failed = |error: &dyn std::fmt::Display| SigningError(error.to_string());
        let private = key.to_pkcs8_der().map_err(|error| failed(&error))?;
        let public = key
            .verifying_key()
            .to_public_key_der()
            .map_err(|error| failed(&error))?;
        let mut kid = sha256_hex(public.as_bytes());
        kid.truncate(KID);
        let header = TokenHeader {
            alg: "EdDSA",
            kid: &kid,
            typ: "JWT",
        };
        Ok(Self {
            key: EncodingKey::from_ed_der(private.as_bytes()),
            verifying_key: key.verifying_key(),
            header: part(&header)?,
            kid,
            good: Arc::default(),
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
        let signed = format!("{}.{}", self.header, part(&claims)?);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, Algorithm::EdDSA)
            .map_err(|error| SigningError(error.to_string()))?;
        Ok(format!("{signed}.{signature}"))
    }

    /// The claims of a token that this server signed and that is good at `now` (Unix seconds). What the claims mean
    /// is not looked at.
    ///
    /// # Errors
    /// [`TokenError`]; of several reasons, the first in the order of the legacy's page `device_auth`.
    pub fn verify(&self, token: &str, now: i64) -> Result<JsonObject, TokenError> {
        let claims = self.signed_claims(token)?;
        check(&claims, now)?;
        Ok(claims)
    }

    /// As [`AccessTokens::verify`], but a token that has expired is good for another 30 days.
    ///
    /// # Errors
    /// [`TokenError`]; `Expired` where those are over too.
    pub fn verify_even_expired(&self, token: &str, now: i64) -> Result<JsonObject, TokenError> {
        let mut claims = self.signed_claims(token)?;
        // A token without an end is no good even here.
        if claims.get("exp").and_then(integer_of).is_some_and(|end| {
            end <= i128::from(now) && i128::from(now) < end.saturating_add(FORGIVEN_SECONDS)
        }) {
            claims.insert("exp".to_owned(), now.saturating_add(1).into());
        }
        check(&claims, now)?;
        Ok(claims)
    }

    fn signed_claims(&self, token: &str) -> Result<JsonObject, TokenError> {
        let digest = sha256(token.as_bytes());
        if self.good.contains(&digest) {
            return claims_of_good(token).ok_or(TokenError::Invalid);
        }
        let parsed = Jws::parse(token).ok_or(TokenError::Invalid)?;
        let claims = parsed.verify(&self.verifying_key).ok_or(TokenError::Invalid)?;
        self.good.insert(digest);
        Ok(claims)
    }
}

fn check(claims: &JsonObject, now: i64) -> Result<(), TokenError> {
    check_claims(claims, &["exp", "iat", "sub"], now).map_err(|error| match error {
        ClaimsError::Invalid => TokenError::Invalid,
        ClaimsError::Expired => TokenError::Expired,
    })
}

#[cfg(test)]
mod tests;
