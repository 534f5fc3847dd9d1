//! What a database lacks of the present tables; looking changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{OWN, columns, devices, make};

/// What the start does to a database.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Upgrade {
    /// No table is there yet: everything is made, and there is nothing to upgrade.
    pub fresh: bool,
    /// There are tables, and none of them is one that any version has: another program's.
    pub foreign: bool,
    /// Tables that are made.
    pub tables: Vec<String>,
    /// Indexes that are made for tables that are there.
    pub indexes: Vec<String>,
    /// Columns (table and name) that are added, in the order in which they are.
    pub columns: Vec<(String, String)>,
    /// Tables that are there and lack columns that no upgrade adds: they keep their shape.
    pub gaps: Vec<(String, Vec<String>)>,
    pub(super) devices: DevicesUpgrade,
}

/// What becomes of the devices of an older database.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct DevicesUpgrade {
    /// Tables whose rows are copied into a new `devices`, oldest first.
    pub(super) copied: Vec<Source>,
    /// Token versions or states are NULL.
    pub(super) unfilled: bool,
    /// The column `details` is spread over the others and dropped.
    pub(super) spread: bool,
    /// Several rows have one host name.
    pub(super) doubled: bool,
}

/// A table that devices are taken from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Source {
    pub(super) table: &'static str,
    pub(super) columns: Vec<String>,
    /// Whether `devices` takes its place.
    pub(super) dropped: bool,
}

impl Upgrade {
    /// Compares a database with the present tables.
    pub(in super::super) async fn needed(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let present = Schema::read(connection).await?;
        let mut model = SqliteConnection::connect("sqlite::memory:").await?;
        make(&mut model, 0).await?;
        let model = Schema::read(&mut model).await?;

        let is_known = |table: &String| {
            model.tables.contains_key(table) || ["device_details", "devices_legacy"].contains(&table.as_str())
        };
        let devices = DevicesUpgrade::needed(connection, &present).await?;
        let rebuilt = |table: &str| devices.copied.iter().any(|source| source.table == table);
        let mut upgrade = Self {
            fresh: present.tables.is_empty(),
            foreign: !present.tables.is_empty() && !present.tables.keys().any(is_known),
            ..Self::default()
        };
        for (table, expected) in &model.tables {
            let Some(found) = present.tables.get(table) else {
                upgrade.tables.push(table.clone());
                continue;
            };
            if rebuilt(table) {
                continue;
            }
            let missing = expected.iter().filter(|column| !devices::has(found, column));
            let (added, gaps): (Vec<_>, Vec<_>) =
                missing.partition(|column| columns::is_added(table, column));
            upgrade
                .columns
                .extend(added.into_iter().map(|column| (table.clone(), column.clone())));
            if !gaps.is_empty() {
                upgrade
                    .gaps
                    .push((table.clone(), gaps.into_iter().cloned().collect()));
            }
        }
        upgrade
            .columns
            .sort_by_key(|(table, column)| columns::place(table, column));
        upgrade.indexes = model
            .indexes
            .into_iter()
            .filter(|(table, _)| present.tables.contains_key(table) && !rebuilt(table))
            .map(|(_, index)| index)
            .filter(|index| !present.indexes.iter().any(|(_, one)| one == index))
            .collect();
        upgrade.devices = devices;
        Ok(upgrade)
    }

    /// What is done to what is there already, one line each. Making a new database is no change, nor are the engine's
    /// own tables.
    pub fn changes(&self) -> Vec<String> {
        if self.fresh {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for source in &self.devices.copied {
            changes.push(match source.table {
                "devices" => "the table devices is rebuilt around the GUID".to_owned(),
                table => format!("devices are taken over from the older table {table}"),
            });
        }
        if self.devices.spread {
            changes.push("the column details of devices is spread over the others and dropped".to_owned());
        }
        if self.devices.unfilled {
            changes.push("devices without token version or status get 1 and active".to_owned());
        }
        if self.devices.doubled {
            changes.push("of several devices with one host name the one seen last is kept".to_owned());
        }
        for (table, column) in &self.columns {
            changes.push(format!("the table {table} gets the column {column}"));
        }
        if !self.tables.is_empty() {
            changes.push(format!("missing tables are made: {}", self.tables.join(", ")));
        }
        if !self.indexes.is_empty() {
            changes.push(format!("missing indexes are made: {}", self.indexes.join(", ")));
        }
        changes
    }
}

impl DevicesUpgrade {
    async fn needed(connection: &mut SqliteConnection, present: &Schema) -> Result<Self, sqlx::Error> {
        let mut upgrade = Self::default();
        let current = present.tables.get("devices");
        let empty = match current {
            Some(_) => !exists(connection, "SELECT 1 FROM devices").await?,
            None => true,
        };
        // The legacy leaves this oldest table where it is, beside an empty `devices` (PLT-11). It stays here too: the
        // legacy does not mind it, and once there are devices it is not looked at again.
        if let Some(columns) = present.tables.get("device_details")
            && empty
            && devices::has(columns, "hostname")
            && exists(connection, "SELECT 1 FROM device_details").await?
        {
            upgrade.copied.push(Source::new("device_details", columns, false));
        }
        // What an interrupted rebuild left; the legacy does not start with it (PLT-12).
        let leftover = present
            .tables
            .get("devices_legacy")
            .filter(|columns| devices::has(columns, "hostname"));
        if let Some(columns) = leftover {
            upgrade.copied.push(Source::new("devices_legacy", columns, true));
        }
        let Some(columns) = current else {
            return Ok(upgrade);
        };
        let keys: Vec<String> =
            sqlx::query_scalar("SELECT lower(name) FROM pragma_table_info('devices') WHERE pk > 0")
                .fetch_all(&mut *connection)
                .await?;
        if leftover.is_some() || keys != ["guid"] || !devices::is_complete(columns) {
            upgrade.copied.push(Source::new("devices", columns, true));
            return Ok(upgrade);
        }
        upgrade.spread = devices::has(columns, "details");
        upgrade.unfilled = exists(
            connection,
            "SELECT 1 FROM devices WHERE token_version IS NULL OR status IS NULL",
        )
        .await?;
        upgrade.doubled = exists(
            connection,
            "SELECT 1 FROM devices WHERE hostname IS NOT NULL GROUP BY hostname HAVING count(*) > 1",
        )
        .await?;
        Ok(upgrade)
    }
}

impl Source {
    fn new(table: &'static str, columns: &[String], dropped: bool) -> Self {
        Self {
            table,
            columns: columns.to_owned(),
            dropped,
        }
    }
}

async fn exists(connection: &mut SqliteConnection, query: &'static str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT EXISTS ({query})")))
        .fetch_one(connection)
        .await
}

/// Tables and indexes, but for SQLite's and the engine's own.
struct Schema {
    /// The columns of each table, in order.
    tables: BTreeMap<String, Vec<String>>,
    /// Table and name.
    indexes: BTreeSet<(String, String)>,
}

impl Schema {
    async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT tables.name, columns.name FROM sqlite_master AS tables \
             JOIN pragma_table_info(tables.name) AS columns \
             WHERE tables.type = 'table' AND tables.name NOT GLOB 'sqlite_*' ORDER BY tables.name, columns.cid",
        )
        .fetch_all(&mut *connection)
        .await?;
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND name NOT GLOB 'sqlite_*'",
        )
        .fetch_all(connection)
        .await?;
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (table, column) in columns {
            if !table.starts_with(OWN) {
                tables.entry(table).or_default().push(column);
            }
        }
        let indexes = indexes
            .into_iter()
            .filter(|(table, _)| !table.starts_with(OWN))
            .collect();
        Ok(Self { tables, indexes })
    }
}
