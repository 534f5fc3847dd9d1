//! The database as somebody beside the server sees and changes it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use sqlx::{
    AssertSqlSafe, Column, Connection, Row, Sqlite, SqliteConnection, TypeInfo, ValueRef,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow},
};

use crate::mask::MOST_ROWS;

/// How long another writer may hold the file.
const PATIENCE: Duration = Duration::from_secs(10);

/// SQLite's SQLITE_CANTOPEN: a server in another process is making or removing its journals at this moment.
const CANNOT_OPEN: &str = "14";
const TRIES: usize = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        // What somebody with a plain SQLite shell has: declared references are not enforced.
        .foreign_keys(false);
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match SqliteConnection::connect_with(&options).await {
            Err(sqlx::Error::Database(error))
                if tries > 0 && error.code().as_deref() == Some(CANNOT_OPEN) =>
            {
                pause().await;
            }
            result => return result,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "another process is at it, in real time")]
async fn pause() {
    tokio::time::sleep(BETWEEN_TRIES).await;
}

/// Runs a statement for its effect.
///
/// # Errors
/// What SQLite says.
pub async fn execute(
    path: &Path,
    statement: &str,
    params: &[Value],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut connection = open(path).await?;
    let query = bind(sqlx::query(AssertSqlSafe(at_time(statement, now))), params);
    let result = query.execute(&mut connection).await;
    connection.close().await?;
    result.map(|_| ())
}

/// Runs a query and reads all its rows; blobs become `base64:…`.
///
/// # Errors
/// What SQLite says.
pub async fn rows(
    path: &Path,
    statement: &str,
    params: &[Value],
    now: Timestamp,
) -> Result<Vec<Map<String, Value>>, sqlx::Error> {
    let mut connection = open(path).await?;
    let query = bind(sqlx::query(AssertSqlSafe(at_time(statement, now))), params);
    let result = query.fetch_all(&mut connection).await;
    connection.close().await?;
    result?.iter().map(read_row).collect()
}

/// The rows of every table that is not SQLite's own, the first [`MOST_ROWS`] of each in the order of the table.
///
/// # Errors
/// What SQLite says.
pub async fn tables(path: &Path) -> Result<BTreeMap<String, Vec<Map<String, Value>>>, sqlx::Error> {
    let mut connection = open(path).await?;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut tables = BTreeMap::new();
    for name in names {
        let quoted = name.replace('"', "\"\"");
        let query = format!("SELECT * FROM \"{quoted}\" LIMIT {MOST_ROWS}");
        let rows = sqlx::query(AssertSqlSafe(query))
            .fetch_all(&mut connection)
            .await?;
        let rows = rows.iter().map(read_row).collect::<Result<_, _>>()?;
        tables.insert(name, rows);
    }
    connection.close().await?;
    Ok(tables)
}

fn bind<'q>(
    mut query: Query<'q, Sqlite, SqliteArguments>,
    params: &[Value],
) -> Query<'q, Sqlite, SqliteArguments> {
    for value in params {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Bool(truth) => query.bind(i64::from(*truth)),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => query.bind(whole),
                None => query.bind(number.as_f64()),
            },
            Value::String(text) => match text
                .strip_prefix("base64:")
                .and_then(|blob| BASE64.decode(blob).ok())
            {
                Some(blob) => query.bind(blob),
                None => query.bind(text.clone()),
            },
            other => query.bind(other.to_string()),
        };
    }
    query
}

fn read_row(row: &SqliteRow) -> Result<Map<String, Value>, sqlx::Error> {
    let mut fields = Map::new();
    for column in row.columns() {
        let index = column.ordinal();
        let raw = row.try_get_raw(index)?;
        let kind = raw.type_info().name().to_owned();
        let value = match kind.as_str() {
            _ if raw.is_null() => Value::Null,
            "INTEGER" => Value::from(row.try_get_unchecked::<i64, _>(index)?),
            "REAL" => {
                let real: f64 = row.try_get_unchecked(index)?;
                // Infinity is no number of JSON, and not nothing either.
                Number::from_f64(real).map_or_else(|| Value::String(format!("real:{real}")), Value::Number)
            }
            "TEXT" => Value::String(row.try_get_unchecked(index)?),
            _ => Value::String(format!(
                "base64:{}",
                BASE64.encode(row.try_get_unchecked::<Vec<u8>, _>(index)?)
            )),
        };
        fields.insert(column.name().to_owned(), value);
    }
    Ok(fields)
}

/// SQLite's own clock shows real time; the scenario's time takes its place.
fn at_time(statement: &str, now: Timestamp) -> String {
    let stamp = now.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    let mut out = statement.replace("('now'", &format!("('{stamp}'"));
    for before in [", 'now'", ",'now'"] {
        out = out.replace(before, &format!(", '{stamp}'"));
    }
    out.replace(
        "CURRENT_TIMESTAMP",
        &format!("'{}'", now.strftime("%Y-%m-%d %H:%M:%S")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn values_keep_their_kind_and_now_is_the_scenario_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, b"").unwrap();
        let now = Timestamp::from_millisecond(1_700_000_000_250).unwrap();
        execute(&path, "CREATE TABLE t (a, b, c, d, e)", &[], now)
            .await
            .unwrap();
        let params = [
            json!(7),
            json!(1.5),
            json!("x"),
            json!("base64:AAE="),
            Value::Null,
        ];
        execute(&path, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", &params, now)
            .await
            .unwrap();
        let query = "SELECT *, strftime('%s', 'now') AS s, datetime('now') AS n FROM t WHERE a = ?";
        let found = rows(&path, query, &[json!(7)], now).await.unwrap();
        assert_eq!(
            Value::Object(found[0].clone()),
            json!({"a": 7, "b": 1.5, "c": "x", "d": "base64:AAE=", "e": null, "s": "1700000000", "n": "2023-11-14 22:13:20"})
        );
        let infinite = rows(&path, "SELECT 9e999 AS most, -9e999 AS least", &[], now)
            .await
            .unwrap();
        assert_eq!(
            Value::Object(infinite[0].clone()),
            json!({"most": "real:inf", "least": "real:-inf"})
        );
    }
}
