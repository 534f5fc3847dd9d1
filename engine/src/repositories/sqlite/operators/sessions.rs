//! Tables `engine_operator_accounts` and `engine_operator_sessions`.

use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    domain::operator_session::{AccountInSession, AccountSessions, Issue, OperatorCredential},
    repositories::{
        StoreError,
        operators::sessions::{ReadOperatorSessions, WriteOperatorSessions},
        sqlite::{Access, SqliteWork, rows::Columns},
    },
};

const ACCOUNTS: &str = "engine_operator_accounts";

fn read_sessions(row: &SqliteRow) -> Result<AccountSessions, StoreError> {
    let row = Columns::of(ACCOUNTS, row);
    Ok(AccountSessions {
        state: row.get("state")?,
        ended_at: row.get("ended_at")?,
        ends: row.get("ends")?,
    })
}

#[async_trait]
impl<A: Access> ReadOperatorSessions for A {
    async fn find_in_session(
        &mut self,
        credential: &OperatorCredential,
    ) -> Result<Option<AccountInSession>, StoreError> {
        let row = sqlx::query(
            "SELECT u.id, u.username, u.display_name, u.password_sha512, u.role, u.mfa_enabled, u.mfa_secret, \
                    u.last_login, u.created_at, u.updated_at, a.name IS NOT NULL AS noted, a.state, a.ended_at, a.ends, \
                    EXISTS (SELECT 1 FROM engine_operator_sessions AS s WHERE s.name = LOWER($1) \
                            AND s.issued_at = $2 AND s.signature = '') AS logged_out, \
                    EXISTS (SELECT 1 FROM engine_operator_sessions AS s WHERE s.name = LOWER($1) \
                            AND s.issued_at = $2 AND s.signature = $3) AS kept \
             FROM users AS u LEFT JOIN engine_operator_accounts AS a ON a.name = LOWER(u.username) \
             WHERE LOWER(u.username) = LOWER($1) ORDER BY u.id LIMIT 1",
        )
        .bind(&credential.username)
        .bind(credential.issue.at)
        .bind(&credential.issue.digest)
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let sessions = match row.try_get::<bool, _>("noted")? {
            true => Some(read_sessions(&row)?),
            false => None,
        };
        Ok(Some(AccountInSession {
            user: crate::repositories::sqlite::operators::read(&row)?,
            sessions,
            logged_out: row.try_get("logged_out")?,
            kept: row.try_get("kept")?,
        }))
    }

    async fn account_sessions(&mut self, username: &str) -> Result<Option<AccountSessions>, StoreError> {
        sqlx::query("SELECT state, ended_at, ends FROM engine_operator_accounts WHERE name = LOWER($1)")
            .bind(username)
            .fetch_optional(self.connection())
            .await?
            .as_ref()
            .map(read_sessions)
            .transpose()
    }

    async fn vanished_accounts(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT name FROM engine_operator_accounts WHERE state IS NOT NULL \
             AND name NOT IN (SELECT LOWER(username) FROM users)",
        )
        .fetch_all(self.connection())
        .await?)
    }
}

#[async_trait]
impl WriteOperatorSessions for SqliteWork {
    async fn store_account_sessions(&mut self, username: &str, state: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO engine_operator_accounts (name, state) VALUES (LOWER($1), $2) \
             ON CONFLICT (name) DO UPDATE SET state = excluded.state",
        )
        .bind(username)
        .bind(state)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn end_sessions(
        &mut self,
        username: &str,
        state: Option<&str>,
        now: i64,
    ) -> Result<i64, StoreError> {
        // Nothing that was issued before this end outlives it, whatever was recorded of it. Logged out is logged out.
        sqlx::query("DELETE FROM engine_operator_sessions WHERE name = LOWER($1) AND signature <> ''")
            .bind(username)
            .execute(self.connection())
            .await?;
        Ok(sqlx::query_scalar(
            "INSERT INTO engine_operator_accounts (name, state, ended_at, ends) VALUES (LOWER($1), $2, $3, 1) \
             ON CONFLICT (name) DO UPDATE SET state = excluded.state, \
             ended_at = MAX(COALESCE(ended_at, excluded.ended_at), excluded.ended_at), ends = ends + 1 \
             RETURNING ends",
        )
        .bind(username)
        .bind(state)
        .bind(now)
        .fetch_one(self.connection())
        .await?)
    }

    async fn end_session(&mut self, username: &str, issued_at: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR IGNORE INTO engine_operator_sessions (name, issued_at, signature) VALUES (LOWER($1), $2, '')",
        )
        .bind(username)
        .bind(issued_at)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn reopen_session(&mut self, username: &str, issued_at: i64) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM engine_operator_sessions WHERE name = LOWER($1) AND issued_at = $2 AND signature = ''",
        )
        .bind(username)
        .bind(issued_at)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn keep_sessions(&mut self, username: &str, ends: i64, issues: &[Issue]) -> Result<(), StoreError> {
        for issue in issues {
            sqlx::query(
                "INSERT OR IGNORE INTO engine_operator_sessions (name, issued_at, signature) \
                 SELECT name, $3, $4 FROM engine_operator_accounts WHERE name = LOWER($1) AND ends = $2",
            )
            .bind(username)
            .bind(ends)
            .bind(issue.at)
            .bind(&issue.digest)
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }

    async fn prune_sessions(&mut self, oldest: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM engine_operator_sessions WHERE issued_at < $1")
            .bind(oldest)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "DELETE FROM engine_operator_accounts WHERE state IS NULL AND COALESCE(ended_at, 0) < $1",
        )
        .bind(oldest)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
