//! No statement looks through a whole table of the fleet's size but those that are listed here with their reasons.
//! Everything that is read and changed for requests passes [`Statements`]. Debug builds, and so all tests, ask SQLite how
//! it would go about each statement over the tables of a new database, and panic where it would scan one of these
//! tables; release builds know nothing of it.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    AssertSqlSafe, Connection as _, Describe, Either, Error, Execute, Executor, Row as _, SqlStr, Sqlite,
    SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTypeInfo},
};

use super::{failure::Failure, migrate};

/// The tables that grow with the fleet and with time.
const LARGE: [&str; 5] = [
    "activity_history",
    "device_keys",
    "devices",
    "refresh_tokens",
    "scheduled_job_runs",
];

/// Statements that scan one of them: what they hold, and why they may.
const MAY_SCAN: &[(&str, &str)] = &[
    (
        "FROM devices ORDER BY rowid",
        "all devices: at a start, and in lists that operators ask for",
    ),
    (
        "FROM devices WHERE typeof(hostname) = 'text' ORDER BY hostname",
        "the names alone, which their index holds, for a name that no device has letter by letter",
    ),
    (
        "WHERE ($1 IS NULL OR instr(lower(devices.",
        "the search, while the index in memory cannot be asked",
    ),
    (
        "SELECT guid FROM devices WHERE agent_id = $1",
        "the devices of an agent, while the index in memory cannot be asked",
    ),
    (
        "AS has_stderr FROM activity_history WHERE hostname = $1",
        "the history of a host, while the index in memory cannot be asked",
    ),
    (
        "DELETE FROM activity_history WHERE hostname = $1",
        "the same, where it is cleared",
    ),
    (
        "UPDATE devices SET status = $2 WHERE CAST(guid AS TEXT) = $1",
        "an operator revokes a device, whose GUID may be stored as any kind of value",
    ),
    (
        "UPDATE refresh_tokens SET revoked_at = $2 WHERE guid IN",
        "a device is revoked or gets another key: the GUIDs alone, which their index holds, in any letter case",
    ),
    (
        "FROM activity_history AS a JOIN scheduled_job_run_activity AS l",
        "the scheduler looks once a minute for what outlived its run",
    ),
    (
        "FROM scheduled_job_runs AS r LEFT JOIN scheduled_jobs AS j",
        "the scheduler looks once a minute at the runs that are open",
    ),
    (
        "DELETE FROM scheduled_job_runs AS r WHERE COALESCE(r.finished_ts",
        "the scheduler looks once a minute for runs that are too old to keep",
    ),
];

/// A connection that statements run on.
#[derive(Debug)]
pub(super) struct Statements<'c> {
    connection: &'c mut SqliteConnection,
    /// Where it is noted why a statement failed.
    failure: Option<&'c mut Option<Failure>>,
}

impl<'c> Statements<'c> {
    pub(super) fn on(connection: &'c mut SqliteConnection) -> Self {
        Self::noting(connection, None)
    }

    pub(super) fn noting(
        connection: &'c mut SqliteConnection,
        failure: Option<&'c mut Option<Failure>>,
    ) -> Self {
        Self { connection, failure }
    }
}

/// Notes why a statement failed, where it did.
fn note<'e, T: 'e>(
    rows: BoxStream<'e, Result<T, Error>>,
    failure: Option<&'e mut Option<Failure>>,
) -> BoxStream<'e, Result<T, Error>> {
    match failure {
        None => rows,
        Some(failure) => rows.inspect_err(|error| *failure = Failure::of(error)).boxed(),
    }
}

impl<'c> Executor<'c> for Statements<'c> {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        if !cfg!(debug_assertions) {
            return note(self.connection.fetch_many(query), self.failure);
        }
        let arguments = match query.take_arguments().map_err(Error::Encode) {
            Ok(arguments) => arguments,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let sql = query.sql();
        let looked_at = async move {
            look_at(&sql, arguments.is_some()).await;
            Ok::<_, Error>(note(self.connection.fetch_many((sql, arguments)), self.failure))
        };
        looked_at.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, mut query: E) -> BoxFuture<'e, Result<Option<SqliteRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        if !cfg!(debug_assertions) {
            let found = self.connection.fetch_optional(query);
            return match self.failure {
                None => found,
                Some(failure) => found.inspect_err(|error| *failure = Failure::of(error)).boxed(),
            };
        }
        async move {
            let arguments = query.take_arguments().map_err(Error::Encode)?;
            let sql = query.sql();
            look_at(&sql, arguments.is_some()).await;
            let found = self.connection.fetch_optional((sql, arguments)).await;
            if let (Err(error), Some(failure)) = (&found, self.failure) {
                *failure = Failure::of(error);
            }
            found
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [SqliteTypeInfo],
    ) -> BoxFuture<'e, Result<SqliteStatement, Error>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Sqlite>, Error>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}

/// What was looked at in this process.
static LOOKED_AT: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// What is not prepared is no statement of a request.
async fn look_at(sql: &SqlStr, is_prepared: bool) {
    if !is_prepared {
        return;
    }
    let is_new = LOOKED_AT
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_default()
        .insert(sql.as_str().to_owned());
    if !is_new {
        return;
    }
    let scans = scans(sql.as_str()).await;
    let is_listed = MAY_SCAN.iter().any(|(held, _)| sql.as_str().contains(held));
    assert!(
        scans.is_empty() || is_listed,
        "a statement looks at every row of {scans:?}: {}\nask by a column that has an index, or say in `plans.rs` why it may",
        sql.as_str()
    );
}

/// The large tables of which this statement looks at every row, by index or not.
async fn scans(sql: &str) -> Vec<String> {
    let Ok(plan) = plan(sql).await else {
        // It says so itself where it runs. What is no single statement has no plan, and is nothing that requests run.
        return Vec::new();
    };
    let names = names(sql);
    plan.iter()
        .filter_map(|step| {
            // An index for this one statement is made of all rows, too.
            let made_for_it = || {
                step.strip_prefix("SEARCH ")
                    .filter(|how| how.contains(" AUTOMATIC "))
            };
            let scanned = step.strip_prefix("SCAN ").or_else(made_for_it);
            scanned?.split_whitespace().next()
        })
        .filter_map(|scanned| names.iter().find(|(name, _)| name == scanned))
        .map(|(_, table)| (*table).to_owned())
        .collect()
}

/// How SQLite goes about a statement over the tables of a new database.
async fn plan(sql: &str) -> Result<Vec<String>, Error> {
    static TABLES: tokio::sync::Mutex<Option<SqliteConnection>> = tokio::sync::Mutex::const_new(None);
    let mut tables = TABLES.lock().await;
    if tables.is_none() {
        let mut made = SqliteConnection::connect("sqlite::memory:").await?;
        migrate::make(&mut made, 0).await?;
        *tables = Some(made);
    }
    let Some(connection) = tables.as_mut() else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
        .persistent(false)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| row.try_get("detail")).collect()
}

/// The names that the large tables have in a statement: their own, and the other one that may stand behind it, with `AS`
/// or without.
fn names(sql: &str) -> Vec<(String, &'static str)> {
    let words: Vec<_> = sql
        .split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    let renamed = words.iter().enumerate().filter_map(|(position, word)| {
        let table = LARGE.into_iter().find(|large| large == word)?;
        let mut behind = words.iter().skip(position + 1);
        let name = behind.find(|word| **word != "AS")?;
        Some(((*name).to_owned(), table))
    });
    renamed
        .chain(LARGE.into_iter().map(|table| (table.to_owned(), table)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_at_every_row_is_seen_under_any_name_and_in_any_place() {
        for (sql, scanned) in [
            ("SELECT guid FROM devices WHERE agent_id = $1", vec!["devices"]),
            (
                "SELECT d.guid FROM devices AS d WHERE d.agent_id = $1",
                vec!["devices"],
            ),
            (
                "SELECT d.guid FROM devices d WHERE d.agent_id = $1",
                vec!["devices"],
            ),
            ("SELECT hostname FROM devices ORDER BY hostname", vec!["devices"]),
            (
                "DELETE FROM activity_history WHERE hostname = $1",
                vec!["activity_history"],
            ),
            (
                "UPDATE sites SET name = $1 WHERE id IN (SELECT d.uptime FROM devices AS d)",
                vec!["devices"],
            ),
            ("SELECT hostname FROM devices WHERE guid = $1", vec![]),
            ("UPDATE devices SET status = $1 WHERE hostname = $2", vec![]),
            ("SELECT name FROM sites", vec![]),
        ] {
            assert_eq!(scans(sql).await, scanned, "{sql}");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "looks at every row of [\"devices\"]")]
    async fn a_statement_that_is_not_listed_may_look_at_no_large_table_as_a_whole() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let statement = sqlx::query("SELECT guid FROM devices WHERE uptime = 7");
        let _ = statement.execute(Statements::on(&mut connection)).await;
    }
}
