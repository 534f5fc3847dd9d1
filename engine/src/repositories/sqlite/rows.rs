//! Reading rows so that an unreadable value names its table and column.

use sqlx::{Decode, Row as _, Sqlite, Type, TypeInfo, ValueRef as _, sqlite::SqliteRow};

use super::{plans::Statements, writer::Statement};
use crate::{
    domain::{
        coerce::{integer_in, integer_of},
        json::Json,
        text::python_bytes,
    },
    repositories::StoreError,
};

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

    /// What a column of texts holds. Bytes are what Python prints of them: one row that was written by hand must not
    /// spoil a list.
    pub(super) fn text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self.bytes(column)? {
            Some(bytes) => Ok(Some(python_bytes(bytes))),
            None => self.get(column),
        }
    }

    /// What a column of JSON holds, also as bytes; those that are no UTF-8 are no JSON.
    pub(super) fn json_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self.bytes(column)? {
            Some(bytes) => Ok(Some(str::from_utf8(bytes).unwrap_or_default().to_owned())),
            None => self.get(column),
        }
    }

    /// What a column of numbers holds, made an integer as Python's `int` makes one, and held to 64 bits; `None` where that
    /// cannot be.
    pub(super) fn integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        let number = match self.bytes(column)? {
            Some(bytes) => integer_in(&String::from_utf8_lossy(bytes)),
            None => integer_of(&self.stored(column)?),
        };
        let nearest = |number: i128| if number < 0 { i64::MIN } else { i64::MAX };
        Ok(number.map(|number| i64::try_from(number).unwrap_or_else(|_| nearest(number))))
    }

    /// Python's truth of what a column holds.
    pub(super) fn is_truthy(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.bytes(column)? {
            Some(bytes) => Ok(!bytes.is_empty()),
            None => Ok(self.stored(column)?.is_truthy()),
        }
    }

    fn bytes(&self, column: &'static str) -> Result<Option<&'row [u8]>, StoreError> {
        let value = self.row.try_get_raw(column).map_err(self.unreadable(column))?;
        if value.is_null() || value.type_info().name() != "BLOB" {
            return Ok(None);
        }
        self.get(column).map(Some)
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
