use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::{making::*, *};

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
    for (good, jwk) in [
        (
            true,
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}","use":"enc"}}"#),
        ),
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
    fn no_signed_text_breaks_it(head in ".*", body in ".*", name in "htm|htu|jti|iat|exp|ath", value in ".*") {
        let _ = holds(&head, &body);
        let _ = holds(&header(&key()), &body);
        let _ = holds(&header(&key()), &claims(&[(&name, &value)]));
    }
}
