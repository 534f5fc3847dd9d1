//! Tables `devices`, `device_sites` and `sites`, to list.

use std::ops::ControlFlow;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;

use crate::{
    domain::{
        devices::{DeviceKind, InventoryEntry},
        guid::Guid,
        search::{DeviceField, SearchedDevice},
        sites::HostSite,
        text::python_trim,
    },
    repositories::{
        StoreError,
        devices::listing::{InventoryPage, PageStart, ReadInventory, Visitor},
        sqlite::{
            Access,
            device_reports::{document_columns, read_document},
            plans::Statements,
            rows::{Columns, ReadRows as _},
        },
    },
};

macro_rules! in_sites {
    ($columns:expr, $rest:expr) => {
        concat!(
            "SELECT ",
            $columns,
            ", sites.id AS site_id, sites.name AS site_name, sites.description AS site_description FROM devices \
             LEFT JOIN device_sites ON device_sites.device_hostname = devices.hostname \
             LEFT JOIN sites ON sites.id = device_sites.site_id ",
            $rest
        )
    };
}

macro_rules! inventory_query {
    ($rest:expr) => {
        in_sites!(document_columns!(), $rest)
    };
}

macro_rules! page_query {
    ($condition:literal) => {
        inventory_query!(concat!(
            "WHERE devices.rowid > $1 AND devices.rowid <= $2 ",
            $condition,
            " ORDER BY devices.rowid"
        ))
    };
}

/// Devices that the search may find by this column, those that `$rows` names. SQLite makes ASCII letters small, and no others;
/// of those some become ASCII (the sign of Kelvin a `k`), so whoever looks at a value looks at every one that is not ASCII
/// alone.
macro_rules! search_query {
    ($column:literal, $rows:literal) => {
        in_sites!(
            "devices.hostname, devices.description, devices.last_user, devices.internal_ip, devices.external_ip",
            concat!(
                "WHERE ",
                $rows,
                "($1 IS NULL OR instr(lower(",
                $column,
                "), $1) > 0 OR octet_length(",
                $column,
                ") <> length(",
                $column,
                ")) ORDER BY devices.rowid"
            )
        )
    };
}

/// The search by a column: among rows that an index proposes, and among all.
macro_rules! search_queries {
    ($column:literal) => {
        (
            search_query!($column, "devices.rowid IN (SELECT value FROM json_each($2)) AND "),
            search_query!($column, ""),
        )
    };
}

/// Devices on a page at most.
const MOST_ROWS: i64 = 512;
/// Bytes of an answer that a page is to make: its inventories come twice.
const PAGE_BYTES: i64 = 1_000_000;
/// How many bytes of an answer each of the next devices makes, as far as they can be told without a look at the
/// inventories: SQLite reads these lengths from the head of the row.
const SIZES: &str = "SELECT rowid, 2000 + 2 * (COALESCE(octet_length(memory), 0) + COALESCE(octet_length(network), 0) \
                     + COALESCE(octet_length(software), 0) + COALESCE(octet_length(storage), 0) \
                     + COALESCE(octet_length(cpu), 0)) FROM devices WHERE rowid > $1 ORDER BY rowid LIMIT $2";

/// In whatever letter case, of several the first. All spellings stand between the one in capitals and the one without, so
/// SQLite looks through that part of the index of the keys; without the `+` it would look through the devices,
/// inventories and all.
const BY_GUID: &str = inventory_query!(
    "WHERE devices.rowid = (SELECT MIN(+rowid) FROM devices \
     WHERE guid BETWEEN UPPER($1) AND LOWER($1) AND LOWER(guid) = LOWER($1))"
);
const BY_HOSTNAME: &str = inventory_query!("WHERE devices.hostname = $1");

fn read(row: &SqliteRow) -> Result<InventoryEntry, StoreError> {
    Ok(InventoryEntry {
        row: read_document(row)?,
        site: read_site(row)?,
    })
}

fn read_site(row: &SqliteRow) -> Result<Option<HostSite>, StoreError> {
    let row = Columns::of("sites", row);
    let Some(id) = row.get("site_id")? else {
        return Ok(None);
    };
    Ok(Some(HostSite {
        id,
        name: row.text("site_name")?.unwrap_or_default(),
        description: row.text("site_description")?.unwrap_or_default(),
    }))
}

fn read_searched(row: &SqliteRow) -> Result<SearchedDevice, StoreError> {
    let columns = Columns::of("devices", row);
    let text = |column| Ok::<_, StoreError>(columns.text(column)?.unwrap_or_default());
    let trimmed = |column| Ok::<_, StoreError>(python_trim(&text(column)?).to_owned());
    Ok(SearchedDevice {
        hostname: text("hostname")?,
        description: text("description")?,
        last_user: trimmed("last_user")?,
        internal_ip: trimmed("internal_ip")?,
        external_ip: trimmed("external_ip")?,
        site: read_site(row)?,
    })
}

/// Shows the devices that the search may find, `among` these rows, where an index proposes them.
pub(in crate::repositories::sqlite) async fn search(
    connection: Statements<'_>,
    field: DeviceField,
    text: Option<&str>,
    among: Option<String>,
    visitor: &mut Visitor<'_, SearchedDevice>,
) -> Result<ControlFlow<()>, StoreError> {
    let (among_these, among_all) = match field {
        DeviceField::Hostname => search_queries!("devices.hostname"),
        DeviceField::Description => search_queries!("devices.description"),
        DeviceField::LastUser => search_queries!("devices.last_user"),
        DeviceField::InternalIp => search_queries!("devices.internal_ip"),
        DeviceField::ExternalIp => search_queries!("devices.external_ip"),
    };
    let query = match among {
        Some(numbers) => sqlx::query(among_these).bind(text).bind(numbers),
        None => sqlx::query(among_all).bind(text),
    };
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        if visitor(read_searched(&row)?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

#[async_trait]
impl<A: Access> ReadInventory for A {
    async fn inventory_page(
        &mut self,
        kind: DeviceKind,
        start: PageStart,
    ) -> Result<InventoryPage, StoreError> {
        let behind = match start {
            PageStart::First => i64::MIN,
            PageStart::Behind(row) => row,
        };
        let sizes: Vec<(i64, i64)> = sqlx::query_as(SIZES)
            .bind(behind)
            .bind(MOST_ROWS)
            .fetch_all(self.connection())
            .await?;
        let mut bytes = 0;
        let last = sizes
            .iter()
            .take_while(|(_, size)| {
                let is_wanted = bytes < PAGE_BYTES;
                bytes += size;
                is_wanted
            })
            .count();
        let Some((last_row, _)) = last.checked_sub(1).and_then(|last| sizes.get(last)) else {
            return Ok(InventoryPage {
                entries: Vec::new(),
                next: None,
            });
        };
        let query = match kind {
            DeviceKind::Any => sqlx::query(page_query!("")),
            DeviceKind::Agent => sqlx::query(page_query!(
                "AND TRIM(COALESCE(devices.connection_type, '')) = ''"
            )),
            DeviceKind::Remote(_) => sqlx::query(page_query!("AND LOWER(devices.connection_type) = $3")),
        };
        let mut query = query.bind(behind).bind(last_row);
        if let DeviceKind::Remote(kind) = kind {
            query = query.bind(kind.as_str());
        }
        let rows = query.fetch_all(self.connection()).await?;
        let is_last = last == sizes.len() && sizes.len() < MOST_ROWS as usize;
        Ok(InventoryPage {
            entries: rows.iter().map(read).collect::<Result<_, _>>()?,
            next: (!is_last).then_some(PageStart::Behind(*last_row)),
        })
    }

    async fn find_in_inventory(&mut self, guid: &Guid) -> Result<Option<InventoryEntry>, StoreError> {
        sqlx::query(BY_GUID)
            .bind(guid.as_str())
            .read_one(self.connection(), read)
            .await
    }

    async fn named_in_inventory(&mut self, hostname: &str) -> Result<Option<InventoryEntry>, StoreError> {
        sqlx::query(BY_HOSTNAME)
            .bind(hostname)
            .read_one(self.connection(), read)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{GUID, Ground};

    #[tokio::test]
    async fn one_device_is_found_without_a_look_at_the_others() {
        let ground = Ground::new().await;
        for query in [BY_GUID, BY_HOSTNAME] {
            let plan = ground.rows(&format!("EXPLAIN QUERY PLAN {query}")).await;
            let steps: Vec<_> = plan.into_iter().filter_map(|mut row| row.remove(3)).collect();
            assert!(!steps.is_empty());
            for step in &steps {
                let is_keyed = step.starts_with("SEARCH") && step.contains("USING");
                assert!(is_keyed || step.starts_with("SCALAR"), "{query}: {steps:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_guid_is_found_in_any_letter_case_and_of_several_the_first_row() {
        let lower = GUID.to_lowercase();
        let ground = Ground::with(&format!(
            "INSERT INTO devices (guid, hostname) VALUES ('abcdef', 'odd'), ('{lower}', 'lower')"
        ))
        .await;
        let guid = Guid::normalize(GUID).unwrap();
        let found = async || {
            let mut view = ground.store().view().await.unwrap();
            view.find_in_inventory(&guid)
                .await
                .unwrap()
                .unwrap()
                .row
                .hostname
                .unwrap()
        };
        assert_eq!(found().await, "lower");
        ground
            .sql(&format!(
                "INSERT INTO devices (guid, hostname) VALUES ('{GUID}', 'upper')"
            ))
            .await;
        assert_eq!(found().await, "lower");
        ground
            .sql(&format!("DELETE FROM devices WHERE guid = '{lower}'"))
            .await;
        assert_eq!(found().await, "upper");
        let mut view = ground.store().view().await.unwrap();
        let odd = Guid::normalize("ABCDEF").unwrap();
        assert!(view.find_in_inventory(&odd).await.unwrap().is_some());
        let nobodys = Guid::normalize("ABCDEF0").unwrap();
        assert_eq!(view.find_in_inventory(&nobodys).await.unwrap(), None);
    }
}
