//! Tables `sites` and `device_sites`.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;

use super::{
    Access, SqliteWork,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::{
        json::Json,
        json_text::column_text,
        sites::{HostSite, Site, SiteAssignment},
    },
    repositories::{
        StoreError,
        devices::listing::Visitor,
        sites::{ReadSites, WriteSites},
    },
};

macro_rules! select_sites {
    ($rest:literal) => {
        concat!(
            "SELECT sites.id, sites.name, COALESCE(sites.description, '') AS description, \
             sites.created_at, \
             (SELECT COUNT(*) FROM device_sites WHERE device_sites.site_id = sites.id) AS device_count FROM sites ",
            $rest
        )
    };
}

fn read(row: &SqliteRow) -> Result<Site, StoreError> {
    let row = Columns::of("sites", row);
    Ok(Site {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        created_at: row.stored("created_at")?,
        device_count: row.get("device_count")?,
    })
}

fn read_assignment(row: &SqliteRow) -> Result<SiteAssignment, StoreError> {
    let row = Columns::of("device_sites", row);
    Ok(SiteAssignment {
        hostname: row.get("device_hostname")?,
        site_id: row.get("site_id")?,
        site_name: row.get("site_name")?,
    })
}

macro_rules! select_assignments {
    ($rest:literal) => {
        concat!(
            "SELECT device_sites.device_hostname, device_sites.site_id, sites.name AS site_name FROM device_sites \
             JOIN sites ON sites.id = device_sites.site_id ",
            $rest
        )
    };
}

#[async_trait]
impl<A: Access> ReadSites for A {
    async fn list_sites(&mut self) -> Result<Vec<Site>, StoreError> {
        // Counted once for all of them: a count for each would look at every assignment as often.
        sqlx::query(
            "SELECT sites.id, sites.name, COALESCE(sites.description, '') AS description, \
             sites.created_at, \
             COALESCE(counts.device_count, 0) AS device_count FROM sites \
             LEFT JOIN (SELECT site_id, COUNT(*) AS device_count FROM device_sites GROUP BY site_id) AS counts \
             ON counts.site_id = sites.id ORDER BY LOWER(sites.name), sites.id",
        )
        .read_all(self.connection(), read)
        .await
    }

    async fn find_site(&mut self, id: i64) -> Result<Option<Site>, StoreError> {
        sqlx::query(select_sites!("WHERE sites.id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_site_id(&mut self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM sites WHERE name = $1")
            .bind(name)
            .fetch_optional(self.connection())
            .await?)
    }

    async fn site_assignments(
        &mut self,
        hostnames: Option<&[String]>,
    ) -> Result<Vec<SiteAssignment>, StoreError> {
        let query = match hostnames {
            None => sqlx::query(select_assignments!("ORDER BY device_sites.rowid")),
            // One statement for however many names.
            Some(hostnames) => sqlx::query(select_assignments!(
                "WHERE device_sites.device_hostname IN (SELECT value FROM json_each($1))"
            ))
            .bind(column_text(&Json::list(hostnames.iter().map(String::as_str)))),
        };
        query
            .fetch_all(self.connection())
            .await?
            .iter()
            .map(read_assignment)
            .collect()
    }

    async fn search_sites(&mut self, visitor: &mut Visitor<'_, HostSite>) -> Result<(), StoreError> {
        let mut rows =
            sqlx::query("SELECT id, name, COALESCE(description, '') AS description FROM sites ORDER BY id")
                .fetch(self.connection());
        while let Some(row) = rows.try_next().await? {
            let row = Columns::of("sites", &row);
            let site = HostSite {
                id: row.get("id")?,
                name: row.get("name")?,
                description: row.get("description")?,
            };
            if visitor(site).is_break() {
                break;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl WriteSites for SqliteWork {
    async fn insert_site(&mut self, name: &str, description: &str, now: i64) -> Result<i64, StoreError> {
        let done = sqlx::query("INSERT INTO sites (name, description, created_at) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(description)
            .bind(now)
            .execute(self.connection())
            .await?;
        Ok(done.last_insert_rowid())
    }

    async fn rename_site(&mut self, id: i64, name: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE sites SET name = $2 WHERE id = $1")
            .bind(id)
            .bind(name)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn delete_site(&mut self, id: i64) -> Result<bool, StoreError> {
        sqlx::query("DELETE FROM device_sites WHERE site_id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        let deleted = sqlx::query("DELETE FROM sites WHERE id = $1")
            .bind(id)
            .execute(self.connection())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn assign_to_site(&mut self, id: i64, hostname: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO device_sites (device_hostname, site_id, assigned_at) VALUES ($1, $2, $3) \
             ON CONFLICT (device_hostname) DO UPDATE SET site_id = excluded.site_id, \
             assigned_at = excluded.assigned_at",
        )
        .bind(hostname)
        .bind(id)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
