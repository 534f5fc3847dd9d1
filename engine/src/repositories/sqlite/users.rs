//! Table `users`.

use super::{Access, rows::Columns};
use crate::repositories::{
    StoreError,
    users::{NewUser, User, Users},
};

impl<A: Access> Users for A {
    async fn find_user(&mut self, username: &str) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(
            "SELECT id, username, display_name, password_sha512, role, mfa_enabled FROM users \
             WHERE LOWER(username) = LOWER($1) ORDER BY id LIMIT 1",
        )
        .bind(username)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let row = Columns::of("users", &row);
            Ok(User {
                id: row.get("id")?,
                username: row.get("username")?,
                display_name: row.get("display_name")?,
                password_sha512: row.get("password_sha512")?,
                role: row.get("role")?,
                mfa_enabled: row.get::<i64>("mfa_enabled")? != 0,
            })
        })
        .transpose()
    }

    async fn count_admins(&mut self) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE LOWER(role) = 'admin'")
                .fetch_one(self.connection())
                .await?,
        )
    }

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
}
