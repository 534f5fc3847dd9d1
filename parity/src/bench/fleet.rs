//! Many devices that have enrolled already.

use std::{net::Ipv4Addr, path::Path};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{BenchError, ServerProcess, client::Connection};

/// Addresses of this machine that devices come from. One has 28,000 ports, and those of connections that it closed are not
/// to be had for a minute.
const ADDRESSES: usize = 16;

/// The path that devices renew their tokens at.
pub(super) const REFRESH: &str = "/api/agent/token/refresh";

/// A device with what it was told when it enrolled.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its GUID, canonical.
    pub(super) guid: String,
    pub(super) hostname: String,
    /// The address that its agent connects from.
    pub(super) address: Ipv4Addr,
    refresh_token: String,
}

impl Member {
    pub(super) fn new(number: usize) -> Self {
        Self {
            guid: format!("00000000-0000-4000-8000-{number:012X}"),
            hostname: format!("LOAD-{number}"),
            address: Ipv4Addr::new(
                127,
                0,
                0,
                u8::try_from(number % ADDRESSES).unwrap_or_default() + 1,
            ),
            refresh_token: format!("load-{number}"),
        }
    }

    /// What its key is known by. It has none: nothing here signs.
    pub(super) fn fingerprint(&self) -> String {
        sha256_hex(&self.guid)
    }

    /// Puts what it renews its tokens with into the database.
    pub(super) async fn insert_refresh_token(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) \
             VALUES ($1, $2, $3, '2026-01-01T00:00:00+00:00', '9999-01-01T00:00:00+00:00')",
        )
        .bind(&self.refresh_token)
        .bind(&self.guid)
        .bind(sha256_hex(&self.refresh_token))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// The body of its refresh request.
    pub(super) fn refresh_body(&self) -> Bytes {
        json!({"guid": self.guid, "refresh_token": self.refresh_token})
            .to_string()
            .into()
    }

    /// Its agent id on the channel.
    pub(super) fn agent_id(&self) -> String {
        format!("{}_{}_SYSTEM", self.hostname, self.guid)
    }

    /// A new access token.
    pub(super) async fn access_token(&self, connection: &mut Connection) -> Result<String, BenchError> {
        let (status, body) = connection.post(REFRESH, None, self.refresh_body()).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) if status == 200 => Ok(token.to_owned()),
            _ => Err(BenchError::Refused {
                request: "a token refresh",
                status,
            }),
        }
    }
}

/// Puts `count` enrolled devices into the server's database.
pub(super) async fn enroll(server: &ServerProcess, count: usize) -> Result<Vec<Member>, BenchError> {
    let members: Vec<_> = (0..count).map(Member::new).collect();
    insert(&server.database(), &members).await?;
    Ok(members)
}

async fn insert(path: &Path, members: &[Member]) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut work = connection.begin().await?;
    for member in members {
        sqlx::query(
            "INSERT INTO devices (guid, hostname, description, created_at, last_seen, ssl_key_fingerprint, token_version, status) \
             VALUES ($1, $2, '', 1, 1, $3, 1, 'active')",
        )
        .bind(&member.guid)
        .bind(&member.hostname)
        .bind(member.fingerprint())
        .execute(&mut *work)
        .await?;
        member.insert_refresh_token(&mut work).await?;
    }
    work.commit().await?;
    connection.close().await
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
