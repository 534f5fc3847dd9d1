//! DPoP proofs through the public door: a proof fits the address that the client asked for, and the device's key alone.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use borealis_engine::domain::digest::{sha256, sha256_hex};
use ed25519_dalek::{Signer as _, SigningKey, pkcs8::EncodePublicKey as _};
use serde_json::{Value, json};

use crate::testkit::{
    GUID, START,
    server::{database, start, tokens},
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn fingerprint(key: &SigningKey) -> String {
    sha256_hex(key.verifying_key().to_public_key_der().unwrap().as_bytes())
}

fn proof(key: &SigningKey, url: &str, jti: &str, more: &Value) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let header = json!({"alg": "EdDSA", "jwk": {"crv": "Ed25519", "kty": "OKP", "x": x}});
    let mut claims = json!({"htm": "POST", "htu": url, "jti": jti, "iat": START});
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = key.sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Status and error word of a POST.
async fn post(url: &str, headers: &[(&str, &str)], body: String) -> (u16, String) {
    let mut request = crate::testkit::http::client().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_heartbeat_may_be_proven() {
    let root = tempfile::tempdir().unwrap();
    let engine = start(root.path(), &[]).await;
    let device = key(9);
    let token = tokens(root.path())
        .issue(GUID, &fingerprint(&device), 1, START)
        .unwrap();
    let bearer = format!("Bearer {token}");
    let url = format!("http://{}/api/agent/heartbeat?a=%41&b=%26", engine.address());
    let seen = url.replace("%41", "A");
    let forwarded_url = "https://fleet.example/api/agent/heartbeat?a=A&b=%26";
    let forwarded = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "Fleet.Example:443"),
    ];
    let ath = json!({"ath": URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()))});
    let (ok, invalid, replayed) = (
        (200, String::new()),
        (400, "dpop_invalid".to_owned()),
        (400, "dpop_replayed".to_owned()),
    );
    let none = json!({});
    let two = proof(&device, &seen, "two", &none);
    for (proofs, forwarded, expected) in [
        (vec![proof(&device, &seen, "1", &none)], &[][..], &ok),
        (vec![proof(&device, &seen, "1", &none)], &[], &replayed),
        (vec![proof(&device, &seen, "2", &ath)], &[], &ok),
        (vec![proof(&device, forwarded_url, "3", &none)], &[], &invalid),
        (vec![proof(&device, forwarded_url, "3", &none)], &forwarded, &ok),
        (vec![proof(&device, &seen, "4", &none)], &forwarded, &invalid),
        (
            vec![proof(&device, seen.split('?').next().unwrap(), "4", &none)],
            &[],
            &invalid,
        ),
        (vec![proof(&key(8), &seen, "4", &none)], &[], &invalid),
        (
            vec![proof(&device, &seen, "4", &json!({"ath": "other"}))],
            &[],
            &invalid,
        ),
        (vec![proof(&device, &seen, "4", &none)], &[], &ok),
        (vec![two.clone(), two], &[], &invalid),
        (vec![String::new()], &[], &ok),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(forwarded);
        headers.extend(proofs.iter().map(|proof| ("dpop", proof.as_str())));
        assert_eq!(&post(&url, &headers, String::new()).await, expected, "{proofs:?}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_proven_refresh_binds_the_token() {
    let root = tempfile::tempdir().unwrap();
    let engine = start(root.path(), &[]).await;
    let device = key(9);
    let mut database = database(root.path()).await;
    sqlx::query("INSERT INTO devices (guid, hostname, ssl_key_fingerprint) VALUES ($1, 'H', $2)")
        .bind(GUID)
        .bind(fingerprint(&device))
        .execute(&mut database)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) VALUES ('1', $1, $2, '', '')",
    )
    .bind(GUID)
    .bind(sha256_hex(b"secret"))
    .execute(&mut database)
    .await
    .unwrap();
    let url = format!("http://{}/api/agent/token/refresh", engine.address());
    let body = json!({"guid": GUID, "refresh_token": "secret"}).to_string();
    let none = json!({});
    let mut bound = Vec::new();
    for (proof, expected) in [
        (proof(&key(8), &url, "j", &none), (400, "dpop_invalid")),
        (proof(&device, &url, "j", &json!({"ath": "any"})), (200, "")),
        (proof(&device, &url, "j", &none), (400, "dpop_replayed")),
        (String::new(), (200, "")),
    ] {
        let (status, error) = post(&url, &[("dpop", &proof)], body.clone()).await;
        assert_eq!((status, error.as_str()), expected);
        let jkt: Option<String> = sqlx::query_scalar("SELECT dpop_jkt FROM refresh_tokens")
            .fetch_one(&mut database)
            .await
            .unwrap();
        bound.push(jkt);
    }
    assert_eq!(bound[0], None);
    assert_eq!(bound[1].as_ref().unwrap().len(), 43);
    assert!(bound[2..].iter().all(|jkt| *jkt == bound[1]), "{bound:?}");
    engine.stop().await;
}
