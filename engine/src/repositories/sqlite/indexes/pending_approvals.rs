//! Which approvals wait for a decision, by the install code that they came with: a fleet that joins lets thousands wait,
//! and every request counts those of its code.

use sqlx::sqlite::SqliteRow;

use super::{Indexed, note, rows_by_text::RowsByText};

macro_rules! select_pending {
    ($rest:literal) => {
        concat!(
            "SELECT rowid AS number, enrollment_code_id FROM device_approvals WHERE status = 'pending' ",
            $rest
        )
    };
}

#[derive(Debug, Default)]
pub(in crate::repositories::sqlite) struct PendingApprovals(RowsByText);

impl PendingApprovals {
    /// Those with exactly this code's id.
    pub(in crate::repositories::sqlite) fn of(&self, code_id: &str) -> Vec<i64> {
        self.0.of(code_id)
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
        self.0.put(row, "enrollment_code_id")
    }

    fn remove(&mut self, number: i64) {
        self.0.remove(number);
    }
}
