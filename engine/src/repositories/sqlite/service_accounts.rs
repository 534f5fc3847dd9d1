//! Table `agent_service_account`.

use super::{Access, SqliteWork, rows::Columns};
use crate::{
    domain::service_accounts::ServiceAccount,
    repositories::{
        StoreError,
        service_accounts::{ReadServiceAccounts, WriteServiceAccounts},
    },
};
use async_trait::async_trait;

#[async_trait]
impl<A: Access> ReadServiceAccounts for A {
    async fn find_service_account(&mut self, agent_id: &str) -> Result<Option<ServiceAccount>, StoreError> {
        // A sealed password may have been stored as text.
        let row = sqlx::query(
            "SELECT username, CAST(password_encrypted AS BLOB) AS password_encrypted FROM agent_service_account \
             WHERE agent_id = $1",
        )
        .bind(agent_id)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let row = Columns::of("agent_service_account", &row);
            Ok(ServiceAccount {
                username: row.get("username")?,
                password_encrypted: row.get("password_encrypted")?,
            })
        })
        .transpose()
    }

    async fn account_device(&mut self, agent_id: &str) -> Result<Option<String>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT guid FROM engine_account_devices WHERE agent_id = $1")
                .bind(agent_id)
                .fetch_optional(self.connection())
                .await?,
        )
    }

    async fn accounts_to_assign(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT CAST(agent_id AS TEXT) FROM agent_service_account WHERE agent_id IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM engine_account_devices) ORDER BY agent_id",
        )
        .fetch_all(self.connection())
        .await?)
    }
}

#[async_trait]
impl WriteServiceAccounts for SqliteWork {
    async fn set_account_device(&mut self, agent_id: &str, guid: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO engine_account_devices (agent_id, guid) VALUES ($1, $2)")
            .bind(agent_id)
            .bind(guid)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn store_service_account(
        &mut self,
        agent_id: &str,
        account: &ServiceAccount,
        last_rotated_utc: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO agent_service_account (agent_id, username, password_encrypted, last_rotated_utc, version) \
             VALUES ($1, $2, $3, $4, 1) ON CONFLICT (agent_id) DO UPDATE SET username = excluded.username, \
             password_hash = NULL, password_encrypted = excluded.password_encrypted, \
             last_rotated_utc = excluded.last_rotated_utc",
        )
        .bind(agent_id)
        .bind(&account.username)
        .bind(&account.password_encrypted)
        .bind(last_rotated_utc)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
