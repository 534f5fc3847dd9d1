//! The engine's own tables `engine_undelivered_work` and `engine_quick_run_requests`.

use crate::{
    domain::{
        job_runs::status,
        undelivered_work::{
            NewUndelivered, Source, UndeliveredComponent, UndeliveredCounts, UndeliveredQuickRun,
        },
    },
    repositories::{
        StoreError,
        scheduler::undelivered_work::{ReadUndeliveredWork, WriteUndeliveredWork},
        sqlite::{
            Access, SqliteWork,
            rows::{Columns, ReadRows as _},
            scheduler,
        },
    },
};
use async_trait::async_trait;

#[async_trait]
impl<A: Access> ReadUndeliveredWork for A {
    async fn undelivered_components(&mut self) -> Result<Vec<UndeliveredComponent>, StoreError> {
        sqlx::query(concat!(
            "SELECT ",
            scheduler::run_columns!(),
            ", u.activity_id, u.sends, u.component_index, \
             CAST(COALESCE(l.component_path, '') AS TEXT) AS component_path, \
             CAST(COALESCE(a.status, '') AS TEXT) AS activity_status \
             FROM engine_undelivered_work AS u \
             JOIN activity_history AS a ON a.id = u.activity_id \
             LEFT JOIN scheduled_job_run_activity AS l ON l.activity_id = u.activity_id \
             LEFT JOIN scheduled_job_runs AS r ON r.id = l.run_id \
             WHERE u.request IS NULL ORDER BY u.activity_id"
        ))
        .read_all(self.connection(), |row| {
            let note = Columns::of("engine_undelivered_work", row);
            let run: Option<i64> = note.get("id")?;
            Ok(UndeliveredComponent {
                activity_id: note.get("activity_id")?,
                sends: note.get("sends")?,
                component_index: note.get("component_index")?,
                component_path: note.get("component_path")?,
                activity_status: note.get("activity_status")?,
                run: run.map(|_| scheduler::read(row)).transpose()?,
            })
        })
        .await
    }

    async fn undelivered_quick_runs(&mut self) -> Result<Vec<UndeliveredQuickRun>, StoreError> {
        sqlx::query(
            "SELECT u.activity_id, u.sends, u.request_id, u.run_id, CAST(COALESCE(a.hostname, '') AS TEXT) AS hostname, \
             CAST(COALESCE(a.ran_at, 0) AS INTEGER) AS ran_at, \
             CAST(COALESCE(a.status, '') AS TEXT) AS activity_status \
             FROM engine_undelivered_work AS u JOIN activity_history AS a ON a.id = u.activity_id \
             WHERE u.request IS NOT NULL AND u.until IS NULL ORDER BY u.activity_id",
        )
        .read_all(self.connection(), |row| {
            let note = Columns::of("engine_undelivered_work", row);
            Ok(UndeliveredQuickRun {
                activity_id: note.get("activity_id")?,
                sends: note.get("sends")?,
                request_id: note.get("request_id")?,
                run_id: note.get("run_id")?,
                hostname: note.get("hostname")?,
                asked_at: note.get("ran_at")?,
                activity_status: note.get("activity_status")?,
            })
        })
        .await
    }

    async fn quick_run_request(&mut self, activity_id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT COALESCE(r.request, u.request) FROM engine_undelivered_work AS u \
             LEFT JOIN engine_quick_run_requests AS r ON r.id = u.request_id \
             WHERE u.activity_id = $1 AND u.until IS NULL AND u.request IS NOT NULL",
        )
        .bind(activity_id)
        .fetch_optional(self.connection())
        .await?)
    }

    async fn count_undelivered(&mut self) -> Result<UndeliveredCounts, StoreError> {
        let (of_jobs, of_quick_runs): (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE u.request IS NULL), \
             COUNT(*) FILTER (WHERE u.request IS NOT NULL AND u.until IS NULL) \
             FROM engine_undelivered_work AS u \
             WHERE EXISTS (SELECT 1 FROM activity_history AS a WHERE a.id = u.activity_id)",
        )
        .fetch_one(self.connection())
        .await?;
        let count = |number| usize::try_from(number).unwrap_or_default();
        Ok(UndeliveredCounts {
            of_jobs: count(of_jobs),
            of_quick_runs: count(of_quick_runs),
        })
    }
}

/// Deletes a request that no work which is to reach its agent needs.
async fn forget_request(work: &mut SqliteWork, request_id: Option<i64>) -> Result<(), StoreError> {
    let Some(request_id) = request_id else {
        return Ok(());
    };
    sqlx::query(
        "DELETE FROM engine_quick_run_requests WHERE id = $1 AND NOT EXISTS \
         (SELECT 1 FROM engine_undelivered_work AS u WHERE u.request_id = $1 AND u.until IS NULL)",
    )
    .bind(request_id)
    .execute(work.connection())
    .await?;
    Ok(())
}

#[async_trait]
impl WriteUndeliveredWork for SqliteWork {
    async fn store_quick_run_request(&mut self, request: &[u8]) -> Result<i64, StoreError> {
        // No row gets another's request, not even one whose own was taken away from outside.
        Ok(sqlx::query_scalar(
            "INSERT INTO engine_quick_run_requests (id, request) VALUES (1 + MAX( \
             COALESCE((SELECT MAX(id) FROM engine_quick_run_requests), 0), \
             COALESCE((SELECT MAX(request_id) FROM engine_undelivered_work), 0)), $1) RETURNING id",
        )
        .bind(request)
        .fetch_one(self.connection())
        .await?)
    }

    async fn note_undelivered(&mut self, work: &NewUndelivered<'_>) -> Result<(), StoreError> {
        let (component, request_id, run_id, patience) = match work.source {
            Source::Component(index) => (index, None, None, None),
            Source::QuickRun {
                request_id,
                run_id,
                patience,
            } => (0, Some(request_id), run_id, patience),
        };
        // The empty request tells a quick run, also to an older engine.
        sqlx::query(
            "INSERT OR REPLACE INTO engine_undelivered_work \
             (activity_id, component_index, request, patience, request_id, run_id) \
             VALUES ($1, $2, CASE WHEN $4 IS NOT NULL THEN x'' END, $3, $4, $5)",
        )
        .bind(work.activity_id)
        .bind(component)
        .bind(patience)
        .bind(request_id)
        .bind(run_id)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn note_arrived(&mut self, activity_id: i64, now: i64) -> Result<(), StoreError> {
        let deleted: Option<Option<i64>> = sqlx::query_scalar(
            "DELETE FROM engine_undelivered_work WHERE activity_id = $1 AND patience IS NULL RETURNING request_id",
        )
        .bind(activity_id)
        .fetch_optional(self.connection())
        .await?;
        let request_id = match deleted {
            Some(request_id) => request_id,
            // What has arrived is not sent again, so neither this row nor its request has to say what it was.
            None => sqlx::query_scalar(
                "UPDATE engine_undelivered_work SET until = $2 + patience, request = x'' \
                 WHERE activity_id = $1 RETURNING request_id",
            )
            .bind(activity_id)
            .bind(now)
            .fetch_optional(self.connection())
            .await?
            .flatten(),
        };
        forget_request(self, request_id).await
    }

    async fn take_overdue_results(&mut self, now: i64) -> Result<Vec<i64>, StoreError> {
        Ok(
            sqlx::query_scalar("DELETE FROM engine_undelivered_work WHERE until <= $1 RETURNING activity_id")
                .bind(now)
                .fetch_all(self.connection())
                .await?,
        )
    }

    async fn note_delivered(&mut self, activity_id: i64) -> Result<bool, StoreError> {
        let deleted: Option<Option<i64>> = sqlx::query_scalar(
            "DELETE FROM engine_undelivered_work WHERE activity_id = $1 RETURNING request_id",
        )
        .bind(activity_id)
        .fetch_optional(self.connection())
        .await?;
        forget_request(self, deleted.flatten()).await?;
        Ok(deleted.is_some())
    }

    async fn begin_send(&mut self, activity_id: i64, most: i64) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "UPDATE engine_undelivered_work SET sends = sends + 1 WHERE activity_id = $1 AND sends < $2 \
             AND until IS NULL \
             AND EXISTS (SELECT 1 FROM activity_history WHERE id = $1 AND status = $3) RETURNING sends",
        )
        .bind(activity_id)
        .bind(most)
        .bind(status::RUNNING)
        .fetch_optional(self.connection())
        .await?)
    }

    async fn forget_orphaned_work(&mut self) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM engine_undelivered_work \
             WHERE NOT EXISTS (SELECT 1 FROM activity_history AS a WHERE a.id = activity_id)",
        )
        .execute(self.connection())
        .await?;
        // Also those whose rows were taken away from outside.
        sqlx::query(
            "DELETE FROM engine_quick_run_requests WHERE NOT EXISTS \
             (SELECT 1 FROM engine_undelivered_work AS u \
              WHERE u.request_id = engine_quick_run_requests.id AND u.until IS NULL)",
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
