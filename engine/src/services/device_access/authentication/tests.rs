use std::sync::Arc;

use ed25519_dalek::{SigningKey, pkcs8::EncodePublicKey as _};
use tracing::Instrument as _;

use super::*;
use crate::{
    domain::{digest::sha256_hex, dpop::making::proof},
    services::hosts::STRICT,
    testkit::{GUID, Ground, START},
};

struct Story {
    ground: Ground,
    tokens: AccessTokens,
    authenticator: DeviceAuthenticator,
}

impl Story {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let environment = ground.environment.clone();
        let tokens = AccessTokens::new(&SigningKey::from_bytes(&[4; 32])).unwrap();
        Self {
            authenticator: DeviceAuthenticator::new(
                ground.store(),
                environment.clone(),
                tokens.clone(),
                Arc::new(Proofs::new(environment)),
                STRICT,
            ),
            tokens,
            ground,
        }
    }

    async fn sql(&self, text: &'static str) {
        self.ground.sql(text).await;
    }

    async fn count(&self) -> i64 {
        self.ground.count("SELECT COUNT(*) FROM devices").await
    }

    async fn device(&self) {
        self.sql(
            "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version) \
             VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-1', ' AB ', 2)",
        )
        .await;
    }

    async fn call(
        &self,
        guid: &str,
        fingerprint: &str,
        version: i64,
    ) -> Result<AuthenticatedDevice, AuthenticationError> {
        let token = self.tokens.issue(guid, fingerprint, version, START).unwrap();
        self.authenticator.authenticate(&token, None).await
    }
}

#[tokio::test]
async fn the_row_must_agree_with_the_token() {
    let story = Story::new().await;
    story.device().await;
    let device = story.call(GUID, "Ab", 2).await.unwrap();
    assert_eq!(
        (device.fingerprint.as_str(), device.status),
        ("ab", DeviceStatus::Active)
    );
    assert!(story.call(GUID, "ab", 3).await.is_ok());
    assert!(matches!(
        story.call(GUID, "cd", 1).await,
        Err(AuthenticationError::FingerprintMismatch)
    ));
    story.sql("UPDATE devices SET status = ' Quarantined'").await;
    assert!(matches!(
        story.call(GUID, "ab", 1).await,
        Err(AuthenticationError::TokenVersionRevoked)
    ));
    let device = story.call(GUID, "ab", 2).await.unwrap();
    assert_eq!(device.status, DeviceStatus::Quarantined);
    story.sql("UPDATE devices SET status = 'pending'").await;
    assert!(matches!(
        story.call(GUID, "ab", 2).await,
        Err(AuthenticationError::DeviceRevoked)
    ));
    story
        .sql("UPDATE devices SET status = NULL, token_version = NULL, ssl_key_fingerprint = NULL")
        .await;
    assert!(story.call(GUID, "cd", 1).await.is_ok());
}

#[tokio::test]
async fn claims_that_name_no_device_are_refused_before_anything_is_counted() {
    let story = Story::new().await;
    for _ in 0..70 {
        for (guid, fingerprint, version) in [(" ", "ab", 1), (GUID, " ", 1), (GUID, "ab", 0)] {
            assert!(matches!(
                story.call(guid, fingerprint, version).await,
                Err(AuthenticationError::InvalidClaims)
            ));
        }
    }
    assert!(matches!(
        story.authenticator.authenticate("a.b.c", None).await,
        Err(AuthenticationError::Token(TokenError::Invalid))
    ));
    let ended = story.tokens.issue(GUID, "ab", 1, START - 900).unwrap();
    assert!(matches!(
        story.authenticator.authenticate(&ended, None).await,
        Err(AuthenticationError::Token(TokenError::Expired))
    ));
    assert_eq!(story.count().await, 0);
    assert!(story.call(GUID, "ab", 1).await.is_ok());
}

#[test]
fn a_version_that_is_no_number_is_an_invalid_claim() {
    let read = |version: Json| {
        let claims = Json::object([
            ("guid", GUID.into()),
            ("ssl_key_fingerprint", "ab".into()),
            ("token_version", version),
        ]);
        DeviceClaims::read(claims.as_object().unwrap()).map(|claims| claims.token_version)
    };
    assert_eq!(read("2".into()), Some(2));
    assert_eq!(read(2.9.into()), Some(2));
    for version in ["two".into(), Json::Null, Json::list([1]), (-1).into(), 0.5.into()] {
        assert_eq!(read(version), None);
    }
}

#[tokio::test]
async fn the_line_about_a_row_that_is_made_again_names_the_device() {
    let story = Story::new().await;
    let _guard = story.ground.audited();
    let span = audit::span("192.0.2.7");
    story.call(GUID, "AB", 7).instrument(span).await.unwrap();
    assert_eq!(
        story.ground.audit_lines(),
        [format!("device {GUID} device.recovered {GUID}")]
    );
}

#[tokio::test]
async fn a_lost_row_is_made_again_while_a_name_is_free() {
    let story = Story::new().await;
    story
        .sql("INSERT INTO devices (guid, hostname) VALUES ('X', 'RECOVERED-3F2504E0-4F8')")
        .await;
    let device = story.call(GUID, "AB", 7).await.unwrap();
    assert_eq!(device.stored_guid, GUID);
    let row = story
        .authenticator
        .store
        .view()
        .await
        .unwrap()
        .find_device(GUID)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        row,
        DeviceIdentity {
            guid: GUID.to_owned(),
            hostname: Some("RECOVERED-3F2504E0-4F8-1".to_owned()),
            fingerprint: Some("ab".to_owned()),
            token_version: Some(7),
            status: Some("active".to_owned()),
        }
    );
    for number in 2..=5 {
        let guid = format!("3F2504E0-4F89-11D3-9A0C-00000000000{number}");
        assert!(story.call(&guid, "ab", 1).await.is_ok());
    }
    assert!(matches!(
        story.call("3F2504E0-4F89-11D3-9A0C-000000000006", "ab", 1).await,
        Err(AuthenticationError::DeviceNotFound)
    ));
    assert_eq!(story.count().await, 6);
}

#[tokio::test]
async fn a_row_in_another_spelling_gets_no_twin() {
    let story = Story::new().await;
    story.device().await;
    for spelling in [
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "{3f2504e04f8911d39a0c0305e82c3301}",
    ] {
        assert_eq!(story.call(spelling, "ab", 2).await.unwrap().stored_guid, GUID);
    }
    story.sql("UPDATE devices SET guid = LOWER(guid)").await;
    assert_eq!(
        story.call(GUID, "ab", 2).await.unwrap().stored_guid,
        GUID.to_lowercase()
    );
    assert_eq!(story.count().await, 1);
}

#[tokio::test]
async fn one_key_may_call_sixty_times_a_minute() {
    let story = Story::new().await;
    story.device().await;
    story.sql("UPDATE devices SET status = 'revoked'").await;
    for _ in 0..60 {
        assert!(matches!(
            story.call(GUID, "ab", 2).await,
            Err(AuthenticationError::DeviceRevoked)
        ));
    }
    assert!(matches!(
        story.call(GUID, "AB", 2).await,
        Err(AuthenticationError::RateLimited(_))
    ));
    assert!(matches!(
        story.call(GUID, "cd", 2).await,
        Err(AuthenticationError::FingerprintMismatch)
    ));
    story.ground.later(61);
    assert!(matches!(
        story.call(GUID, "ab", 2).await,
        Err(AuthenticationError::DeviceRevoked)
    ));
}

#[tokio::test]
async fn a_proof_must_be_by_the_device_s_key_and_new() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let der = key.verifying_key().to_public_key_der().unwrap();
    let token = story
        .tokens
        .issue(GUID, &sha256_hex(der.as_bytes()), 2, START)
        .unwrap();
    let call =
        async |proof: &PresentedProof| match story.authenticator.authenticate(&token, Some(proof)).await {
            Ok(_) => Ok(()),
            Err(AuthenticationError::Proof(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        };
    let by = |key: &SigningKey, jti, iat| proof(key, "http://a/x", jti, iat);
    let thief = SigningKey::from_bytes(&[8; 32]);
    assert_eq!(call(&by(&thief, "j", START)).await, Err(DpopError::Invalid));
    assert_eq!(call(&by(&key, "j", START + 60)).await, Err(DpopError::Invalid));
    // What was refused has not used up its name.
    assert_eq!(call(&by(&key, "j", START)).await, Ok(()));
    assert_eq!(call(&by(&key, "j", START)).await, Err(DpopError::Replayed));
    assert_eq!(call(&by(&key, "k", START)).await, Ok(()));
    story.ground.later(301);
    assert_eq!(call(&by(&key, "j", START)).await, Err(DpopError::Invalid));
    assert_eq!(call(&by(&key, "j", START + 301)).await, Ok(()));
}

#[tokio::test]
async fn a_revoked_device_s_proof_is_not_looked_at() {
    let story = Story::new().await;
    story.device().await;
    story.sql("UPDATE devices SET status = 'revoked'").await;
    let token = story.tokens.issue(GUID, "ab", 2, START).unwrap();
    let junk = PresentedProof {
        proof: "junk".to_owned(),
        method: "POST".to_owned(),
        url: "http://a/x".to_owned(),
    };
    assert!(matches!(
        story.authenticator.authenticate(&token, Some(&junk)).await,
        Err(AuthenticationError::DeviceRevoked)
    ));
}
