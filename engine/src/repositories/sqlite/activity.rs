//! Table `activity_history`.

pub(super) mod work_devices;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::{
    domain::{
        activity::{Activity, ActivityLine, EndedActivity, NewActivity},
        guid::Guid,
        job_runs::status,
    },
    repositories::{
        StoreError,
        activity::{ReadActivityHistory, WriteActivityHistory},
        sqlite::{
            Access, SqliteWork,
            indexes::{ActivityHosts, numbers},
            plans::Statements,
            rows::{Columns, ReadRows as _},
        },
    },
};

fn line(row: &SqliteRow) -> Result<Activity, StoreError> {
    let row = Columns::of("activity_history", row);
    Ok(Activity {
        id: row.get("id")?,
        hostname: row.get("hostname")?,
        script_path: row.get("script_path")?,
        script_name: row.get("script_name")?,
        script_type: row.get("script_type")?,
        ran_at: row.get("ran_at")?,
        status: row.get("status")?,
        stdout: None,
        stderr: None,
    })
}

/// Whether a column holds anything but nothing and an empty text, of characters or bytes; SQLite tells that from the head of the row, however long
/// the text is.
macro_rules! has_text {
    ($column:literal) => {
        concat!(
            "(typeof(",
            $column,
            ") NOT IN ('null', 'text', 'blob') OR COALESCE(octet_length(",
            $column,
            "), 0) > 0)"
        )
    };
}
pub(super) use has_text;

macro_rules! select_lines {
    ($condition:literal) => {
        concat!(
            "SELECT id, CAST(hostname AS TEXT) AS hostname, CAST(script_path AS TEXT) AS script_path, \
             CAST(script_name AS TEXT) AS script_name, CAST(script_type AS TEXT) AS script_type, \
             CAST(ran_at AS INTEGER) AS ran_at, CAST(status AS TEXT) AS status, ",
            has_text!("stdout"),
            " AS has_stdout, ",
            has_text!("stderr"),
            " AS has_stderr FROM activity_history WHERE ",
            $condition,
            " ORDER BY activity_history.ran_at DESC, id DESC"
        )
    };
}

/// The activities of exactly this host, the youngest first; `among` these rows, where an index proposes them.
pub(super) async fn of_host(
    connection: Statements<'_>,
    hostname: &str,
    among: Option<String>,
) -> Result<Vec<ActivityLine>, StoreError> {
    let query = match among {
        Some(numbers) => sqlx::query(select_lines!(
            "activity_history.rowid IN (SELECT value FROM json_each($2)) AND hostname = $1"
        ))
        .bind(hostname)
        .bind(numbers),
        None => sqlx::query(select_lines!("hostname = $1")).bind(hostname),
    };
    let rows = query.fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let texts = Columns::of("activity_history", row);
            Ok(ActivityLine {
                activity: line(row)?,
                has_stdout: texts.get("has_stdout")?,
                has_stderr: texts.get("has_stderr")?,
            })
        })
        .collect()
}

#[async_trait]
impl<A: Access> ReadActivityHistory for A {
    async fn find_activity(&mut self, id: i64) -> Result<Option<Activity>, StoreError> {
        let row = sqlx::query(
            "SELECT id, CAST(hostname AS TEXT) AS hostname, CAST(script_path AS TEXT) AS script_path, \
             CAST(script_name AS TEXT) AS script_name, CAST(script_type AS TEXT) AS script_type, \
             CAST(ran_at AS INTEGER) AS ran_at, CAST(status AS TEXT) AS status, CAST(stdout AS TEXT) AS stdout, \
             CAST(stderr AS TEXT) AS stderr FROM activity_history WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let texts = Columns::of("activity_history", &row);
            Ok(Activity {
                stdout: texts.get("stdout")?,
                stderr: texts.get("stderr")?,
                ..line(&row)?
            })
        })
        .transpose()
    }

    async fn activities_outliving_their_runs(
        &mut self,
        begun_by: i64,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        sqlx::query(
            "SELECT a.id, CAST(r.status AS TEXT) AS run_status FROM activity_history AS a \
             JOIN scheduled_job_run_activity AS l ON l.activity_id = a.id \
             JOIN scheduled_job_runs AS r ON r.id = l.run_id \
             WHERE lower(a.status) = lower($1) AND r.status <> $1 \
             AND (r.finished_ts IS NOT NULL OR r.status IN ($2, $3, $5, $6)) \
             AND (r.status IN ($2, $3) \
                  OR (COALESCE(r.started_ts, 0) <= $4 \
                      AND NOT EXISTS (SELECT 1 FROM engine_undelivered_work AS u WHERE u.activity_id = a.id))) \
             ORDER BY a.id",
        )
        .bind(status::RUNNING)
        .bind(status::TIMED_OUT)
        .bind(status::EXPIRED)
        .bind(begun_by)
        .bind(status::SUCCESS)
        .bind(status::FAILED)
        .read_all(self.connection(), |row| {
            let row = Columns::of("activity_history", row);
            Ok((row.get("id")?, row.get("run_status")?))
        })
        .await
    }
}

#[async_trait]
impl WriteActivityHistory for SqliteWork {
    async fn insert_activity(&mut self, activity: &NewActivity<'_>, now: i64) -> Result<i64, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO activity_history (hostname, script_path, script_name, script_type, ran_at, status, stdout, \
             stderr) VALUES ($1, $2, $3, $4, $5, 'Running', '', '')",
        )
        .bind(activity.hostname)
        .bind(activity.script_path)
        .bind(activity.script_name)
        .bind(activity.script_type)
        .bind(now)
        .execute(self.connection())
        .await?;
        let id = inserted.last_insert_rowid();
        sqlx::query("INSERT OR REPLACE INTO engine_activity_devices (activity_id, hostname, guid) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(activity.hostname)
            .bind(activity.bound_to.device().map(Guid::as_str))
            .execute(self.connection())
            .await?;
        Ok(id)
    }

    async fn clear_activities(&mut self, hostname: &str) -> Result<(), StoreError> {
        let of_host = |hosts: &ActivityHosts| hosts.of(hostname);
        let proposed = self
            .indexes
            .activities
            .propose_within(self.turn.connection(), of_host);
        let query = match proposed.await? {
            Some(proposed) => sqlx::query(
                "DELETE FROM activity_history WHERE rowid IN (SELECT value FROM json_each($2)) AND hostname = $1",
            )
            .bind(hostname)
            .bind(numbers(&proposed)?),
            None => sqlx::query("DELETE FROM activity_history WHERE hostname = $1").bind(hostname),
        };
        query.execute(self.connection()).await?;
        Ok(())
    }

    async fn store_result(
        &mut self,
        id: i64,
        status: &str,
        stdout: &str,
        stderr: &str,
        ran_at: Option<i64>,
    ) -> Result<bool, StoreError> {
        let updated = sqlx::query(
            "UPDATE activity_history SET status = $2, stdout = $3, stderr = $4, ran_at = COALESCE($5, ran_at) \
             WHERE id = $1",
        )
        .bind(id)
        .bind(status)
        .bind(stdout)
        .bind(stderr)
        .bind(ran_at)
        .execute(self.connection())
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    async fn store_progress(
        &mut self,
        id: i64,
        status: Option<&str>,
        stdout: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE activity_history SET status = COALESCE($2, status), stdout = COALESCE($3, stdout) WHERE id = $1",
        )
        .bind(id)
        .bind(status)
        .bind(stdout)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn end_activity(
        &mut self,
        id: i64,
        status: &str,
        reason: &str,
    ) -> Result<Option<EndedActivity>, StoreError> {
        let row = sqlx::query(
            "UPDATE activity_history SET status = $2, \
             stderr = CASE WHEN COALESCE(stderr, '') = '' THEN $3 ELSE stderr END WHERE id = $1 AND lower(status) = lower($4) \
             RETURNING CAST(hostname AS TEXT) AS hostname, CAST(script_type AS TEXT) AS script_type",
        )
        .bind(id)
        .bind(status)
        .bind(reason)
        .bind(status::RUNNING)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let row = Columns::of("activity_history", &row);
            Ok(EndedActivity {
                id,
                hostname: row.get("hostname")?,
                script_type: row.get("script_type")?,
                status: status.to_owned(),
            })
        })
        .transpose()
    }
}
