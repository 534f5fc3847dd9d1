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
    let kid = &tokens.kid;
    assert_eq!(kid.len(), 16);
    assert_eq!(
        parts[0],
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT"}}"#)
    );
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

#[test]
fn a_signature_that_was_good_once_does_not_make_another_text_or_another_time_good() {
    let server = server();
    let token = server.issue("ABC", "00ff", 2, NOW).unwrap();
    let claims = server.verify(&token, NOW).unwrap();
    assert_eq!(server.verify(&token, NOW).unwrap(), claims);
    assert_eq!(server.verify(&token, NOW + 900), Err(TokenError::Expired));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let others = URL_SAFE_NO_PAD.encode(compact_text(&Json::Object(claims)).replace("ABC", "ABD"));
    for forged in [
        format!("{header}.{others}.{signature}"),
        format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        signed_by(8, HEADER, r#"{"sub":"device:ABC","iat":0,"exp":9999999999}"#),
    ] {
        for _ in 0..2 {
            assert_eq!(server.verify(&forged, NOW), Err(TokenError::Invalid), "{forged}");
        }
    }
}
