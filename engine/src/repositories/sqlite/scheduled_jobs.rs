//! Table `scheduled_jobs`.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{
    Access, SqliteWork,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::{
        json_reader,
        json_text::column_text,
        scheduled_jobs::{JobChanges, NewJob, ScheduledJob},
    },
    repositories::{
        StoreError,
        scheduled_jobs::{ReadScheduledJobs, WriteScheduledJobs},
    },
};

/// Numbers are cast: a value of another kind, put there by hand, must not hide the whole list.
macro_rules! select_jobs {
    ($condition:literal) => {
        concat!(
            "SELECT id, CAST(name AS TEXT) AS name, CAST(components_json AS TEXT) AS components_json, ",
            "CAST(targets_json AS TEXT) AS targets_json, ",
            "CAST(COALESCE(schedule_type, '') AS TEXT) AS schedule_type, ",
            "CAST(start_ts AS INTEGER) AS start_ts, ",
            "CAST(COALESCE(duration_stop_enabled, 0) AS INTEGER) AS duration_stop_enabled, ",
            "CAST(expiration AS TEXT) AS expiration, ",
            "CAST(COALESCE(execution_context, '') AS TEXT) AS execution_context, ",
            "CAST(credential_id AS INTEGER) AS credential_id, ",
            "CAST(COALESCE(use_service_account, 0) AS INTEGER) AS use_service_account, ",
            "CAST(COALESCE(enabled, 0) AS INTEGER) AS enabled, ",
            "CAST(created_at AS INTEGER) AS created_at, CAST(updated_at AS INTEGER) AS updated_at ",
            "FROM scheduled_jobs ",
            $condition
        )
    };
}

fn read(row: &SqliteRow) -> Result<ScheduledJob, StoreError> {
    let row = Columns::of("scheduled_jobs", row);
    let json = |column| -> Result<_, StoreError> {
        let text: Option<String> = row.get(column)?;
        // Nothing at all is an empty list.
        let text = text.as_deref().filter(|text| !text.is_empty()).unwrap_or("[]");
        Ok(json_reader::read_stored_text(text).ok())
    };
    let switch = |column| Ok::<_, StoreError>(row.get::<i64>(column)? != 0);
    Ok(ScheduledJob {
        id: row.get("id")?,
        name: row.get("name")?,
        components: json("components_json")?,
        targets: json("targets_json")?,
        schedule_type: row.get("schedule_type")?,
        start_ts: row.get("start_ts")?,
        duration_stop_enabled: switch("duration_stop_enabled")?,
        expiration: row.get("expiration")?,
        execution_context: row.get("execution_context")?,
        credential_id: row.get("credential_id")?,
        use_service_account: switch("use_service_account")?,
        enabled: switch("enabled")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl<A: Access> ReadScheduledJobs for A {
    async fn list_jobs(&mut self) -> Result<Vec<ScheduledJob>, StoreError> {
        sqlx::query(select_jobs!("ORDER BY scheduled_jobs.created_at DESC, id"))
            .read_all(self.connection(), read)
            .await
    }

    async fn enabled_jobs(&mut self) -> Result<Vec<ScheduledJob>, StoreError> {
        sqlx::query(select_jobs!("WHERE scheduled_jobs.enabled = 1 ORDER BY id"))
            .read_all(self.connection(), read)
            .await
    }

    async fn find_job(&mut self, id: i64) -> Result<Option<ScheduledJob>, StoreError> {
        sqlx::query(select_jobs!("WHERE id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }
}

#[async_trait]
impl WriteScheduledJobs for SqliteWork {
    async fn insert_job(&mut self, job: &NewJob, now: i64) -> Result<i64, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO scheduled_jobs (name, components_json, targets_json, schedule_type, start_ts, \
             duration_stop_enabled, expiration, execution_context, credential_id, use_service_account, enabled, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        )
        .bind(&job.name)
        .bind(column_text(&job.components))
        .bind(column_text(&job.targets))
        .bind(&job.schedule_type)
        .bind(job.start_ts)
        .bind(job.duration_stop_enabled)
        .bind(&job.expiration)
        .bind(&job.execution_context)
        .bind(job.credential_id)
        .bind(job.use_service_account)
        .bind(job.enabled)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(inserted.last_insert_rowid())
    }

    async fn update_job(&mut self, id: i64, changes: &JobChanges, now: i64) -> Result<bool, StoreError> {
        let schedule = changes.schedule.as_ref();
        let updated = sqlx::query(
            "UPDATE scheduled_jobs SET name = COALESCE($2, name), components_json = COALESCE($3, components_json), \
             targets_json = COALESCE($4, targets_json), schedule_type = COALESCE($5, schedule_type), \
             start_ts = CASE WHEN $5 IS NULL THEN start_ts ELSE $6 END, \
             duration_stop_enabled = COALESCE($7, duration_stop_enabled), \
             expiration = CASE WHEN $15 THEN $8 ELSE expiration END, \
             execution_context = COALESCE($9, execution_context), \
             credential_id = CASE WHEN $10 THEN $11 ELSE credential_id END, \
             use_service_account = COALESCE($12, use_service_account), enabled = COALESCE($13, enabled), \
             updated_at = $14 WHERE id = $1",
        )
        .bind(id)
        .bind(&changes.name)
        .bind(changes.components.as_ref().map(column_text))
        .bind(changes.targets.as_ref().map(column_text))
        .bind(schedule.map(|(word, _)| word))
        .bind(schedule.and_then(|(_, start)| *start))
        .bind(changes.duration_stop_enabled)
        .bind(changes.expiration.as_ref().and_then(Option::as_ref))
        .bind(&changes.execution_context)
        .bind(changes.credential_id.is_some())
        .bind(changes.credential_id.flatten())
        .bind(changes.use_service_account)
        .bind(changes.enabled)
        .bind(now)
        .bind(changes.expiration.is_some())
        .execute(self.connection())
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    async fn delete_job(&mut self, id: i64) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM scheduled_jobs WHERE id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}
