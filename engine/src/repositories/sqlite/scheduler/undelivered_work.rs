//! The engine's own table `engine_undelivered_work`.

use crate::{
    domain::{
        job_runs::status,
        undelivered_work::{NewUndelivered, Source, UndeliveredComponent, UndeliveredQuickRun},
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
            "SELECT u.activity_id, u.sends, u.request, CAST(COALESCE(a.hostname, '') AS TEXT) AS hostname, \
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
                request: note.get("request")?,
                hostname: note.get("hostname")?,
                asked_at: note.get("ran_at")?,
                activity_status: note.get("activity_status")?,
            })
        })
        .await
    }
}

#[async_trait]
impl WriteUndeliveredWork for SqliteWork {
    async fn note_undelivered(&mut self, work: &NewUndelivered<'_>) -> Result<(), StoreError> {
        let (component, request, patience) = match work.source {
            Source::Component(index) => (index, None, None),
            Source::QuickRun { request, patience } => (0, Some(request), patience),
        };
        sqlx::query(
            "INSERT OR REPLACE INTO engine_undelivered_work (activity_id, component_index, request, patience) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(work.activity_id)
        .bind(component)
        .bind(request)
        .bind(patience)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn note_arrived(&mut self, activity_id: i64, now: i64) -> Result<(), StoreError> {
        let deleted =
            sqlx::query("DELETE FROM engine_undelivered_work WHERE activity_id = $1 AND patience IS NULL")
                .bind(activity_id)
                .execute(self.connection())
                .await?;
        if deleted.rows_affected() == 0 {
            sqlx::query("UPDATE engine_undelivered_work SET until = $2 + patience WHERE activity_id = $1")
                .bind(activity_id)
                .bind(now)
                .execute(self.connection())
                .await?;
        }
        Ok(())
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
        let deleted = sqlx::query("DELETE FROM engine_undelivered_work WHERE activity_id = $1")
            .bind(activity_id)
            .execute(self.connection())
            .await?;
        Ok(deleted.rows_affected() > 0)
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
        Ok(())
    }
}
