use ed25519_dalek::SigningKey;
use proptest::{prelude::*, sample::select};

use super::{making::*, *};
use crate::domain::{arbitrary::any_json, coerce::integer_of, json_text::compact_text};

const NOW: i64 = 1_700_000_000;
const URL: &str = "http://a.example:5000/api/agent/hash?x=1";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn presented(proof: String) -> PresentedProof {
    PresentedProof {
        proof,
        method: "POST".to_owned(),
        url: URL.to_owned(),
    }
}

fn holds(header: &str, claims: &str) -> bool {
    presented(jws(&key(), header, claims))
        .check(Some("token"), Timestamp::from_second(NOW).unwrap())
        .is_some()
}

/// The claims of a good proof with these changed; an empty text takes a claim out.
fn claims(changed: &[(&str, &str)]) -> String {
    let url = format!("\"{URL}\"");
    let mut claims: std::collections::BTreeMap<&str, &str> = [
        ("htm", "\"post\""),
        ("htu", url.as_str()),
        ("jti", "\"j\""),
        ("iat", "1700000000"),
    ]
    .into();
    claims.extend(changed.iter().copied());
    let members: Vec<_> = claims
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn a_good_proof_names_its_key_both_ways() {
    // The key and thumbprint of RFC 8037, appendix A.
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let jwk = Json::object(
        [("kty", "OKP"), ("crv", "Ed25519"), ("x", x)].map(|(name, value)| (name, value.into())),
    );
    assert_eq!(
        thumbprint(&public_key(&jwk).unwrap()),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let checked = presented(jws(&key(), &header(&key()), &claims(&[])))
        .check(None, Timestamp::from_second(NOW).unwrap())
        .unwrap();
    assert_eq!(checked.jti, "j");
    let der = key().verifying_key().to_public_key_der().unwrap();
    assert_eq!(checked.fingerprint, sha256_hex(der.as_bytes()));
}

#[test]
fn claims_are_held_against_request_clock_and_token() {
    let good_ath = format!("\"{}\"", URL_SAFE_NO_PAD.encode(sha256(b"token")));
    for good in [
        claims(&[]),
        claims(&[("iat", "1699999700")]),
        claims(&[("iat", "1700000000.9")]),
        claims(&[("ath", &good_ath), ("exp", "1700000001"), ("nbf", "1700000000")]),
        claims(&[("ath", "\"\""), ("aud", "[]"), ("sub", "\"\""), ("jti", "\"\"")]),
    ] {
        assert!(holds(&header(&key()), &good), "{good}");
    }
    for bad in [
        claims(&[("htm", "\"GET\"")]),
        claims(&[("htm", "5")]),
        claims(&[("htm", "")]),
        claims(&[("htu", "\"http://a.example:5000/api/agent/hash\"")]),
        claims(&[("htu", "null")]),
        claims(&[("jti", "7")]),
        claims(&[("jti", "")]),
        claims(&[("iat", "")]),
        claims(&[("iat", "\"1700000000\"")]),
        claims(&[("iat", "1700000001")]),
        claims(&[("iat", "1699999699")]),
        claims(&[("iat", "1e400")]),
        claims(&[("exp", "1700000000")]),
        claims(&[("exp", "null")]),
        claims(&[("nbf", "1700000001")]),
        claims(&[("aud", "\"x\"")]),
        claims(&[("sub", "null")]),
        claims(&[("ath", "\"wrong\"")]),
        claims(&[("ath", "7")]),
        "[]".to_owned(),
    ] {
        assert!(!holds(&header(&key()), &bad), "{bad}");
    }
}

#[test]
fn a_refresh_has_no_token_that_a_proof_could_name() {
    let proof = presented(jws(&key(), &header(&key()), &claims(&[("ath", "\"any\"")])));
    assert!(proof.check(None, Timestamp::from_second(NOW).unwrap()).is_some());
}

#[test]
fn only_the_key_in_the_header_proves() {
    let other = SigningKey::from_bytes(&[8; 32]);
    assert!(!holds(&header(&other), &claims(&[])));
    let x = URL_SAFE_NO_PAD.encode(key().verifying_key().as_bytes());
    let d = URL_SAFE_NO_PAD.encode(key().as_bytes());
    let with = |more: &str| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}",{more}}}"#);
    for (good, jwk) in [
        (true, with(r#""use":"enc""#)),
        (true, with(r#""alg":"EdDSA""#)),
        (true, with(r#""alg":null"#)),
        (true, with(r#""alg":"""#)),
        (false, with(r#""alg":"ES256""#)),
        (false, with(r#""alg":"Ed25519""#)),
        (false, with(r#""alg":["EdDSA"]"#)),
        // A private part that is none, another one, and its own.
        (false, with(r#""d":"AAAA""#)),
        (false, with(r#""d":null"#)),
        (false, with(&format!(r#""d":"{x}""#))),
        (true, with(&format!(r#""d":"{d}""#))),
        (
            true,
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"AAAA","d":"{d}"}}"#),
        ),
        (false, format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{d}"}}"#)),
        (false, format!(r#"{{"kty":"EC","crv":"Ed25519","x":"{x}"}}"#)),
        (false, format!(r#"{{"kty":"OKP","crv":"Ed448","x":"{x}"}}"#)),
        (false, r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#.to_owned()),
        (false, r#"{"kty":"OKP","crv":"Ed25519"}"#.to_owned()),
        (
            false,
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.to_owned(),
        ),
        (false, "{}".to_owned()),
        (false, "[]".to_owned()),
        (false, "null".to_owned()),
    ] {
        let header = format!(r#"{{"alg":"EdDSA","jwk":{jwk}}}"#);
        assert_eq!(holds(&header, &claims(&[])), good, "{header}");
    }
    for header in [
        r#"{"alg":"EdDSA"}"#.to_owned(),
        header(&key()).replace("EdDSA", "ES256"),
        header(&key()).replace("EdDSA", "none"),
    ] {
        assert!(!holds(&header, &claims(&[])), "{header}");
    }
}

#[test]
fn a_weak_key_proves_nothing() {
    // The point of order one, whose forged signatures fit every message.
    let mut x = [0; 32];
    x[0] = 1;
    let x = URL_SAFE_NO_PAD.encode(x);
    let header = format!(r#"{{"alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
    let mut forged = [0; 64];
    forged[0] = 1;
    let proof = format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims(&[])),
        URL_SAFE_NO_PAD.encode(forged)
    );
    let now = Timestamp::from_second(NOW).unwrap();
    assert_eq!(presented(proof).check(None, now), None);
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in ".*", dotted in "[A-Za-z0-9_=,-]*\\.[A-Za-z0-9_=-]*\\.[A-Za-z0-9_=-]*") {
        let now = Timestamp::from_second(NOW).unwrap();
        prop_assert_eq!(presented(text).check(None, now), None);
        prop_assert_eq!(presented(dotted).check(None, now), None);
    }

    #[test]
    fn a_signature_alone_is_no_proof(text in ".*") {
        prop_assert!(!holds(&text, &claims(&[])));
        prop_assert!(!holds(&header(&key()), &text));
    }

    #[test]
    fn every_claim_is_good_or_the_proof_is_refused(name in select(&["htm", "htu", "jti", "iat", "exp", "nbf", "ath"]), value in any_claim()) {
        let text = value.as_ref().and_then(Json::as_text);
        let number = value.as_ref().and_then(integer_of);
        let is_good = match name {
            "htm" => text.is_some_and(|method| method.eq_ignore_ascii_case("POST")),
            "htu" => text == Some(URL),
            "jti" => text.is_some(),
            "iat" => match &value {
                Some(Json::Int(seconds)) => (NOW - 300..=NOW).contains(seconds),
                Some(Json::Float(seconds)) => (NOW as f64 - 300.0..NOW as f64 + 1.0).contains(seconds),
                _ => false,
            },
            "exp" => value.is_none() || number.is_some_and(|end| end > NOW.into()),
            "nbf" => value.is_none() || number.is_some_and(|begin| begin <= NOW.into()),
            _ => !value.as_ref().is_some_and(Json::is_truthy) || text == Some(token_hash().as_str()),
        };
        let value = value.as_ref().map(compact_text).unwrap_or_default();
        prop_assert_eq!(holds(&header(&key()), &claims(&[(name, &value)])), is_good, "{}: {}", name, value);
    }

    #[test]
    fn a_proof_holds_for_its_own_request_and_time_alone(age in -3..310_i64, method in "[A-Z]{3,7}|Post", path in "/[a-z?=&]{0,9}") {
        let url = format!("http://a.example{path}");
        let proof = proof(&key(), &url, "j", NOW - age);
        let now = Timestamp::from_second(NOW).unwrap();
        let is_timely = (0..=300).contains(&age);
        prop_assert_eq!(proof.check(None, now).is_some(), is_timely);
        let is_post = method.eq_ignore_ascii_case("POST");
        let by_method = PresentedProof { method, ..proof.clone() };
        prop_assert_eq!(by_method.check(None, now).is_some(), is_timely && is_post);
        let elsewhere = PresentedProof { url: url + "x", ..proof };
        prop_assert_eq!(elsewhere.check(None, now), None);
    }
}

fn token_hash() -> String {
    URL_SAFE_NO_PAD.encode(sha256(b"token"))
}

/// A claim: missing, what some claim must be, near the edges of the clock, or anything.
fn any_claim() -> impl Strategy<Value = Option<Json>> {
    let texts = ["POST", "Post", "GET", URL, "", "j"].map(str::to_owned).to_vec();
    prop_oneof![
        1 => Just(None),
        3 => select([texts, vec![token_hash()]].concat()).prop_map(|text| Some(text.into())),
        3 => prop_oneof![-303..-297_i64, -2..3_i64].prop_map(|seconds| Some((NOW + seconds).into())),
        1 => (-302.0..2.0_f64).prop_map(|seconds| Some((NOW as f64 + seconds).into())),
        2 => any_json().prop_map(Some),
    ]
}
