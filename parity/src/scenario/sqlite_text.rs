//! The texts in a SQLite file: what stands in a database before the start belongs to the scenario.

use std::path::Path;

use sqlx::{
    AssertSqlSafe, Column, Connection, Row, SqliteConnection, TypeInfo, ValueRef,
    sqlite::SqliteConnectOptions,
};

/// Every text cell of every table.
///
/// # Errors
/// If the bytes are no readable database.
pub fn texts(database: &[u8]) -> std::io::Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("database.db");
    std::fs::write(&path, database)?;
    // A thread of its own, so that callers inside and outside a runtime may ask alike.
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(read(&path)).map_err(std::io::Error::other)
        });
        reader
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("the reader stopped")))
    })
}

async fn read(path: &Path) -> Result<Vec<String>, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut connection)
        .await?;
    let mut found = Vec::new();
    for table in tables {
        let query = format!("SELECT * FROM \"{}\"", table.replace('"', "\"\""));
        for row in sqlx::query(AssertSqlSafe(query))
            .fetch_all(&mut connection)
            .await?
        {
            for column in row.columns() {
                let value = row.try_get_raw(column.ordinal())?;
                if value.type_info().name() == "TEXT" {
                    found.push(row.try_get_unchecked(column.ordinal())?);
                }
            }
        }
    }
    connection.close().await?;
    Ok(found)
}
