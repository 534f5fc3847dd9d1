//! Table `users`.

pub(super) mod known_addresses;
pub(super) mod sessions;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::{
    domain::operators::{NewUser, User},
    repositories::{
        StoreError,
        operators::{ReadUsers, WriteUsers},
        sqlite::{
            Access, SqliteWork,
            rows::{Columns, ReadRows as _},
        },
    },
};

macro_rules! select_users {
    ($condition:literal) => {
        concat!(
            "SELECT id, username, display_name, password_sha512, role, mfa_enabled, mfa_secret, last_login, ",
            "created_at, updated_at FROM users ",
            $condition
        )
    };
}

pub(in crate::repositories::sqlite) fn read(row: &SqliteRow) -> Result<User, StoreError> {
    let row = Columns::of("users", row);
    Ok(User {
        id: row.get("id")?,
        username: row.get("username")?,
        display_name: row.get("display_name")?,
        // Tables that are older than their constraints may have nothing there.
        password_sha512: row.get::<Option<_>>("password_sha512")?.unwrap_or_default(),
        role: row.get::<Option<_>>("role")?.unwrap_or_default(),
        mfa_enabled: row.is_truthy("mfa_enabled")?,
        mfa_secret: row.get("mfa_secret")?,
        last_login: row.stored("last_login")?,
        created_at: row.stored("created_at")?,
        updated_at: row.stored("updated_at")?,
    })
}

#[async_trait]
impl<A: Access> ReadUsers for A {
    async fn find_user(&mut self, username: &str) -> Result<Option<User>, StoreError> {
        sqlx::query(select_users!(
            "WHERE LOWER(username) = LOWER($1) ORDER BY id LIMIT 1"
        ))
        .bind(username)
        .read_one(self.connection(), read)
        .await
    }

    async fn list_users(&mut self) -> Result<Vec<User>, StoreError> {
        sqlx::query(select_users!("ORDER BY LOWER(username)"))
            .read_all(self.connection(), read)
            .await
    }

    async fn count_users(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM users")
            .fetch_one(self.connection())
            .await?)
    }

    async fn count_admins_but(&mut self, username: &str) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM users WHERE LOWER(role) = 'admin' AND LOWER(username) <> LOWER($1)",
        )
        .bind(username)
        .fetch_one(self.connection())
        .await?)
    }

    async fn count_admins(&mut self) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE LOWER(role) = 'admin'")
                .fetch_one(self.connection())
                .await?,
        )
    }
}

#[async_trait]
impl WriteUsers for SqliteWork {
    async fn insert_user(&mut self, user: &NewUser, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO users (username, display_name, password_sha512, role, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(&user.username)
        .bind(&user.display_name)
        .bind(&user.password_sha512)
        .bind(&user.role)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn set_role(&mut self, username: &str, role: &str, now: i64) -> Result<bool, StoreError> {
        let done =
            sqlx::query("UPDATE users SET role = $2, updated_at = $3 WHERE LOWER(username) = LOWER($1)")
                .bind(username)
                .bind(role)
                .bind(now)
                .execute(self.connection())
                .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn record_login(&mut self, username: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE users SET last_login = $2, updated_at = $2 WHERE LOWER(username) = LOWER($1)")
            .bind(username)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn set_password(
        &mut self,
        username: &str,
        password_sha512: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE users SET password_sha512 = $2, updated_at = $3 WHERE LOWER(username) = LOWER($1)",
        )
        .bind(username)
        .bind(password_sha512)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn set_mfa(&mut self, username: &str, enabled: bool, now: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE users SET mfa_enabled = $2, updated_at = $3 WHERE LOWER(username) = LOWER($1)",
        )
        .bind(username)
        .bind(enabled)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn set_mfa_secret(&mut self, username: &str, secret: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE users SET mfa_secret = $2, updated_at = $3 WHERE LOWER(username) = LOWER($1)")
            .bind(username)
            .bind(secret)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn forget_mfa_secret(&mut self, username: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE users SET mfa_secret = NULL WHERE LOWER(username) = LOWER($1)")
            .bind(username)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn delete_user(&mut self, username: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM users WHERE LOWER(username) = LOWER($1)")
            .bind(username)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
