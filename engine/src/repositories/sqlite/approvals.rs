//! Table `device_approvals`.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{
    Access, SqliteWork,
    indexes::{PendingApprovals, numbers},
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::approvals::{Approval, HostnameHolder, ListedApproval},
    repositories::{
        StoreError,
        approvals::{ReadApprovals, WriteApprovals},
    },
};

const TABLE: &str = "device_approvals";

macro_rules! approval_columns {
    () => {
        "a.id, a.approval_reference, a.guid, a.hostname_claimed, a.ssl_key_fingerprint_claimed, \
         a.enrollment_code_id, a.status, a.client_nonce, a.server_nonce, a.agent_pubkey_der, a.created_at, \
         a.updated_at, a.approved_by_user_id "
    };
}

macro_rules! select_approvals {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            approval_columns!(),
            "FROM device_approvals AS a ",
            $condition
        )
    };
}

/// Those with the code `$1` that wait, but of the key `$2`.
macro_rules! waits {
    () => {
        "WHERE a.enrollment_code_id = $1 AND a.status = 'pending' AND a.ssl_key_fingerprint_claimed <> $2"
    };
}

/// The id counts before the name, so that a user whose name is another's id gives no second row (the legacy lists
/// both: ENR-10).
macro_rules! select_listed {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            approval_columns!(),
            ", COALESCE(\
               (SELECT username FROM users WHERE CAST(id AS TEXT) = a.approved_by_user_id), \
               (SELECT username FROM users WHERE LOWER(username) = LOWER(a.approved_by_user_id) \
                ORDER BY id LIMIT 1)) AS approved_by_username FROM device_approvals AS a ",
            $condition,
            " ORDER BY a.created_at, a.rowid"
        )
    };
}

fn read(row: &SqliteRow) -> Result<Approval, StoreError> {
    let row = Columns::of(TABLE, row);
    Ok(Approval {
        id: row.get("id")?,
        approval_reference: row.get("approval_reference")?,
        guid: row.get("guid")?,
        hostname_claimed: row.get("hostname_claimed")?,
        fingerprint_claimed: row.get("ssl_key_fingerprint_claimed")?,
        enrollment_code_id: row.get("enrollment_code_id")?,
        status: row.get("status")?,
        client_nonce: row.get("client_nonce")?,
        server_nonce: row.get("server_nonce")?,
        agent_pubkey_der: row.get("agent_pubkey_der")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        approved_by_user_id: row.get("approved_by_user_id")?,
    })
}

fn read_holder(row: &SqliteRow) -> Result<HostnameHolder, StoreError> {
    let row = Columns::of("devices", row);
    Ok(HostnameHolder {
        guid: row.get("holder_guid")?,
        fingerprint: row.get("holder_fingerprint")?,
        site_id: row.get("site_id")?,
        site_name: row.get("site_name")?,
    })
}

fn read_listed(row: &SqliteRow) -> Result<ListedApproval, StoreError> {
    let columns = Columns::of(TABLE, row);
    Ok(ListedApproval {
        approval: read(row)?,
        approved_by_username: columns.get("approved_by_username")?,
    })
}

#[async_trait]
impl<A: Access> ReadApprovals for A {
    async fn find_approval(&mut self, id: &str) -> Result<Option<Approval>, StoreError> {
        sqlx::query(select_approvals!("WHERE a.id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_approval_by_reference(&mut self, reference: &str) -> Result<Option<Approval>, StoreError> {
        sqlx::query(select_approvals!("WHERE a.approval_reference = $1"))
            .bind(reference)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_pending_approval(&mut self, fingerprint: &str) -> Result<Option<Approval>, StoreError> {
        sqlx::query(select_approvals!(
            "WHERE a.ssl_key_fingerprint_claimed = $1 AND a.status = 'pending' LIMIT 1"
        ))
        .bind(fingerprint)
        .read_one(self.connection(), read)
        .await
    }

    async fn list_approvals(&mut self, status: Option<&str>) -> Result<Vec<ListedApproval>, StoreError> {
        let query = match status {
            None => sqlx::query(select_listed!("")),
            Some(status) => sqlx::query(select_listed!("WHERE LOWER(a.status) = $1")).bind(status),
        };
        query
            .fetch_all(self.connection())
            .await?
            .iter()
            .map(read_listed)
            .collect()
    }

    async fn find_hostname_holder(&mut self, hostname: &str) -> Result<Option<HostnameHolder>, StoreError> {
        let row = sqlx::query(
            "SELECT d.guid AS holder_guid, d.ssl_key_fingerprint AS holder_fingerprint, s.site_id, \
             sites.name AS site_name FROM devices AS d \
             LEFT JOIN device_sites AS s ON s.device_hostname = d.hostname \
             LEFT JOIN sites ON sites.id = s.site_id WHERE d.hostname = $1",
        )
        .bind(hostname)
        .fetch_optional(self.connection())
        .await?;
        row.as_ref().map(read_holder).transpose()
    }
}

#[async_trait]
impl WriteApprovals for SqliteWork {
    async fn count_pending_approvals(&mut self, code_id: &str, but_of: &str) -> Result<usize, StoreError> {
        let of_code = |pending: &PendingApprovals| pending.of(code_id);
        let proposed = self
            .indexes
            .approvals
            .propose_within(self.turn.connection(), of_code)
            .await?;
        let query = match proposed {
            Some(proposed) => sqlx::query_scalar(concat!(
                "SELECT COUNT(*) FROM json_each($3) AS proposed \
                 CROSS JOIN device_approvals AS a ON a.rowid = proposed.value ",
                waits!()
            ))
            .bind(code_id)
            .bind(but_of)
            .bind(numbers(&proposed)?),
            None => sqlx::query_scalar(concat!("SELECT COUNT(*) FROM device_approvals AS a ", waits!()))
                .bind(code_id)
                .bind(but_of),
        };
        let count: i64 = query.fetch_one(self.connection()).await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn put_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO device_approvals (id, approval_reference, guid, hostname_claimed, \
             ssl_key_fingerprint_claimed, enrollment_code_id, status, client_nonce, server_nonce, \
             agent_pubkey_der, created_at, updated_at, approved_by_user_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (id) DO UPDATE SET guid = $3, hostname_claimed = $4, enrollment_code_id = $6, \
             status = $7, client_nonce = $8, server_nonce = $9, agent_pubkey_der = $10, updated_at = $12, \
             approved_by_user_id = $13",
        )
        .bind(&approval.id)
        .bind(&approval.approval_reference)
        .bind(&approval.guid)
        .bind(&approval.hostname_claimed)
        .bind(&approval.fingerprint_claimed)
        .bind(&approval.enrollment_code_id)
        .bind(&approval.status)
        .bind(&approval.client_nonce)
        .bind(&approval.server_nonce)
        .bind(&approval.agent_pubkey_der)
        .bind(&approval.created_at)
        .bind(&approval.updated_at)
        .bind(&approval.approved_by_user_id)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn expire_approvals(&mut self, now: &str, oldest: &str) -> Result<u64, StoreError> {
        let expired = sqlx::query(
            "UPDATE device_approvals SET status = 'expired', updated_at = $1 WHERE status = 'pending' AND \
             (created_at < $2 OR EXISTS (SELECT 1 FROM enrollment_install_codes AS c \
              WHERE c.id = enrollment_code_id AND (c.expires_at < $1 OR c.use_count >= c.max_uses)))",
        )
        .bind(now)
        .bind(oldest)
        .execute(self.connection())
        .await?;
        Ok(expired.rows_affected())
    }
}
