//! Tables `scheduled_job_runs` and `scheduled_job_run_activity`.

pub(super) mod undelivered_work;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::{
    domain::job_runs::{JobRun, NewRun, NewRunActivity, OpenRun, RunActivity, RunCount, status},
    repositories::{
        StoreError,
        scheduler::{ReadJobRuns, WriteJobRuns},
        sqlite::{
            Access, SqliteWork,
            activity::has_text,
            rows::{Columns, ReadRows as _},
        },
    },
};

/// The columns of a run; numbers are cast, because the legacy's column types bind nobody.
macro_rules! run_columns {
    () => {
        "r.id, r.job_id, CAST(r.target_hostname AS TEXT) AS target_hostname, \
         CAST(r.scheduled_ts AS INTEGER) AS scheduled_ts, CAST(r.started_ts AS INTEGER) AS started_ts, \
         CAST(r.finished_ts AS INTEGER) AS finished_ts, CAST(COALESCE(r.status, '') AS TEXT) AS status, \
         CAST(COALESCE(r.error, '') AS TEXT) AS error "
    };
}
pub(in crate::repositories::sqlite) use run_columns;

pub(in crate::repositories::sqlite) fn read(row: &SqliteRow) -> Result<JobRun, StoreError> {
    let row = Columns::of("scheduled_job_runs", row);
    Ok(JobRun {
        id: row.get("id")?,
        job_id: row.get("job_id")?,
        hostname: row.get("target_hostname")?,
        scheduled_ts: row.get("scheduled_ts")?,
        started_ts: row.get("started_ts")?,
        finished_ts: row.get("finished_ts")?,
        status: row.get("status")?,
        error: row.get("error")?,
    })
}

#[async_trait]
impl<A: Access> ReadJobRuns for A {
    async fn run_counts(&mut self, job_id: Option<i64>) -> Result<Vec<RunCount>, StoreError> {
        sqlx::query(
            "SELECT r.job_id, CAST(r.scheduled_ts AS INTEGER) AS scheduled_ts, \
             CAST(COALESCE(r.status, '') AS TEXT) AS status, COUNT(*) AS runs \
             FROM scheduled_jobs AS j CROSS JOIN scheduled_job_runs AS r ON r.job_id = j.id AND r.scheduled_ts = \
             (SELECT MAX(latest.scheduled_ts) FROM scheduled_job_runs AS latest WHERE latest.job_id = j.id) \
             WHERE $1 IS NULL OR j.id = $1 GROUP BY j.id, r.scheduled_ts, r.status",
        )
        .bind(job_id)
        .read_all(self.connection(), |row| {
            let row = Columns::of("scheduled_job_runs", row);
            Ok(RunCount {
                job_id: row.get("job_id")?,
                occurrence: row.get("scheduled_ts")?,
                status: row.get("status")?,
                count: row.get("runs")?,
            })
        })
        .await
    }

    async fn latest_occurrence(&mut self, job_id: i64) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT CAST(MAX(scheduled_ts) AS INTEGER) FROM scheduled_job_runs WHERE job_id = $1",
        )
        .bind(job_id)
        .fetch_one(self.connection())
        .await?)
    }

    async fn list_runs(&mut self, job_id: i64, since: i64, limit: i64) -> Result<Vec<JobRun>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            "FROM scheduled_job_runs AS r WHERE r.job_id = $1 \
             AND COALESCE(r.finished_ts, r.started_ts, r.scheduled_ts, 0) >= $2 \
             ORDER BY COALESCE(r.started_ts, r.scheduled_ts, 0) DESC, r.id DESC LIMIT $3"
        ))
        .bind(job_id)
        .bind(since)
        .bind(limit)
        .read_all(self.connection(), read)
        .await
    }

    async fn runs_of_occurrence(&mut self, job_id: i64, occurrence: i64) -> Result<Vec<JobRun>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            "FROM scheduled_job_runs AS r WHERE r.job_id = $1 AND r.scheduled_ts = $2 ORDER BY r.id"
        ))
        .bind(job_id)
        .bind(occurrence)
        .read_all(self.connection(), read)
        .await
    }

    async fn busy_hosts(&mut self, job_id: i64) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT DISTINCT CAST(target_hostname AS TEXT) FROM scheduled_job_runs \
             WHERE job_id = $1 AND status IN ($2, $3) AND target_hostname IS NOT NULL",
        )
        .bind(job_id)
        .bind(status::RUNNING)
        .bind(status::PENDING)
        .fetch_all(self.connection())
        .await?)
    }

    async fn activities_of_occurrence(
        &mut self,
        job_id: i64,
        occurrence: i64,
    ) -> Result<Vec<RunActivity>, StoreError> {
        sqlx::query(concat!(
            "SELECT l.run_id, l.activity_id, CAST(COALESCE(l.component_kind, '') AS TEXT) AS component_kind, \
             CAST(COALESCE(l.script_type, '') AS TEXT) AS script_type, \
             CAST(COALESCE(l.component_path, '') AS TEXT) AS component_path, \
             CAST(COALESCE(l.component_name, '') AS TEXT) AS component_name, ",
            has_text!("a.stdout"),
            " AS has_stdout, ",
            has_text!("a.stderr"),
            " AS has_stderr FROM scheduled_job_runs AS r JOIN scheduled_job_run_activity AS l ON l.run_id = r.id \
             LEFT JOIN activity_history AS a ON a.id = l.activity_id \
             WHERE r.job_id = $1 AND r.scheduled_ts = $2 ORDER BY l.run_id, l.id"
        ))
        .bind(job_id)
        .bind(occurrence)
        .read_all(self.connection(), |row| {
            let row = Columns::of("scheduled_job_run_activity", row);
            Ok(RunActivity {
                run_id: row.get("run_id")?,
                activity_id: row.get("activity_id")?,
                component_kind: row.get("component_kind")?,
                script_type: row.get("script_type")?,
                component_path: row.get("component_path")?,
                component_name: row.get("component_name")?,
                has_stdout: row.get("has_stdout")?,
                has_stderr: row.get("has_stderr")?,
            })
        })
        .await
    }

    async fn find_run(&mut self, id: i64) -> Result<Option<JobRun>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            "FROM scheduled_job_runs AS r WHERE r.id = $1"
        ))
        .bind(id)
        .read_one(self.connection(), read)
        .await
    }

    async fn run_of_activity(&mut self, activity_id: i64) -> Result<Option<JobRun>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            "FROM scheduled_job_run_activity AS l JOIN scheduled_job_runs AS r ON r.id = l.run_id \
             WHERE l.activity_id = $1"
        ))
        .bind(activity_id)
        .read_one(self.connection(), read)
        .await
    }

    async fn open_runs(&mut self) -> Result<Vec<OpenRun>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            ", CAST(j.expiration AS TEXT) AS expiration, \
             EXISTS (SELECT 1 FROM scheduled_job_run_activity AS l \
                     JOIN engine_undelivered_work AS u ON u.activity_id = l.activity_id \
                     WHERE l.run_id = r.id) AS undelivered, \
             r.id IN (SELECT scheduled_run_id FROM ansible_play_recaps \
                      WHERE agent_id = 'server' AND status IN ($1, $2) AND scheduled_run_id IS NOT NULL) AS on_server \
             FROM scheduled_job_runs AS r LEFT JOIN scheduled_jobs AS j ON j.id = r.job_id \
             WHERE r.status = $1 ORDER BY r.id"
        ))
        .bind(status::RUNNING)
        .bind(status::PENDING)
        .read_all(self.connection(), |row| {
            let job = Columns::of("scheduled_jobs", row);
            Ok(OpenRun {
                run: read(row)?,
                expiration: job.get("expiration")?,
                undelivered: job.get("undelivered")?,
                on_server: job.get("on_server")?,
            })
        })
        .await
    }

    async fn site_of_host(&mut self, hostname: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT CAST(s.name AS TEXT) FROM device_sites AS d JOIN sites AS s ON s.id = d.site_id \
             WHERE d.device_hostname = $1",
        )
        .bind(hostname)
        .fetch_optional(self.connection())
        .await?)
    }
}

#[async_trait]
impl WriteJobRuns for SqliteWork {
    async fn clear_runs_before(&mut self, job_id: i64, occurrence: i64) -> Result<u64, StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM scheduled_job_runs WHERE job_id = $1 AND COALESCE(scheduled_ts, 0) < $2",
        )
        .bind(job_id)
        .bind(occurrence)
        .execute(self.connection())
        .await?;
        Ok(deleted.rows_affected())
    }

    async fn insert_run(&mut self, run: &NewRun<'_>, now: i64) -> Result<i64, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO scheduled_job_runs (job_id, target_hostname, scheduled_ts, started_ts, finished_ts, status, \
             error, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind(run.job_id)
        .bind(run.hostname)
        .bind(run.occurrence)
        .bind(run.started.then_some(now))
        .bind(run.finished.then_some(now))
        .bind(run.status)
        .bind(run.error)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(inserted.last_insert_rowid())
    }

    async fn set_run_state(&mut self, run: &JobRun, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE scheduled_job_runs SET status = $2, started_ts = $3, finished_ts = $4, \
             error = CASE WHEN $5 = '' THEN error ELSE $5 END, updated_at = $6 WHERE id = $1",
        )
        .bind(run.id)
        .bind(&run.status)
        .bind(run.started_ts)
        .bind(run.finished_ts)
        .bind(&run.error)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn prune_runs(&mut self, before: i64) -> Result<u64, StoreError> {
        // The legacy deletes the latest occurrence too, and with it the job's place in its schedule (SCH-5).
        let deleted = sqlx::query(
            "DELETE FROM scheduled_job_runs AS r \
             WHERE COALESCE(r.finished_ts, r.started_ts, r.scheduled_ts, 0) < $1 \
             AND (r.scheduled_ts IS NULL OR r.scheduled_ts IS NOT (SELECT MAX(l.scheduled_ts) FROM scheduled_job_runs AS l \
                                        WHERE l.job_id = r.job_id AND l.scheduled_ts IS NOT NULL \
                                        AND EXISTS (SELECT 1 FROM scheduled_jobs WHERE id = r.job_id)))",
        )
        .bind(before)
        .execute(self.connection())
        .await?;
        Ok(deleted.rows_affected())
    }

    async fn link_activity(&mut self, link: &NewRunActivity<'_>, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR IGNORE INTO scheduled_job_run_activity (run_id, activity_id, component_kind, script_type, \
             component_path, component_name, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(link.run_id)
        .bind(link.activity_id)
        .bind(link.component_kind)
        .bind(link.script_type)
        .bind(link.component_path)
        .bind(link.component_name)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
