//! Tables `enrollment_install_codes` and `enrollment_install_codes_persistent`.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{
    Access, SqliteWork,
    plans::Statements,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::install_codes::{CodeUse, InstallCode, InstallCodeFilter},
    repositories::{
        StoreError,
        install_codes::{ReadInstallCodes, WriteInstallCodes},
    },
};

macro_rules! select_codes {
    ($condition:literal) => {
        concat!(
            "SELECT id, code, expires_at, created_by_user_id, used_at, used_by_guid, last_used_at, max_uses, ",
            "use_count ",
            "FROM enrollment_install_codes ",
            $condition
        )
    };
}

fn read(row: &SqliteRow) -> Result<InstallCode, StoreError> {
    let row = Columns::of("enrollment_install_codes", row);
    Ok(InstallCode {
        id: row.get("id")?,
        code: row.get("code")?,
        expires_at: row.get("expires_at")?,
        created_by_user_id: row.get("created_by_user_id")?,
        used_at: row.get("used_at")?,
        used_by_guid: row.get("used_by_guid")?,
        max_uses: row.stored("max_uses")?,
        use_count: row.stored("use_count")?,
        last_used_at: row.get("last_used_at")?,
    })
}

/// Marks archive rows whose code is gone.
async fn archive(connection: Statements<'_>, id: &str, now: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE enrollment_install_codes_persistent \
         SET is_active = 0, archived_at = COALESCE(archived_at, $2) WHERE id = $1",
    )
    .bind(id)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl<A: Access> ReadInstallCodes for A {
    async fn find_code(&mut self, code: &str) -> Result<Option<InstallCode>, StoreError> {
        sqlx::query(select_codes!("WHERE code = $1"))
            .bind(code)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_code_by_id(&mut self, id: &str) -> Result<Option<InstallCode>, StoreError> {
        sqlx::query(select_codes!("WHERE id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }

    async fn list_codes(
        &mut self,
        filter: InstallCodeFilter,
        now: &str,
    ) -> Result<Vec<InstallCode>, StoreError> {
        let query = match filter {
            InstallCodeFilter::All => sqlx::query(select_codes!("ORDER BY expires_at, rowid")),
            InstallCodeFilter::Used => sqlx::query(select_codes!(
                "WHERE use_count >= max_uses ORDER BY expires_at, rowid"
            )),
            InstallCodeFilter::Active => sqlx::query(select_codes!(
                "WHERE use_count < max_uses AND expires_at > $1 ORDER BY expires_at, rowid"
            ))
            .bind(now),
            InstallCodeFilter::Expired => sqlx::query(select_codes!(
                "WHERE use_count < max_uses AND expires_at <= $1 ORDER BY expires_at, rowid"
            ))
            .bind(now),
        };
        query.read_all(self.connection(), read).await
    }
}

#[async_trait]
impl WriteInstallCodes for SqliteWork {
    async fn insert_code(&mut self, code: &InstallCode, created_at: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO enrollment_install_codes (id, code, expires_at, created_by_user_id, max_uses, use_count) \
             VALUES ($1, $2, $3, $4, $5, 0)",
        )
        .bind(&code.id)
        .bind(&code.code)
        .bind(&code.expires_at)
        .bind(&code.created_by_user_id)
        .bind(code.allowed_uses())
        .execute(self.connection())
        .await?;
        sqlx::query(
            "INSERT INTO enrollment_install_codes_persistent \
             (id, code, created_at, expires_at, created_by_user_id, max_uses, last_known_use_count, is_active) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, 1)",
        )
        .bind(&code.id)
        .bind(&code.code)
        .bind(created_at)
        .bind(&code.expires_at)
        .bind(&code.created_by_user_id)
        .bind(code.allowed_uses())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn delete_unused_code(&mut self, id: &str, now: &str) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM enrollment_install_codes WHERE id = $1 AND use_count = 0")
            .bind(id)
            .execute(self.connection())
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        archive(self.connection(), id, now).await?;
        Ok(true)
    }

    async fn record_code_use(&mut self, code_use: &CodeUse<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE enrollment_install_codes SET use_count = $2, used_by_guid = $3, last_used_at = $4, \
             used_at = CASE WHEN $5 THEN $4 ELSE used_at END WHERE id = $1",
        )
        .bind(code_use.id)
        .bind(code_use.use_count)
        .bind(code_use.guid)
        .bind(code_use.at)
        .bind(code_use.consumed)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "UPDATE enrollment_install_codes_persistent SET last_known_use_count = $2, used_by_guid = $3, \
             last_used_at = $4, \
             used_at = CASE WHEN $5 THEN $4 ELSE used_at END, \
             is_active = CASE WHEN $5 THEN 0 ELSE is_active END, \
             consumed_at = CASE WHEN $5 THEN COALESCE(consumed_at, $4) ELSE consumed_at END, \
             archived_at = CASE WHEN $5 THEN COALESCE(archived_at, $4) ELSE archived_at END \
             WHERE id = $1",
        )
        .bind(code_use.id)
        .bind(code_use.use_count)
        .bind(code_use.guid)
        .bind(code_use.at)
        .bind(code_use.consumed)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn prune_codes(&mut self, now: &str) -> Result<u64, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "DELETE FROM enrollment_install_codes WHERE use_count = 0 AND expires_at < $1 RETURNING id",
        )
        .bind(now)
        .fetch_all(self.connection())
        .await?;
        for id in &ids {
            archive(self.connection(), id, now).await?;
        }
        Ok(ids.len().try_into().unwrap_or(u64::MAX))
    }
}
