//! Which activities are those of a host.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Indexed, note, take_out};

macro_rules! select_hosts {
    ($rest:literal) => {
        concat!("SELECT rowid AS number, hostname FROM activity_history ", $rest)
    };
}

#[derive(Debug, Default)]
pub(in crate::repositories::sqlite) struct ActivityHosts {
    numbers: HashMap<Arc<str>, BTreeSet<i64>>,
    host_of: HashMap<i64, Arc<str>>,
}

impl ActivityHosts {
    /// The activities of exactly this host.
    pub(in crate::repositories::sqlite) fn of(&self, hostname: &str) -> Vec<i64> {
        let numbers = self.numbers.get(hostname);
        numbers.into_iter().flatten().copied().collect()
    }
}

impl Indexed for ActivityHosts {
    const NOTES: &'static str = "noted_activities";
    const WATCH: &'static str = concat!(
        "CREATE TEMP TABLE IF NOT EXISTS noted_activities (\"row\" INTEGER PRIMARY KEY); \
         CREATE TEMP TRIGGER IF NOT EXISTS note_new_activity AFTER INSERT ON main.activity_history ",
        note!("noted_activities", "NEW.rowid"),
        "CREATE TEMP TRIGGER IF NOT EXISTS note_changed_activity AFTER UPDATE OF hostname ON main.activity_history ",
        note!("noted_activities", "NEW.rowid"),
        "CREATE TEMP TRIGGER IF NOT EXISTS note_deleted_activity AFTER DELETE ON main.activity_history ",
        note!("noted_activities", "OLD.rowid"),
    );
    const WATCHED_BY: &'static str = "note_deleted_activity";
    const ALL: &'static str = select_hosts!("");
    const SOME: &'static str = select_hosts!("WHERE rowid IN (SELECT value FROM json_each($1))");

    fn put(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let number = row.try_get("number")?;
        // No other kind of value is equal to a text.
        let Ok(Some(hostname)) = row.try_get::<Option<&str>, _>("hostname") else {
            return Ok(());
        };
        let known = self.numbers.get_key_value(hostname);
        let host = known.map_or_else(|| Arc::from(hostname), |(host, _)| Arc::clone(host));
        self.numbers.entry(Arc::clone(&host)).or_default().insert(number);
        self.host_of.insert(number, host);
        Ok(())
    }

    fn remove(&mut self, number: i64) {
        if let Some(host) = self.host_of.remove(&number) {
            take_out(&mut self.numbers, &host, number);
        }
    }
}
