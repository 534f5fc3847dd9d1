//! Columns that tables of older servers lack, and that the legacy adds at every start.

use sqlx::{AssertSqlSafe, SqliteConnection};

/// A column that is added where its table lacks it.
struct Added {
    table: &'static str,
    column: &'static str,
    definition: &'static str,
}

const fn added(table: &'static str, column: &'static str, definition: &'static str) -> Added {
    Added {
        table,
        column,
        definition,
    }
}

/// In the legacy's order: each is appended to its table.
const ADDED: [Added; 17] = [
    added(
        "enrollment_install_codes",
        "max_uses",
        "INTEGER NOT NULL DEFAULT 1",
    ),
    added(
        "enrollment_install_codes",
        "use_count",
        "INTEGER NOT NULL DEFAULT 0",
    ),
    added("enrollment_install_codes", "last_used_at", "TEXT"),
    added("users", "mfa_enabled", "INTEGER NOT NULL DEFAULT 0"),
    added("users", "mfa_secret", "TEXT"),
    added("credentials", "connection_type", "TEXT NOT NULL DEFAULT 'ssh'"),
    added(
        "credentials",
        "credential_type",
        "TEXT NOT NULL DEFAULT 'machine'",
    ),
    added("credentials", "metadata_json", "TEXT"),
    added("credentials", "private_key_passphrase_encrypted", "BLOB"),
    added("credentials", "become_method", "TEXT"),
    added("credentials", "become_username", "TEXT"),
    added("credentials", "become_password_encrypted", "BLOB"),
    added("credentials", "site_id", "INTEGER"),
    added("credentials", "description", "TEXT"),
    added("scheduled_jobs", "credential_id", "INTEGER"),
    added(
        "scheduled_jobs",
        "use_service_account",
        "INTEGER NOT NULL DEFAULT 1",
    ),
    added("scheduled_job_runs", "target_hostname", "TEXT"),
];

/// Whether the start adds this column.
pub(super) fn is_added(table: &str, column: &str) -> bool {
    ADDED
        .iter()
        .any(|added| added.table == table && added.column == column)
}

/// Where a column stands in the order in which columns are added.
pub(super) fn place(table: &str, column: &str) -> usize {
    ADDED
        .iter()
        .position(|added| added.table == table && added.column == column)
        .unwrap_or(ADDED.len())
}

/// Adds these columns (table and name).
pub(super) async fn add(
    connection: &mut SqliteConnection,
    columns: &[(String, String)],
) -> Result<(), sqlx::Error> {
    let wanted = ADDED.iter().filter(|added| {
        columns
            .iter()
            .any(|(table, column)| table == added.table && column == added.column)
    });
    for Added {
        table,
        column,
        definition,
    } in wanted
    {
        let statement = format!("ALTER TABLE {table} ADD COLUMN {column} {definition}");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
