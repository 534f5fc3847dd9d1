//! What every call of a device asks for, asked together.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{TokenAndDevice, token_and_device};
use crate::{
    domain::devices::DeviceIdentity,
    repositories::{
        StoreError,
        device_access::{DeviceLookups, ReadRefreshTokens as _},
        devices::ReadDevices as _,
        sqlite::{Access as _, SqliteStore, devices::identity, rows::Columns, together::Together},
    },
};

/// What is waited for.
#[derive(Debug, Default)]
pub(in crate::repositories::sqlite) struct Lookups {
    /// By GUID.
    devices: Together<String, Option<DeviceIdentity>>,
    /// By GUID and digest.
    tokens: Together<(String, String), Option<TokenAndDevice>>,
}

pub(in crate::repositories::sqlite) const DEVICES: &str = "SELECT asked.key AS asked, guid, hostname, ssl_key_fingerprint, token_version, status \
    FROM json_each($1) AS asked CROSS JOIN devices ON guid = asked.value";
pub(in crate::repositories::sqlite) const TOKENS: &str = "SELECT asked.key AS asked, t.id, t.expires_at, t.revoked_at, d.guid, d.hostname, \
    d.ssl_key_fingerprint, d.token_version, d.status FROM json_each($1) AS asked \
    CROSS JOIN refresh_tokens t ON t.guid = asked.value ->> 0 AND t.token_hash = asked.value ->> 1 \
    LEFT JOIN devices d ON d.guid = t.guid ORDER BY asked.key, t.rowid";

/// Whether a text is the same inside JSON: SQLite's JSON ends a text at a NUL.
fn is_plain(text: &str) -> bool {
    !text.contains('\0')
}

impl SqliteStore {
    /// Runs a query for all that is asked: of each one's rows, the first.
    async fn first_rows<T>(
        &self,
        query: &'static str,
        asked: &(impl serde::Serialize + Sync),
        count: usize,
        read: fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<Result<Option<T>, StoreError>>, StoreError> {
        let asked = serde_json::to_string(asked).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let rows = sqlx::query(query)
            .bind(asked)
            .fetch_all(self.reading().await?.connection())
            .await?;
        let mut answers: Vec<_> = std::iter::repeat_with(|| Ok(None)).take(count).collect();
        for row in &rows {
            let number: i64 = Columns::of("json_each", row).get("asked")?;
            let answer = usize::try_from(number)
                .ok()
                .and_then(|number| answers.get_mut(number));
            if let Some(answer @ Ok(None)) = answer {
                *answer = read(row).map(Some);
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl DeviceLookups for SqliteStore {
    async fn device_of_call(&self, guid: &str) -> Result<Option<DeviceIdentity>, StoreError> {
        if !is_plain(guid) {
            return self.reading().await?.find_device(guid).await;
        }
        let read = |row: &SqliteRow| identity(&Columns::of("devices", row));
        let all =
            |guids: Vec<String>| async move { self.first_rows(DEVICES, &guids, guids.len(), read).await };
        self.lookups.devices.ask(guid.to_owned(), all).await
    }

    async fn refresh_token_of_call(
        &self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<TokenAndDevice>, StoreError> {
        if !is_plain(guid) {
            return self.reading().await?.find_refresh_token(guid, token_hash).await;
        }
        let all = |asked: Vec<(String, String)>| async move {
            self.first_rows(TOKENS, &asked, asked.len(), token_and_device)
                .await
        };
        self.lookups
            .tokens
            .ask((guid.to_owned(), token_hash.to_owned()), all)
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;

    use crate::{domain::refresh_tokens::RefreshToken, testkit::Ground};

    const ROWS: &str = "INSERT INTO devices (guid, hostname, token_version) VALUES ('A', 'WIN-A', 1), ('b', 'WIN-B', 2), ('C', 'WIN-C', 'x'); \
        INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) VALUES ('1', 'A', 'h', '', ''), \
        ('2', 'A', 'h', '', ''), ('3', 'b', 'i', '', ''), ('4', 'gone', 'j', '', '')";

    #[tokio::test]
    async fn whoever_asks_at_the_same_moment_gets_the_answer_to_the_own_question() {
        let ground = Arc::new(Ground::with(ROWS).await);
        let mut asking = JoinSet::new();
        for guid in ["A", "b", "B", "", "A\0", "'", "A"].repeat(20) {
            let store = ground.store();
            asking.spawn(async move {
                let found = store.device_of_call(guid).await.unwrap();
                assert_eq!(found.is_some(), matches!(guid, "A" | "b"), "{guid:?}");
                assert!(found.is_none_or(|device| device.guid == guid));
            });
            let store = ground.store();
            asking.spawn(async move {
                // One row that cannot be read is nobody else's trouble.
                let error = store.device_of_call("C").await.unwrap_err().to_string();
                assert!(error.contains("devices.token_version"), "{error}");
            });
        }
        for (guid, hash, id, has_device) in [
            ("A", "h", Some("1"), true),
            ("b", "i", Some("3"), true),
            ("gone", "j", Some("4"), false),
            ("A", "i", None, false),
            ("A\0", "h", None, false),
        ]
        .repeat(20)
        {
            let store = ground.store();
            asking.spawn(async move {
                let found = store.refresh_token_of_call(guid, hash).await.unwrap();
                let (token, device): (Option<RefreshToken>, _) = found.unzip();
                assert_eq!(token.map(|token| token.id).as_deref(), id);
                assert_eq!(device.flatten().is_some(), has_device);
            });
        }
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
        }
    }
}
