use std::sync::Arc;

use ed25519_dalek::{SigningKey, pkcs8::EncodePublicKey as _};

use super::*;
use crate::{
    domain::{devices::NewDevice, dpop::making::proof, refresh_tokens::NewRefreshToken},
    testkit::{Ground, START},
};

struct Story {
    ground: Ground,
    tokens: AccessTokens,
    refresh: RefreshService,
}

impl Story {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let store = ground.store();
        let mut work = store.begin().await.unwrap();
        work.insert_device(&NewDevice {
            guid: "A",
            hostname: "WIN-1",
            fingerprint: "ab",
            token_version: 3,
            now: START,
            now_iso: "",
        })
        .await
        .unwrap();
        work.insert_refresh_token(&NewRefreshToken {
            id: "1",
            guid: "A",
            token_hash: &sha256_hex(b"secret"),
            created_at: "",
            expires_at: "2999-01-01T00:00:00+00:00",
        })
        .await
        .unwrap();
        work.save().await.unwrap();
        let environment = ground.environment.clone();
        let tokens = AccessTokens::new(&SigningKey::from_bytes(&[4; 32])).unwrap();
        Self {
            refresh: RefreshService::new(
                store,
                environment.clone(),
                tokens.clone(),
                Arc::new(Proofs::new(environment)),
            ),
            tokens,
            ground,
        }
    }

    async fn sql(&self, text: &str) {
        self.ground.sql(text).await;
    }

    async fn ask(
        &self,
        guid: &str,
        token: &str,
        proof: Option<&PresentedProof>,
    ) -> Result<String, RefreshError> {
        let request = RefreshRequest {
            guid: guid.to_owned(),
            refresh_token: token.to_owned(),
        };
        self.refresh.refresh(&request, proof).await
    }

    async fn stored(&self) -> (Option<String>, Option<String>) {
        let mut row = self
            .ground
            .row("SELECT last_used_at, dpop_jkt FROM refresh_tokens")
            .await;
        let bound = row.pop().unwrap();
        (row.pop().unwrap(), bound)
    }
}

#[tokio::test]
async fn a_good_refresh_token_gives_an_access_token_and_stays() {
    let story = Story::new().await;
    story.sql("UPDATE refresh_tokens SET dpop_jkt = 'bound'").await;
    let token = story.ask("A", "secret", None).await.unwrap();
    let claims = story.tokens.verify(&token, START).unwrap();
    assert_eq!(claims["ssl_key_fingerprint"], "ab".into());
    assert_eq!(claims["token_version"], 3.into());
    let (used, bound) = story.stored().await;
    assert!(used.unwrap().starts_with("2027-01-15T08:00:00"));
    assert_eq!(bound.as_deref(), Some("bound"));
    story
        .sql("UPDATE devices SET token_version = 0, ssl_key_fingerprint = NULL, status = 'quarantined'")
        .await;
    let token = story.ask("A", "secret", None).await.unwrap();
    let claims = story.tokens.verify(&token, START).unwrap();
    assert_eq!(claims["ssl_key_fingerprint"], "".into());
    assert_eq!(claims["token_version"], 1.into());
}

#[tokio::test]
async fn refusals_come_in_the_contract_s_order() {
    let story = Story::new().await;
    let junk = PresentedProof {
        proof: "junk".to_owned(),
        ..proof(&SigningKey::from_bytes(&[9; 32]), "http://a/x", "j", START)
    };
    story.sql("UPDATE devices SET status = ' Revoked'").await;
    assert!(matches!(
        story.ask("a", "secret", Some(&junk)).await,
        Err(RefreshError::InvalidToken)
    ));
    assert!(matches!(
        story.ask("A", "other", Some(&junk)).await,
        Err(RefreshError::InvalidToken)
    ));
    assert!(matches!(
        story.ask("A", "secret", Some(&junk)).await,
        Err(RefreshError::DeviceRevoked)
    ));
    story.sql("UPDATE devices SET guid = 'a'").await;
    assert!(matches!(
        story.ask("A", "secret", Some(&junk)).await,
        Err(RefreshError::DeviceNotFound)
    ));
    story
        .sql("UPDATE refresh_tokens SET expires_at = '2027-01-15T07:59:59Z'")
        .await;
    assert!(matches!(
        story.ask("A", "secret", Some(&junk)).await,
        Err(RefreshError::TokenExpired)
    ));
    story.sql("UPDATE refresh_tokens SET revoked_at = 'x'").await;
    assert!(matches!(
        story.ask("A", "secret", Some(&junk)).await,
        Err(RefreshError::TokenRevoked)
    ));
    assert_eq!(story.stored().await, (None, None));
}

#[tokio::test]
async fn an_end_without_zone_is_utc_and_an_unreadable_one_is_over() {
    let story = Story::new().await;
    for over in [
        "UPDATE refresh_tokens SET expires_at = '2027-01-15T08:00:00'",
        "UPDATE refresh_tokens SET expires_at = 'soon'",
    ] {
        story.sql(over).await;
        assert!(
            matches!(
                story.ask("A", "secret", None).await,
                Err(RefreshError::TokenExpired)
            ),
            "{over}"
        );
    }
    for good in [
        "UPDATE refresh_tokens SET expires_at = '2027-01-15T08:00:01'",
        "UPDATE refresh_tokens SET expires_at = ' '",
    ] {
        story.sql(good).await;
        assert!(story.ask("A", "secret", None).await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn a_proof_by_the_device_s_key_binds_the_token() {
    let story = Story::new().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let by_device = |jti| proof(&key, "http://a/x", jti, START);
    let refused = async |proof: &PresentedProof| match story.ask("A", "secret", Some(proof)).await {
        Err(RefreshError::Proof(error)) => error,
        other => panic!("{other:?}"),
    };
    // The device has another key, or none.
    assert_eq!(refused(&by_device("j")).await, DpopError::Invalid);
    story.sql("UPDATE devices SET ssl_key_fingerprint = NULL").await;
    assert_eq!(refused(&by_device("j")).await, DpopError::Invalid);
    assert_eq!(story.stored().await, (None, None));

    let der = key.verifying_key().to_public_key_der().unwrap();
    let fingerprint = sha256_hex(der.as_bytes()).to_uppercase();
    story
        .sql(&format!(
            "UPDATE devices SET ssl_key_fingerprint = '{fingerprint}'"
        ))
        .await;
    story.ask("A", "secret", Some(&by_device("j"))).await.unwrap();
    let (used, bound) = story.stored().await;
    let thumbprint = by_device("j")
        .check(None, Timestamp::from_second(START).unwrap())
        .unwrap()
        .thumbprint;
    assert_eq!(bound, Some(thumbprint.clone()));
    assert_eq!(refused(&by_device("j")).await, DpopError::Replayed);
    assert_eq!(story.stored().await, (used, Some(thumbprint.clone())));
    story.ask("A", "secret", None).await.unwrap();
    assert_eq!(story.stored().await.1, Some(thumbprint));
}
