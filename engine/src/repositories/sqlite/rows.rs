//! Reading rows so that an unreadable value names its table and column.

use sqlx::{Decode, Row as _, Sqlite, Type, sqlite::SqliteRow};

use crate::repositories::StoreError;

pub(super) struct Columns<'row> {
    table: &'static str,
    row: &'row SqliteRow,
}

impl<'row> Columns<'row> {
    pub(super) fn of(table: &'static str, row: &'row SqliteRow) -> Self {
        Self { table, row }
    }

    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'row, Sqlite> + Type<Sqlite>,
    {
        self.row
            .try_get(column)
            .map_err(|source| StoreError::UnreadableRow {
                table: self.table,
                column,
                source,
            })
    }
}
