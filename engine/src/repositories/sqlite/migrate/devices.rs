//! Older `devices` tables: rebuilt around the GUID, or repaired where they stand.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::{
    details::{Blanks, spread},
    state::DevicesUpgrade,
};
use crate::domain::{
    coerce::integer_in,
    random::{Random, random_uuid},
    text::python_trim,
    timestamp::iso_utc,
};

/// The present columns that are copied as they are; the other four have rules of their own.
const COPIED: [&str; 23] = [
    "hostname",
    "description",
    "created_at",
    "agent_hash",
    "memory",
    "network",
    "software",
    "storage",
    "cpu",
    "device_type",
    "domain",
    "external_ip",
    "internal_ip",
    "last_reboot",
    "last_seen",
    "last_user",
    "operating_system",
    "uptime",
    "agent_id",
    "ansible_ee_ver",
    "connection_type",
    "connection_endpoint",
    "ssl_key_fingerprint",
];

/// Whether a table of these columns has every present one.
pub(super) fn is_complete(columns: &[String]) -> bool {
    COPIED
        .iter()
        .chain(&["guid", "token_version", "status", "key_added_at"])
        .all(|column| has(columns, column))
}

/// Whether the column is among these, in any letter case, as SQLite reads names.
pub(super) fn has(columns: &[String], column: &str) -> bool {
    columns.iter().any(|one| one.eq_ignore_ascii_case(column))
}

/// Rows that wait in a temporary table to be copied into `devices`.
pub(super) struct Staged {
    table: String,
    columns: Vec<String>,
}

/// Sets the rows of the tables that have to be copied aside, oldest table first, and drops those that the new
/// `devices` takes the place of. The transaction's end or the connection's takes the temporary tables with it, so an
/// interruption leaves nothing behind.
pub(super) async fn stage(
    connection: &mut SqliteConnection,
    upgrade: &DevicesUpgrade,
) -> Result<Vec<Staged>, sqlx::Error> {
    let mut staged = Vec::new();
    for source in &upgrade.copied {
        let table = format!("temp.engine_former_{}", staged.len());
        // Read from the table itself: in stored order.
        let mut statement = format!(
            "DROP TABLE IF EXISTS {table}; CREATE TEMP TABLE engine_former_{} AS SELECT * FROM main.{} NOT INDEXED;",
            staged.len(),
            source.table,
        );
        if source.dropped {
            statement.push_str(&format!("DROP TABLE main.{}", source.table));
        }
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
        staged.push(Staged {
            table,
            columns: source.columns.clone(),
        });
    }
    Ok(staged)
}

/// Copies the staged rows into `devices`. A later row takes the place of earlier ones of the same GUID or host name.
pub(super) async fn copy(
    connection: &mut SqliteConnection,
    staged: &[Staged],
    now: Timestamp,
    random: &dyn Random,
) -> Result<(), sqlx::Error> {
    for Staged { table, columns } in staged {
        let column_or = |column: &'static str, otherwise: &'static str| {
            if has(columns, column) { column } else { otherwise }
        };
        let read = format!(
            "SELECT CAST({} AS TEXT), CAST({} AS TEXT), CAST({} AS TEXT) FROM {table} WHERE rowid = $1",
            column_or("guid", "NULL"),
            column_or("created_at", "NULL"),
            column_or("details", "NULL"),
        );
        let insert = insertion(table, columns);
        let last: Option<i64> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT max(rowid) FROM {table}")))
            .fetch_one(&mut *connection)
            .await?;
        for rowid in 1..=last.unwrap_or_default() {
            let row = sqlx::query(AssertSqlSafe(read.clone()))
                .bind(rowid)
                .fetch_one(&mut *connection)
                .await?;
            let (guid, created_at): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            let details: Option<String> = row.try_get(2)?;
            let guid = match python_trim(guid.as_deref().unwrap_or_default()) {
                "" => random_uuid(random).to_string(),
                guid => guid.to_owned(),
            };
            let inserted = sqlx::query(AssertSqlSafe(insert.clone()))
                .bind(guid)
                .bind(iso_utc(made_at(created_at.as_deref()).unwrap_or(now)))
                .bind(rowid)
                .execute(&mut *connection)
                .await?;
            spread(
                &mut *connection,
                inserted.last_insert_rowid(),
                details.as_deref(),
                Blanks::Left,
            )
            .await?;
        }
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}")))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The statement that copies one row: `$1` its GUID, `$2` when its key was added where the row lacks that, `$3` its
/// place.
fn insertion(table: &str, columns: &[String]) -> String {
    let copied: Vec<_> = COPIED.into_iter().filter(|column| has(columns, column)).collect();
    let copied: String = copied.iter().map(|column| format!("{column}, ")).collect();
    let token_version = if has(columns, "token_version") {
        "CASE WHEN token_version IS NULL OR token_version IN (0, '') THEN 1 ELSE token_version END"
    } else {
        "1"
    };
    let status = if has(columns, "status") {
        "CASE WHEN status IS NULL OR status = '' THEN 'active' ELSE status END"
    } else {
        "'active'"
    };
    let key_added_at = if has(columns, "key_added_at") {
        "coalesce(key_added_at, $2)"
    } else {
        "$2"
    };
    format!(
        "INSERT OR REPLACE INTO main.devices (guid, {copied}token_version, status, key_added_at) \
         SELECT $1, {copied}{token_version}, {status}, {key_added_at} FROM {table} WHERE rowid = $3"
    )
}

/// The moment that a column of Unix seconds holds; nothing for NULL, 0 and what is no number.
fn made_at(created_at: Option<&str>) -> Option<Timestamp> {
    let text = created_at?;
    let seconds = match integer_in(text) {
        Some(seconds) => i64::try_from(seconds).ok()?,
        // A real number as SQLite prints it; the cast cuts the fraction off.
        None => text.parse::<f64>().ok()? as i64,
    };
    Timestamp::from_second(seconds).ok().filter(|_| seconds != 0)
}

/// Mends a complete table where it stands.
pub(super) async fn repair(
    connection: &mut SqliteConnection,
    upgrade: &DevicesUpgrade,
) -> Result<(), sqlx::Error> {
    if upgrade.unfilled {
        sqlx::raw_sql(
            "UPDATE devices SET token_version = 1 WHERE token_version IS NULL; \
             UPDATE devices SET status = 'active' WHERE status IS NULL",
        )
        .execute(&mut *connection)
        .await?;
    }
    if upgrade.spread {
        spread_all(connection).await?;
    }
    if upgrade.doubled {
        // The unique index could not be made (PLT-12). Whoever was seen last is the one that is there.
        sqlx::query(
            "DELETE FROM devices WHERE hostname IS NOT NULL AND rowid NOT IN \
             (SELECT first_value(rowid) OVER \
             (PARTITION BY hostname ORDER BY coalesce(last_seen, 0) DESC, rowid DESC) \
             FROM devices WHERE hostname IS NOT NULL)",
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn spread_all(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let rows: Vec<(i64, bool)> =
        sqlx::query_as("SELECT rowid, hostname IS NOT NULL FROM devices ORDER BY rowid")
            .fetch_all(&mut *connection)
            .await?;
    for (rowid, is_named) in rows {
        // The legacy goes by host names. What a device without one has told is kept here all the same (PLT-11).
        let blanks = if is_named { Blanks::Written } else { Blanks::Left };
        let details: Option<String> =
            sqlx::query_scalar("SELECT CAST(details AS TEXT) FROM devices WHERE rowid = $1")
                .bind(rowid)
                .fetch_one(&mut *connection)
                .await?;
        spread(&mut *connection, rowid, details.as_deref(), blanks).await?;
    }
    sqlx::raw_sql("ALTER TABLE devices DROP COLUMN details")
        .execute(connection)
        .await?;
    Ok(())
}
