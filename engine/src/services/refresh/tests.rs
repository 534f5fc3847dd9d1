use std::{path::PathBuf, sync::Arc};

use ed25519_dalek::SigningKey;
use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::{
    integrations::{clock::ManualClock, random::SeededRandom},
    repositories::{devices::NewDevice, refresh_tokens::NewRefreshToken, sqlite::SqliteStore},
};

const START: i64 = 1_800_000_000;

struct Story {
    _folder: tempfile::TempDir,
    file: PathBuf,
    tokens: AccessTokens,
    refresh: RefreshService<SqliteStore>,
}

impl Story {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("database.db");
        let store = SqliteStore::open(&file).await.unwrap();
        store.migrate().await.unwrap();
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
        let environment = Environment {
            clock: Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap())),
            random: Arc::new(SeededRandom::new(1)),
        };
        let tokens = AccessTokens::new(&SigningKey::from_bytes(&[4; 32])).unwrap();
        Self {
            _folder: folder,
            file,
            refresh: RefreshService::new(store, environment, tokens.clone()),
            tokens,
        }
    }

    async fn connection(&self) -> SqliteConnection {
        SqliteConnection::connect(self.file.to_str().unwrap())
            .await
            .unwrap()
    }

    async fn sql(&self, text: &'static str) {
        sqlx::raw_sql(text)
            .execute(&mut self.connection().await)
            .await
            .unwrap();
    }

    async fn ask(&self, guid: &str, token: &str, has_proof: bool) -> Result<String, RefreshError> {
        self.refresh
            .refresh(&RefreshRequest {
                guid: guid.to_owned(),
                refresh_token: token.to_owned(),
                has_proof,
            })
            .await
    }
}

#[tokio::test]
async fn a_good_refresh_token_gives_an_access_token_and_stays() {
    let story = Story::new().await;
    story.sql("UPDATE refresh_tokens SET dpop_jkt = 'bound'").await;
    let token = story.ask("A", "secret", false).await.unwrap();
    let claims = story.tokens.verify(&token, START).unwrap();
    assert_eq!(claims["ssl_key_fingerprint"], "ab".into());
    assert_eq!(claims["token_version"], 3.into());
    let (used, bound): (String, String) = sqlx::query_as("SELECT last_used_at, dpop_jkt FROM refresh_tokens")
        .fetch_one(&mut story.connection().await)
        .await
        .unwrap();
    assert!(used.starts_with("2027-01-15T08:00:00"), "{used}");
    assert_eq!(bound, "bound");
    story
        .sql("UPDATE devices SET token_version = 0, ssl_key_fingerprint = NULL, status = 'quarantined'")
        .await;
    let token = story.ask("A", "secret", false).await.unwrap();
    let claims = story.tokens.verify(&token, START).unwrap();
    assert_eq!(claims["ssl_key_fingerprint"], "".into());
    assert_eq!(claims["token_version"], 1.into());
}

#[tokio::test]
async fn refusals_come_in_the_contract_s_order() {
    let story = Story::new().await;
    story.sql("UPDATE devices SET status = ' Revoked'").await;
    assert!(matches!(
        story.ask("a", "secret", true).await,
        Err(RefreshError::InvalidToken)
    ));
    assert!(matches!(
        story.ask("A", "other", true).await,
        Err(RefreshError::InvalidToken)
    ));
    assert!(matches!(
        story.ask("A", "secret", true).await,
        Err(RefreshError::DeviceRevoked)
    ));
    story.sql("UPDATE devices SET guid = 'a'").await;
    assert!(matches!(
        story.ask("A", "secret", true).await,
        Err(RefreshError::DeviceNotFound)
    ));
    story
        .sql("UPDATE refresh_tokens SET expires_at = '2027-01-15T07:59:59Z'")
        .await;
    assert!(matches!(
        story.ask("A", "secret", true).await,
        Err(RefreshError::TokenExpired)
    ));
    story.sql("UPDATE refresh_tokens SET revoked_at = 'x'").await;
    assert!(matches!(
        story.ask("A", "secret", true).await,
        Err(RefreshError::TokenRevoked)
    ));
    let used: Option<String> = sqlx::query_scalar("SELECT last_used_at FROM refresh_tokens")
        .fetch_one(&mut story.connection().await)
        .await
        .unwrap();
    assert_eq!(used, None);
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
                story.ask("A", "secret", false).await,
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
        assert!(story.ask("A", "secret", false).await.is_ok(), "{good}");
    }
    assert!(matches!(
        story.ask("A", "secret", true).await,
        Err(RefreshError::ProofUnsupported)
    ));
}
