//! Which approvals wait for a decision, by the install code that they came with: a fleet that joins lets thousands wait,
//! and every request counts those of its code.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Indexed, note, take_out};

macro_rules! select_pending {
    ($rest:literal) => {
        concat!(
            "SELECT rowid AS number, enrollment_code_id FROM device_approvals WHERE status = 'pending' ",
            $rest
        )
    };
}

#[derive(Debug, Default)]
pub(in crate::repositories::sqlite) struct PendingApprovals {
    numbers: HashMap<Arc<str>, BTreeSet<i64>>,
    code_of: HashMap<i64, Arc<str>>,
}

impl PendingApprovals {
    /// Those with exactly this code's id.
    pub(in crate::repositories::sqlite) fn of(&self, code_id: &str) -> Vec<i64> {
        let numbers = self.numbers.get(code_id);
        numbers.into_iter().flatten().copied().collect()
    }
}

impl Indexed for PendingApprovals {
    const NOTES: &'static str = "noted_approvals";
    const WATCH: &'static str = concat!(
        "CREATE TEMP TABLE IF NOT EXISTS noted_approvals (\"row\" INTEGER PRIMARY KEY); \
         CREATE TEMP TRIGGER IF NOT EXISTS note_new_approval AFTER INSERT ON main.device_approvals ",
        note!("noted_approvals", "NEW.rowid"),
        "CREATE TEMP TRIGGER IF NOT EXISTS note_changed_approval \
         AFTER UPDATE OF status, enrollment_code_id ON main.device_approvals \
         WHEN OLD.status IS NOT NEW.status OR OLD.enrollment_code_id IS NOT NEW.enrollment_code_id ",
        note!("noted_approvals", "NEW.rowid"),
        "CREATE TEMP TRIGGER IF NOT EXISTS note_deleted_approval AFTER DELETE ON main.device_approvals ",
        note!("noted_approvals", "OLD.rowid"),
    );
    const WATCHED_BY: &'static str = "note_deleted_approval";
    const ALL: &'static str = select_pending!("");
    const SOME: &'static str = select_pending!("AND rowid IN (SELECT value FROM json_each($1))");

    fn put(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let number = row.try_get("number")?;
        // No other kind of value is equal to a text.
        let Ok(Some(code_id)) = row.try_get::<Option<&str>, _>("enrollment_code_id") else {
            return Ok(());
        };
        let known = self.numbers.get_key_value(code_id);
        let code = known.map_or_else(|| Arc::from(code_id), |(code, _)| Arc::clone(code));
        self.numbers.entry(Arc::clone(&code)).or_default().insert(number);
        self.code_of.insert(number, code);
        Ok(())
    }

    fn remove(&mut self, number: i64) {
        if let Some(code) = self.code_of.remove(&number) {
            take_out(&mut self.numbers, &code, number);
        }
    }
}
