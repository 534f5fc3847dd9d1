//! Rows of tables and queries; their columns are members.

use serde_json::Value;

use super::{Change, Operator};

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "row-removed",
        sentence: "a row is missing",
        change: Change::Row(|rows, at| {
            rows.remove(at);
            Some(())
        }),
    },
    Operator {
        name: "row-doubled",
        sentence: "a row stands twice",
        change: Change::Row(|rows, at| {
            rows.insert(at, rows.get(at)?.clone());
            Some(())
        }),
    },
    Operator {
        name: "row-added",
        sentence: "one more row at the end, with another first column",
        change: Change::Row(|rows, at| {
            let mut row = rows.get(at)?.clone();
            let first = row.values_mut().next()?;
            *first = match &*first {
                Value::Number(number) => Value::from(number.as_i64()?.checked_add(1000)?),
                _ => Value::from("added"),
            };
            rows.push(row);
            Some(())
        }),
    },
    Operator {
        name: "rows-swapped",
        sentence: "a row stands behind the next one",
        change: Change::Row(|rows, at| {
            if rows.get(at) == Some(rows.get(at + 1)?) {
                return None;
            }
            rows.swap(at, at + 1);
            Some(())
        }),
    },
    Operator {
        name: "row-emptied",
        sentence: "a row whose columns are all null but the first",
        change: Change::Row(|rows, at| {
            for value in rows.get_mut(at)?.values_mut().skip(1) {
                *value = Value::Null;
            }
            Some(())
        }),
    },
];
