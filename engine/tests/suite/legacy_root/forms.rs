//! In what form a database holds its values, column by column.

use std::collections::{BTreeMap, BTreeSet};

use borealis_engine::domain::{json::Json, json_reader::read_text, json_text::column_text};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _};

/// The forms that each column (`table.column`) holds.
pub(crate) type Forms = BTreeMap<String, BTreeSet<String>>;

/// Reads every row of every table that the legacy knows.
pub(crate) async fn forms(database: &mut SqliteConnection) -> Forms {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'engine_*' AND name NOT GLOB 'sqlite_*'",
    )
    .fetch_all(&mut *database)
    .await
    .unwrap();
    let mut forms = Forms::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1) ORDER BY cid")
            .bind(&table)
            .fetch_all(&mut *database)
            .await
            .unwrap();
        let rows = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table}")))
            .fetch_all(&mut *database)
            .await
            .unwrap();
        for (place, column) in columns.iter().enumerate() {
            let found = forms.entry(format!("{table}.{column}")).or_default();
            found.extend(rows.iter().map(|row| {
                let value = row.try_get_raw(place).unwrap();
                let class = value.type_info().name().to_owned();
                match class.as_str() {
                    _ if value.is_null() => "null".to_owned(),
                    "INTEGER" => integer(row.get_unchecked(place)).to_owned(),
                    "TEXT" => text(row.get_unchecked::<String, _>(place).as_str()).to_owned(),
                    "BLOB" => blob(row.get_unchecked::<Vec<u8>, _>(place).as_slice()).to_owned(),
                    _ => class,
                }
            }));
        }
    }
    forms
}

fn integer(number: i64) -> &'static str {
    match number {
        0 => "zero",
        1_000_000_000..=9_999_999_999 => "epoch seconds",
        _ => "integer",
    }
}

fn blob(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'g', b'A', b'A', b'A', b'A', ..] => "blob: sealed",
        [0x30, ..] => "blob: DER",
        _ => "blob",
    }
}

fn text(text: &str) -> &'static str {
    let is_hex = |length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let fits = |pattern: &str| {
        text.len() == pattern.len()
            && text
                .bytes()
                .zip(pattern.bytes())
                .all(|(byte, pattern)| match pattern {
                    b'0' => byte.is_ascii_digit(),
                    b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                    b'X' => matches!(byte, b'0'..=b'9' | b'A'..=b'F'),
                    other => byte == other,
                })
    };
    const KNOWN: [(&str, &str); 7] = [
        ("0000-00-00T00:00:00.000000+00:00", "ISO time"),
        ("0000-00-00T00:00:00+00:00", "ISO time"),
        ("0000-00-00T00:00:00.000000Z", "ISO time with Z"),
        ("0000-00-00 00:00:00", "date and time"),
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "uuid"),
        ("XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX", "UUID"),
        ("XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX", "install code"),
    ];
    if text.is_empty() {
        return "empty";
    }
    if let Some((_, name)) = KNOWN.into_iter().find(|(pattern, _)| fits(pattern)) {
        return name;
    }
    if is_hex(64) || is_hex(128) || is_hex(40) {
        return "hex digest";
    }
    if text.len() == 44 && text.ends_with('=') && !text.contains(' ') {
        return "base64 of 32 bytes";
    }
    match read_text(text) {
        Ok(value @ (Json::List(_) | Json::Object(_))) if column_text(&value) != text => {
            "JSON in another layout"
        }
        Ok(Json::List(_)) => "JSON list",
        Ok(Json::Object(_)) => "JSON object",
        _ => "text",
    }
}
