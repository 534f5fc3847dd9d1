use super::*;
use crate::scenario::agent::tests::agent_of_a_recording;

#[test]
fn a_claim_may_be_the_digest_of_another_value() {
    let proof = make(
        json!({"function": "dpop", "agent": "agent1", "claims": {"ath": {"sha256": "${r}"}}}),
        0,
    );
    let payload = BASE64URL.decode(proof.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["ath"], text_digest("1de86a36-c06e-44d8-ab61-095ff9bf04f7"));
}

fn make(fields: Value, now: i64) -> String {
    let Value::Object(fields) = fields else {
        panic!("an object")
    };
    let agent = agent_of_a_recording();
    let mut names = Names::from([
        ("r".to_owned(), json!("1de86a36-c06e-44d8-ab61-095ff9bf04f7")),
        (
            "n".to_owned(),
            json!("Ejw5feCv8Xeo62Q/qB4Ks6Q9to/nC1TwDwEfyo4CVY4="),
        ),
        ("h.r".to_owned(), json!("c34925ae-b8f2-4d6a-9ea1-4ef082f0072c")),
        (
            "h.n".to_owned(),
            json!("yvN79sWOwNHGXUwFi8bTEobh5ICrH0m34x8jq3cwSuQ="),
        ),
    ]);
    agent.define(&mut names);
    Made::read(fields).unwrap().make(&[agent], &names, now).unwrap()
}

#[test]
fn proofs_are_those_of_the_recordings() {
    let parts = json!([{"base64": "${h.n}"}, {"utf8": "${h.r}"}, {"base64": "${agent1.nonce}"}]);
    assert_eq!(
        make(
            json!({"function": "ed25519_sign", "agent": "agent1", "parts": parts}),
            0
        ),
        "5FHuofqbyp3yYoSlAKzwCwEQBz0p6Rj+i8FQ8HapCtOxW7HkhXZDElASE61w1jKfa5POjYZJDpFWh7MfPeXNBw=="
    );
    let parts = json!([{"base64": "${n}"}, {"utf8": "${r}"}, {"base64": "${agent1.nonce}"}]);
    let seed = "948eb80b302177143a778012c1e9eac62b7a85239964aca08bd7b2195ac4161aeafa972892b4057f9e8a26c3b814e110f1541a98a0a53e9e68";
    assert_eq!(
        make(
            json!({"function": "ed448_sign", "key_seed_hex": seed, "parts": parts}),
            0
        ),
        "P1u2qv6sZP+ziCEdgbXHZwoyE0xP/MmMl0F3yLu6QpfXlW+TWJH5CDizWfMNSQM1MG7lrF8iiZSACUsDp/BV0Gyxos+AbGYtXBCvWhpS8j/LMMOsQAgaOpwWFxA6xgSKw6AEYyhvvuZ4osZtSqD+ni8A"
    );
    assert_eq!(
        make(json!({"function": "lower", "of": "ABC-${r}"}), 0),
        "abc-1de86a36-c06e-44d8-ab61-095ff9bf04f7"
    );
}

#[test]
fn cookies_are_the_contract_s_test_vectors() {
    let cookie = |kind: &str, payload: Value, compressed: bool| {
        make(
            json!({"function": "sign_cookie", "kind": kind, "payload": payload, "age": 10,
                   "secret": "borealis-dev-secret", "compressed": compressed}),
            1_700_000_010,
        )
    };
    assert_eq!(
        cookie("session", json!({"role": "Admin", "username": "admin"}), false),
        "eyJyb2xlIjoiQWRtaW4iLCJ1c2VybmFtZSI6ImFkbWluIn0.ZVPxAA.T10bJdu1ofutZGusbJfF2wxOGwo"
    );
    assert_eq!(
        cookie("session", json!({"role": "User", "username": "zoé"}), false),
        "eyJyb2xlIjoiVXNlciIsInVzZXJuYW1lIjoiem9cdTAwZTkifQ.ZVPxAA.tXVGoF-8BWqP_eO-pK2v8Mb4MMc"
    );
    assert_eq!(
        cookie(
            "token",
            json!({"u": "zoé", "r": "User", "ts": 1_700_000_000}),
            false
        ),
        "eyJ1Ijoiem_DqSIsInIiOiJVc2VyIiwidHMiOjE3MDAwMDAwMDB9.ZVPxAA.ZHRT_MoQ4FuLKQdBB_tpPOLdKmM"
    );
    assert!(
        cookie(
            "token",
            json!({"u": "admin", "r": "Admin", "ts": 1_700_000_000}),
            true
        )
        .starts_with(".eJ")
    );
}

#[test]
fn tokens_and_codes_follow_the_given_time() {
    let token = make(
        json!({"function": "jws", "alg": "HS256", "header": {"alg": "HS256"}, "claims": {"iat": {"now": -5}},
               "key": {"secret_base64": "a2V5"}}),
        1005,
    );
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(BASE64URL.decode(parts[1]).unwrap(), b"{\"iat\":1000}");
    let proof = make(
        json!({"function": "dpop", "agent": "agent1", "claims": {"htm": "POST", "htu": "http://127.0.0.1:50315/api/agent/token/refresh", "jti": "refresh_proof", "iat": {"now": 0}}}),
        1_795_448_922,
    );
    assert!(proof.ends_with(
        ".VpL9g-zXlhjzpjRf_GMHrlT7dYQd16RMHh51-rdditvlma-qwNWiM2exUOgsapPVy7fnkVzPWMm-vJkr8tZ6Dw"
    ));
    // RFC 6238, appendix B.
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    assert_eq!(
        make(json!({"function": "totp", "secret": secret, "offset": 9}), 50),
        "287082"
    );
}
