//! Rows by the text that one of their columns holds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sqlx::{Row as _, sqlite::SqliteRow};

use super::take_out;

/// Each text lies in memory once.
#[derive(Debug, Default)]
pub(super) struct RowsByText {
    numbers: HashMap<Arc<str>, BTreeSet<i64>>,
    text_of: HashMap<i64, Arc<str>>,
}

impl RowsByText {
    /// The numbers of the rows that hold exactly this text.
    pub(super) fn of(&self, text: &str) -> Vec<i64> {
        let numbers = self.numbers.get(text);
        numbers.into_iter().flatten().copied().collect()
    }

    /// Takes up the row `number` with what its `column` holds.
    pub(super) fn put(&mut self, row: &SqliteRow, column: &str) -> Result<(), sqlx::Error> {
        let number = row.try_get("number")?;
        // No other kind of value is equal to a text.
        let Ok(Some(text)) = row.try_get::<Option<&str>, _>(column) else {
            return Ok(());
        };
        let known = self.numbers.get_key_value(text);
        let text = known.map_or_else(|| Arc::from(text), |(text, _)| Arc::clone(text));
        self.numbers.entry(Arc::clone(&text)).or_default().insert(number);
        self.text_of.insert(number, text);
        Ok(())
    }

    pub(super) fn remove(&mut self, number: i64) {
        if let Some(text) = self.text_of.remove(&number) {
            take_out(&mut self.numbers, &text, number);
        }
    }
}
