//! Access tokens of devices.

use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        coerce::integer_of,
        digest::sha256_hex,
        json::JsonObject,
        jws::{ClaimsError, Jws, check_claims},
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

/// Signs and verifies access tokens.
#[derive(Clone)]
pub struct AccessTokens {
    key: EncodingKey,
    verifying_key: VerifyingKey,
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
        token_signing::install();
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
            verifying_key: key.verifying_key(),
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
        Jws::parse(token)
            .and_then(|token| token.verify(&self.verifying_key))
            .ok_or(TokenError::Invalid)
    }
}

fn check(claims: &JsonObject, now: i64) -> Result<(), TokenError> {
    check_claims(claims, &["exp", "iat", "sub"], now).map_err(|error| match error {
        ClaimsError::Invalid => TokenError::Invalid,
        ClaimsError::Expired => TokenError::Expired,
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ed25519_dalek::Signer as _;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{arbitrary::any_json, json::Json, json_text::compact_text};

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

    const NOW: i64 = 1_700_000_000;
    const HEADER: &str = r#"{"alg":"EdDSA","kid":"k","typ":"JWT"}"#;

    fn server() -> AccessTokens {
        AccessTokens::new(&SigningKey::from_bytes(&[7; 32])).unwrap()
    }

    fn signed_by(seed: u8, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = SigningKey::from_bytes(&[seed; 32]).sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn verdict(claims: &str) -> Option<TokenError> {
        server().verify(&signed_by(7, HEADER, claims), NOW).err()
    }

    #[test]
    fn an_issued_token_is_good_until_its_last_second() {
        let token = server().issue("ABC", "00ff", 2, NOW).unwrap();
        let claims = server().verify(&token, NOW + 899).unwrap();
        assert_eq!(claims["guid"], "ABC".into());
        assert_eq!(server().verify(&token, NOW + 900), Err(TokenError::Expired));
        assert_eq!(server().verify(&token, NOW - 1), Err(TokenError::Invalid));
        let other = AccessTokens::new(&SigningKey::from_bytes(&[8; 32])).unwrap();
        assert_eq!(other.verify(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_that_expired_is_forgiven_for_thirty_days() {
        let token = server().issue("ABC", "00ff", 2, NOW).unwrap();
        let last = NOW + 900 + 30 * 86_400 - 1;
        for now in [NOW, NOW + 900, last] {
            assert!(server().verify_even_expired(&token, now).is_ok(), "{now}");
        }
        assert_eq!(
            server().verify_even_expired(&token, last + 1),
            Err(TokenError::Expired)
        );
        assert_eq!(
            server().verify_even_expired(&token, i64::MAX),
            Err(TokenError::Expired)
        );
        let ever = signed_by(7, HEADER, r#"{"iat":1,"exp":-1e300,"sub":"x"}"#);
        assert!(server().verify_even_expired(&ever, NOW).is_err());
    }

    #[test]
    fn the_header_is_checked_before_the_end_is() {
        let ended = r#"{"iat":1,"exp":2,"sub":""}"#;
        let verdict = |header| server().verify(&signed_by(7, header, ended), NOW);
        for header in [
            HEADER,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"EdDSA","crit":["b64"],"b64":true}"#,
        ] {
            assert_eq!(verdict(header), Err(TokenError::Expired), "{header}");
        }
        for header in [
            "[]",
            "",
            "{}",
            r#"{"alg":"none"}"#,
            r#"{"alg":"eddsa"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"EdDSA","kid":7}"#,
            r#"{"alg":"EdDSA","kid":null}"#,
            r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#,
            r#"{"alg":"EdDSA","crit":["b64"]}"#,
            r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
        ] {
            assert_eq!(verdict(header), Err(TokenError::Invalid), "{header}");
        }
        assert_eq!(
            server().verify(&signed_by(8, HEADER, ended), NOW),
            Err(TokenError::Invalid)
        );
    }

    #[test]
    fn the_claims_are_checked_in_the_contract_s_order() {
        for good in [
            r#"{"iat":1,"exp":9e12,"sub":""}"#,
            r#"{"iat":"1","exp":"1700000001","sub":"x","nbf":1.9,"iss":7,"aud":"","jti":"j"}"#,
        ] {
            assert_eq!(verdict(good), None, "{good}");
        }
        for ended in [
            r#"{"iat":1,"exp":1700000000,"sub":"x"}"#,
            r#"{"iat":1,"exp":1700000000.9,"sub":"x"}"#,
            r#"{"iat":1,"exp":2,"sub":7,"aud":"x","jti":7}"#,
        ] {
            assert_eq!(verdict(ended), Some(TokenError::Expired), "{ended}");
        }
        for bad in [
            "[]",
            r#"{"iat":1,"exp":2}"#,
            r#"{"iat":null,"exp":2,"sub":"x"}"#,
            r#"{"iat":1,"exp":null,"sub":"x"}"#,
            r#"{"iat":1700000001,"exp":2,"sub":"x"}"#,
            r#"{"iat":"soon","exp":2,"sub":"x"}"#,
            r#"{"iat":1,"exp":2,"sub":"x","nbf":null}"#,
            r#"{"iat":1,"exp":2,"sub":"x","nbf":1700000001}"#,
            r#"{"iat":1,"exp":"never","sub":"x"}"#,
            r#"{"iat":1,"exp":9e12,"sub":"x","aud":"x"}"#,
            r#"{"iat":1,"exp":9e12,"sub":7}"#,
            r#"{"iat":1,"exp":9e12,"sub":"x","jti":null}"#,
        ] {
            assert_eq!(verdict(bad), Some(TokenError::Invalid), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_verification(text in "\\PC*", dotted in "[A-Za-z0-9_=-]*\\.[A-Za-z0-9_=-]*\\.[A-Za-z0-9_=-]*") {
            prop_assert_eq!(server().verify(&text, NOW), Err(TokenError::Invalid));
            prop_assert_eq!(server().verify(&dotted, NOW), Err(TokenError::Invalid));
        }

        #[test]
        fn a_signature_alone_makes_no_token(header in "\\PC*", claims in "\\PC*") {
            let good = r#"{"iat":1,"exp":9e12,"sub":""}"#;
            for (header, claims) in [(header.as_str(), good), (HEADER, claims.as_str())] {
                prop_assert_eq!(server().verify(&signed_by(7, header, claims), NOW), Err(TokenError::Invalid));
            }
        }

        #[test]
        fn what_is_verified_is_signed_and_timely_and_says_what_was_signed(claims in any_claims()) {
            let token = signed_by(7, HEADER, &compact_text(&claims.clone().into()));
            let verdict = server().verify(&token, NOW);
            let number = |name: &str| claims.get(name).and_then(integer_of);
            match &verdict {
                Ok(read) => {
                    prop_assert_eq!(read, &claims);
                    prop_assert!(number("exp").is_some_and(|end| end > NOW.into()));
                    prop_assert!(number("iat").is_some_and(|begin| begin <= NOW.into()));
                    prop_assert!(!claims.contains_key("nbf") || number("nbf").is_some_and(|begin| begin <= NOW.into()));
                    prop_assert!(claims["sub"].as_text().is_some());
                    prop_assert!(claims.get("jti").is_none_or(|jti| jti.as_text().is_some()));
                    prop_assert!(!claims.get("aud").is_some_and(Json::is_truthy));
                    prop_assert_eq!(&server().verify_even_expired(&token, NOW), &verdict);
                }
                Err(TokenError::Expired) => prop_assert!(number("exp").is_some_and(|end| end <= NOW.into())),
                // Nothing but its end is forgiven.
                Err(TokenError::Invalid) => {
                    prop_assert_eq!(&server().verify_even_expired(&token, NOW), &verdict);
                }
            }
            let others = signed_by(8, HEADER, &compact_text(&claims.into()));
            prop_assert_eq!(server().verify(&others, NOW), Err(TokenError::Invalid));
        }
    }

    /// A claim that is mostly good, else missing, near the edge of the clock, or anything.
    fn claim(good: impl Strategy<Value = Json> + 'static) -> impl Strategy<Value = Option<Json>> {
        prop_oneof![
            8 => good.prop_map(Some),
            1 => Just(None),
            1 => (-2..3_i64).prop_map(|seconds| Some((NOW + seconds).into())),
            1 => any_json().prop_map(Some),
        ]
    }

    fn any_claims() -> impl Strategy<Value = JsonObject> {
        let time = |seconds: std::ops::Range<i64>| seconds.prop_map(|seconds| Json::from(NOW + seconds));
        let text = || "\\PC{0,8}".prop_map(Json::from);
        let claims = (
            claim(time(1..900)),
            claim(time(-900..1)),
            claim(time(-900..1)),
            claim(text()),
            claim(text()),
            claim(Just("".into())),
        );
        claims.prop_map(|(exp, iat, nbf, sub, jti, aud)| {
            [
                ("exp", exp),
                ("iat", iat),
                ("nbf", nbf),
                ("sub", sub),
                ("jti", jti),
                ("aud", aud),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
        })
    }
}
