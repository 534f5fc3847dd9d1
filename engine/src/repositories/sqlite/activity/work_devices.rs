//! The engine's own table `engine_activity_devices`.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::{
    domain::{guid::Guid, work_devices::BoundTo},
    repositories::{
        StoreError,
        activity::work_devices::{ReadWorkDevices, WriteWorkDevices},
        sqlite::{
            Access, SqliteWork,
            rows::{Columns, ReadRows as _},
        },
    },
};

/// The record of an activity. It counts unless the row says another host: rows are the legacy's to change. It outlives
/// a cleared history, since results may still come.
macro_rules! join_note {
    ($activity:literal) => {
        concat!(
            " LEFT JOIN activity_history AS a ON a.id = ",
            $activity,
            " LEFT JOIN engine_activity_devices AS d ON d.activity_id = ",
            $activity,
            " AND (a.id IS NULL OR d.hostname IS a.hostname) "
        )
    };
}

fn read(row: &SqliteRow) -> Result<Option<BoundTo>, StoreError> {
    let row = Columns::of("engine_activity_devices", row);
    let noted: bool = row.get("noted")?;
    let guid: Option<String> = row.get("guid")?;
    Ok(noted.then(|| BoundTo::of(guid.as_deref().and_then(Guid::normalize))))
}

#[async_trait]
impl<A: Access> ReadWorkDevices for A {
    async fn device_of_activity(&mut self, activity_id: i64) -> Result<Option<BoundTo>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT d.activity_id IS NOT NULL AS noted, d.guid FROM (SELECT $1 AS id) AS wanted",
            join_note!("wanted.id")
        ))
        .bind(activity_id)
        .fetch_one(self.connection())
        .await?;
        read(&row)
    }

    async fn devices_of_run(&mut self, run_id: i64) -> Result<Vec<Option<BoundTo>>, StoreError> {
        sqlx::query(concat!(
            "SELECT d.activity_id IS NOT NULL AS noted, d.guid FROM scheduled_job_run_activity AS l",
            join_note!("l.activity_id"),
            "WHERE l.run_id = $1 ORDER BY l.id"
        ))
        .bind(run_id)
        .read_all(self.connection(), read)
        .await
    }
}

#[async_trait]
impl WriteWorkDevices for SqliteWork {
    async fn forget_orphaned_devices(&mut self) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM engine_activity_devices AS d \
             WHERE NOT EXISTS (SELECT 1 FROM activity_history AS a WHERE a.id = d.activity_id) \
             AND NOT EXISTS (SELECT 1 FROM scheduled_job_run_activity AS l WHERE l.activity_id = d.activity_id)",
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
