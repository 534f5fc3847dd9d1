//! What is looked for in `devices`: the columns of the search, the keys of host names, and the ids of agents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Indexed, note, take_out};
use crate::domain::{host_name::HostKey, search::DeviceField, text::python_trim};

macro_rules! select_columns {
    ($rest:literal) => {
        concat!(
            "SELECT rowid AS number, hostname, description, last_user, internal_ip, external_ip, agent_id FROM devices ",
            $rest
        )
    };
}

#[derive(Debug, Default)]
pub(in crate::repositories::sqlite) struct DeviceColumns {
    rows: BTreeMap<i64, DeviceRow>,
    by_agent: HashMap<Box<str>, BTreeSet<i64>>,
    by_name: HashMap<HostKey, BTreeSet<i64>>,
}

/// Values as the search compares them.
#[derive(Debug)]
struct DeviceRow {
    hostname: Box<str>,
    description: Box<str>,
    last_user: Box<str>,
    internal_ip: Box<str>,
    external_ip: Box<str>,
    /// A column holds what is no text: whether it fits, SQLite says.
    is_odd: bool,
    agent_id: Option<Box<str>>,
    /// `None` where the host name is no text, and so nobody's.
    name: Option<HostKey>,
}

impl DeviceRow {
    fn read(row: &SqliteRow) -> Self {
        let mut is_odd = false;
        let mut text = |column: &str| {
            row.try_get::<Option<&str>, _>(column)
                .unwrap_or_else(|_| {
                    is_odd = true;
                    None
                })
                .unwrap_or_default()
        };
        let small = |text: &str| text.to_lowercase().into_boxed_str();
        Self {
            hostname: small(text("hostname")),
            description: small(text("description")),
            last_user: small(python_trim(text("last_user"))),
            internal_ip: small(python_trim(text("internal_ip"))),
            external_ip: small(python_trim(text("external_ip"))),
            is_odd,
            // No other kind of value is equal to a text.
            agent_id: row.try_get("agent_id").ok().flatten(),
            name: row
                .try_get::<Option<&str>, _>("hostname")
                .ok()
                .flatten()
                .map(HostKey::of),
        }
    }

    fn value(&self, field: DeviceField) -> &str {
        match field {
            DeviceField::Hostname => &self.hostname,
            DeviceField::Description => &self.description,
            DeviceField::LastUser => &self.last_user,
            DeviceField::InternalIp => &self.internal_ip,
            DeviceField::ExternalIp => &self.external_ip,
        }
    }
}

impl DeviceColumns {
    /// The devices whose field may hold a text in lower case; all where there is no text.
    pub(super) fn holding(&self, field: DeviceField, text: Option<&str>) -> Vec<i64> {
        let fits = |row: &DeviceRow| row.is_odd || text.is_none_or(|text| row.value(field).contains(text));
        let fitting = self.rows.iter().filter(|(_, row)| fits(row));
        fitting.map(|(&number, _)| number).collect()
    }

    /// The devices with exactly this agent.
    pub(in crate::repositories::sqlite) fn with_agent(&self, agent_id: &str) -> Vec<i64> {
        let numbers = self.by_agent.get(agent_id);
        numbers.into_iter().flatten().copied().collect()
    }

    /// The devices whose host name has this key.
    pub(in crate::repositories::sqlite) fn named(&self, key: &HostKey) -> Vec<i64> {
        let numbers = self.by_name.get(key);
        numbers.into_iter().flatten().copied().collect()
    }
}

impl Indexed for DeviceColumns {
    const NOTES: &'static str = "noted_devices";
    const WATCH: &'static str = concat!(
        "CREATE TEMP TABLE IF NOT EXISTS noted_devices (\"row\" INTEGER PRIMARY KEY); \
         CREATE TEMP TRIGGER IF NOT EXISTS note_new_device AFTER INSERT ON main.devices ",
        note!("noted_devices", "NEW.rowid"),
        "CREATE TEMP TRIGGER IF NOT EXISTS note_changed_device \
         AFTER UPDATE OF hostname, description, last_user, internal_ip, external_ip, agent_id ON main.devices \
         WHEN OLD.hostname IS NOT NEW.hostname OR OLD.description IS NOT NEW.description \
         OR OLD.last_user IS NOT NEW.last_user OR OLD.internal_ip IS NOT NEW.internal_ip \
         OR OLD.external_ip IS NOT NEW.external_ip OR OLD.agent_id IS NOT NEW.agent_id ",
        note!("noted_devices", "NEW.rowid"),
        "CREATE TEMP TRIGGER IF NOT EXISTS note_deleted_device AFTER DELETE ON main.devices ",
        note!("noted_devices", "OLD.rowid"),
    );
    const WATCHED_BY: &'static str = "note_deleted_device";
    const ALL: &'static str = select_columns!("ORDER BY rowid");
    const SOME: &'static str = select_columns!("WHERE rowid IN (SELECT value FROM json_each($1))");

    fn put(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let number = row.try_get("number")?;
        let row = DeviceRow::read(row);
        if let Some(agent_id) = &row.agent_id {
            self.by_agent.entry(agent_id.clone()).or_default().insert(number);
        }
        if let Some(name) = &row.name {
            self.by_name.entry(name.clone()).or_default().insert(number);
        }
        self.rows.insert(number, row);
        Ok(())
    }

    fn remove(&mut self, number: i64) {
        let Some(row) = self.rows.remove(&number) else {
            return;
        };
        if let Some(agent_id) = &row.agent_id {
            take_out(&mut self.by_agent, agent_id, number);
        }
        if let Some(name) = &row.name {
            take_out(&mut self.by_name, name, number);
        }
    }
}
