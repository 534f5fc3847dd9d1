//! Reading rows so that an unreadable value names its table and column.

use sqlx::{Decode, Row as _, Sqlite, Type, TypeInfo, ValueRef as _, sqlite::SqliteRow};

use super::{plans::Statements, writer::Statement};
use crate::{domain::json::Json, repositories::StoreError};

/// What an entity is made of a row by.
type Reader<T> = fn(&SqliteRow) -> Result<T, StoreError>;

/// Statements whose rows are entities.
pub(super) trait ReadRows {
    async fn read_all<T>(self, connection: Statements<'_>, read: Reader<T>) -> Result<Vec<T>, StoreError>;

    async fn read_one<T>(self, connection: Statements<'_>, read: Reader<T>) -> Result<Option<T>, StoreError>;
}

impl ReadRows for Statement<'_> {
    async fn read_all<T>(self, connection: Statements<'_>, read: Reader<T>) -> Result<Vec<T>, StoreError> {
        self.fetch_all(connection).await?.iter().map(read).collect()
    }

    async fn read_one<T>(self, connection: Statements<'_>, read: Reader<T>) -> Result<Option<T>, StoreError> {
        self.fetch_optional(connection)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}

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
        self.row.try_get(column).map_err(self.unreadable(column))
    }

    /// Whatever a column of numbers holds; null for bytes, which no answer can say.
    pub(super) fn stored(&self, column: &'static str) -> Result<Json, StoreError> {
        let value = self.row.try_get_raw(column).map_err(self.unreadable(column))?;
        if value.is_null() {
            return Ok(Json::Null);
        }
        Ok(match value.type_info().name() {
            "INTEGER" => self.get::<i64>(column)?.into(),
            "REAL" => self.get::<f64>(column)?.into(),
            "TEXT" => self.get::<String>(column)?.into(),
            _ => Json::Null,
        })
    }

    fn unreadable(&self, column: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
        let table = self.table;
        move |source| StoreError::UnreadableRow {
            table,
            column,
            source,
        }
    }
}
