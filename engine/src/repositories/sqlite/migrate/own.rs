//! Columns that the engine's own tables lack where an older engine made them, and indexes over them.

use sqlx::SqliteConnection;

/// Adds what is missing.
pub(super) async fn add_missing(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
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
    for (column, statement) in [
        (
            "patience",
            "ALTER TABLE engine_undelivered_work ADD COLUMN patience INTEGER",
        ),
        (
            "until",
            "ALTER TABLE engine_undelivered_work ADD COLUMN until INTEGER",
        ),
        (
            "request_id",
            "ALTER TABLE engine_undelivered_work ADD COLUMN request_id INTEGER",
        ),
        (
            "run_id",
            "ALTER TABLE engine_undelivered_work ADD COLUMN run_id TEXT",
        ),
    ] {
        if !has(connection, column).await? {
            sqlx::raw_sql(statement).execute(&mut *connection).await?;
        }
    }
    sqlx::raw_sql(
        "CREATE INDEX IF NOT EXISTS engine_work_by_request ON engine_undelivered_work(request_id, until)",
    )
    .execute(connection)
    .await?;
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
