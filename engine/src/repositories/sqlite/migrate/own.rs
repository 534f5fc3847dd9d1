//! What the engine adds of its own: columns that its tables lack where an older engine made them, and indexes over the
//! legacy's tables.

use sqlx::{AssertSqlSafe, SqliteConnection};

/// An index over a table of the legacy, which keeps it up as SQLite does and needs nothing of it. None holds what most
/// reports of devices change.
struct Index {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
}

const INDEXES: [Index; 3] = [
    // All that the search looks at: between these columns lie the inventories.
    Index {
        name: "engine_devices_search",
        table: "devices",
        columns: &[
            "hostname",
            "description",
            "last_user",
            "internal_ip",
            "external_ip",
        ],
    },
    // Whose an agent is, asked whenever one enters.
    Index {
        name: "engine_devices_agent",
        table: "devices",
        columns: &["agent_id"],
    },
    // The history of one host, the youngest first.
    Index {
        name: "engine_activity_of_host",
        table: "activity_history",
        columns: &["hostname", "ran_at"],
    },
];

/// Makes the indexes that are missing, where the tables and columns are: a database that is not upgraded may lack some.
pub(super) async fn add_indexes(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for Index { name, table, columns } in INDEXES {
        let present: Vec<String> = sqlx::query_scalar("SELECT lower(name) FROM pragma_table_info($1)")
            .bind(table)
            .fetch_all(&mut *connection)
            .await?;
        if columns.iter().all(|column| present.iter().any(|it| it == column)) {
            let columns = columns.join(", ");
            let statement = format!("CREATE INDEX IF NOT EXISTS {name} ON {table}({columns})");
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// Adds what is missing.
pub(super) async fn add_columns(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if !has(connection, "sends").await? {
        sqlx::raw_sql(
            // What an older engine left was sent once at least, or nearly so.
            "ALTER TABLE engine_undelivered_work ADD COLUMN sends INTEGER NOT NULL DEFAULT 0; \
             UPDATE engine_undelivered_work SET sends = 1",
        )
        .execute(&mut *connection)
        .await?;
    }
    if !has(connection, "request").await? {
        sqlx::raw_sql("ALTER TABLE engine_undelivered_work ADD COLUMN request BLOB")
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn has(connection: &mut SqliteConnection, column: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('engine_undelivered_work') WHERE lower(name) = $1)",
    )
    .bind(column)
    .fetch_one(connection)
    .await
}
