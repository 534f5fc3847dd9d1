//! Table `device_list_views`.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{
    Access, SqliteWork,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::device_views::{DeviceView, DeviceViewChange, NewDeviceView},
    repositories::{
        StoreError,
        device_views::{ReadDeviceViews, WriteDeviceViews},
    },
};

macro_rules! select_views {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, columns_json, filters_json, created_at, updated_at FROM device_list_views ",
            $rest
        )
    };
}

fn read(row: &SqliteRow) -> Result<DeviceView, StoreError> {
    let row = Columns::of("device_list_views", row);
    Ok(DeviceView {
        id: row.get("id")?,
        name: row.get("name")?,
        columns_json: row.get("columns_json")?,
        filters_json: row.get("filters_json")?,
        created_at: row.stored("created_at")?,
        updated_at: row.stored("updated_at")?,
    })
}

#[async_trait]
impl<A: Access> ReadDeviceViews for A {
    async fn list_device_views(&mut self) -> Result<Vec<DeviceView>, StoreError> {
        sqlx::query(select_views!("ORDER BY LOWER(name), id"))
            .read_all(self.connection(), read)
            .await
    }

    async fn find_device_view(&mut self, id: i64) -> Result<Option<DeviceView>, StoreError> {
        sqlx::query(select_views!("WHERE id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_device_view_id(&mut self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT id FROM device_list_views WHERE name = $1")
                .bind(name)
                .fetch_optional(self.connection())
                .await?,
        )
    }
}

#[async_trait]
impl WriteDeviceViews for SqliteWork {
    async fn insert_device_view(&mut self, view: &NewDeviceView, now: i64) -> Result<i64, StoreError> {
        let done = sqlx::query(
            "INSERT INTO device_list_views (name, columns_json, filters_json, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $4)",
        )
        .bind(&view.name)
        .bind(&view.columns_json)
        .bind(&view.filters_json)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(done.last_insert_rowid())
    }

    async fn update_device_view(
        &mut self,
        id: i64,
        change: &DeviceViewChange,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE device_list_views SET name = COALESCE($2, name), columns_json = COALESCE($3, columns_json), \
             filters_json = COALESCE($4, filters_json), updated_at = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(&change.name)
        .bind(&change.columns_json)
        .bind(&change.filters_json)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn delete_device_view(&mut self, id: i64) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM device_list_views WHERE id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}
