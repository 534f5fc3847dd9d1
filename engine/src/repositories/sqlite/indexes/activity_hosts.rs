//! Which activities are those of a host.

use sqlx::sqlite::SqliteRow;

use super::{Indexed, note, rows_by_text::RowsByText};

macro_rules! select_hosts {
    ($rest:literal) => {
        concat!("SELECT rowid AS number, hostname FROM activity_history ", $rest)
    };
}

#[derive(Debug, Default)]
pub(in crate::repositories::sqlite) struct ActivityHosts(RowsByText);

impl ActivityHosts {
    /// The activities of exactly this host.
    pub(in crate::repositories::sqlite) fn of(&self, hostname: &str) -> Vec<i64> {
        self.0.of(hostname)
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
        self.0.put(row, "hostname")
    }

    fn remove(&mut self, number: i64) {
        self.0.remove(number);
    }
}
