//! The engine's own table `engine_known_addresses`.

use crate::repositories::{
    StoreError, WriteKnownAddresses,
    operators::known_addresses::ReadKnownAddresses,
    sqlite::{Access, SqliteWork},
};
use async_trait::async_trait;

#[async_trait]
impl<A: Access> ReadKnownAddresses for A {
    async fn is_known_address(
        &mut self,
        username: &str,
        address: &str,
        since: i64,
    ) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM engine_known_addresses \
             WHERE username = LOWER($1) AND address = $2 AND last_login >= $3)",
        )
        .bind(username)
        .bind(address)
        .bind(since)
        .fetch_one(self.connection())
        .await?)
    }
}

#[async_trait]
impl WriteKnownAddresses for SqliteWork {
    async fn store_address(
        &mut self,
        username: &str,
        address: &str,
        now: i64,
        oldest: i64,
    ) -> Result<(), StoreError> {
        // Few rows, and no index: nobody has more addresses than he logs in from in a month.
        sqlx::query(
            "DELETE FROM engine_known_addresses \
             WHERE last_login < $1 OR (username = LOWER($2) AND address = $3)",
        )
        .bind(oldest)
        .bind(username)
        .bind(address)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "INSERT INTO engine_known_addresses (username, address, last_login) VALUES (LOWER($1), $2, $3)",
        )
        .bind(username)
        .bind(address)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
