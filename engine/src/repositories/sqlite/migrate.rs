//! Brings a database to the legacy's present tables.
//!
//! The state of the file decides at every start, not a record of what was done before: the legacy may have worked
//! in it, or made it anew, since.

mod columns;

use std::collections::BTreeMap;

use sqlx::{Row as _, SqliteConnection, SqlitePool, migrate::Migrator};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");
/// The first of the files that hold the engine's own tables.
const FIRST_OWN: i64 = 4;
/// How the names of the engine's own tables begin.
const OWN: &str = "engine_";

/// Why a database cannot be brought to the present tables.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A table of an older server lacks columns.
    #[error(
        "table {table} lacks the columns {}: it was made by an older server; start the present legacy server over \
         this folder once, it upgrades the table",
        columns.join(", ")
    )]
    OlderTable {
        /// The table.
        table: String,
        /// What it lacks.
        columns: Vec<String>,
    },
}

/// Makes the tables and columns that are missing, in one transaction.
pub(super) async fn run(writer: &SqlitePool) -> Result<(), MigrationError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    check_columns(&mut transaction).await?;
    let present = columns(&mut transaction).await?;
    columns::add_missing(&mut transaction, &present).await?;
    for migration in MIGRATIONS.iter() {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Makes the engine's own tables where they are missing: no upgrade of what the legacy knows, and nothing runs without.
pub(super) async fn make_own(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    for migration in MIGRATIONS
        .iter()
        .filter(|migration| migration.version >= FIRST_OWN)
    {
        sqlx::raw_sql(migration.sql.clone()).execute(writer).await?;
    }
    Ok(())
}

/// Refuses tables that lack columns before anything is made, so that an error changes nothing.
async fn check_columns(connection: &mut SqliteConnection) -> Result<(), MigrationError> {
    match compare(connection).await?.older.into_iter().next() {
        Some((table, columns)) => Err(MigrationError::OlderTable { table, columns }),
        None => Ok(()),
    }
}

/// What a database lacks of the present tables.
pub(super) struct Lacking {
    /// Tables that are not there.
    pub(super) tables: Vec<String>,
    /// Tables that are there, with the columns that they lack and that are not added at the start.
    pub(super) older: Vec<(String, Vec<String>)>,
}

/// Compares a database with the present tables; changes nothing.
pub(super) async fn compare(connection: &mut SqliteConnection) -> Result<Lacking, sqlx::Error> {
    let present = columns(connection).await?;
    let mut model = SqlitePool::connect("sqlite::memory:").await?.acquire().await?;
    for migration in MIGRATIONS.iter() {
        sqlx::raw_sql(migration.sql.clone()).execute(&mut *model).await?;
    }
    let mut lacking = Lacking {
        tables: Vec::new(),
        older: Vec::new(),
    };
    for (table, expected) in columns(&mut model).await? {
        let Some(found) = present.get(&table) else {
            // The engine's own are made at every start.
            if !table.starts_with(OWN) {
                lacking.tables.push(table);
            }
            continue;
        };
        let missing: Vec<String> = expected
            .into_iter()
            .filter(|column| !found.iter().any(|one| one.eq_ignore_ascii_case(column)))
            .filter(|column| !columns::is_added(&table, column))
            .collect();
        if !missing.is_empty() {
            lacking.older.push((table, missing));
        }
    }
    Ok(lacking)
}

async fn columns(connection: &mut SqliteConnection) -> Result<BTreeMap<String, Vec<String>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT tables.name, columns.name FROM sqlite_master AS tables \
         JOIN pragma_table_info(tables.name) AS columns \
         WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' ORDER BY tables.name, columns.cid",
    )
    .fetch_all(connection)
    .await?;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        tables.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
    }
    Ok(tables)
}
