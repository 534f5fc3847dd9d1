//! The JSON document that older `devices` tables hold in a column `details`, spread over the columns of today.

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::domain::{
    device_document::DeviceUpsert,
    json::{Json, JsonObject},
    json_reader,
};

/// A column's value as a document has it.
enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
}

impl Value {
    /// Whether the value is blank: such a value never replaces one that is not (PLT-11).
    fn is_blank(&self) -> bool {
        match self {
            Self::Text(text) => matches!(text.as_deref(), None | Some("" | "[]" | "{}")),
            Self::Integer(number) => matches!(number, None | Some(0)),
        }
    }

    /// The SQL for "what is stored in `column` is blank".
    fn stored_is_blank(&self, column: &str) -> String {
        match self {
            Self::Text(_) => format!("{column} IS NULL OR {column} IN ('', '[]', '{{}}')"),
            Self::Integer(_) => format!("{column} IS NULL OR {column} = 0"),
        }
    }
}

/// What becomes of a column that is blank both in the document and in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blanks {
    /// It gets the document's blank: an empty list or object, or NULL.
    Written,
    /// It stays.
    Left,
}

/// Writes the document into the device of this rowid.
pub(super) async fn spread(
    connection: &mut SqliteConnection,
    rowid: i64,
    details: Option<&str>,
    blanks: Blanks,
) -> Result<(), sqlx::Error> {
    let mut assignments = Vec::new();
    let mut values = Vec::new();
    for (column, value) in columns(details) {
        let place = values.len() + 2;
        if !value.is_blank() {
            assignments.push(format!("{column} = ${place}"));
        } else if blanks == Blanks::Written {
            let stored_is_blank = value.stored_is_blank(column);
            assignments.push(format!(
                "{column} = CASE WHEN {stored_is_blank} THEN ${place} ELSE {column} END"
            ));
        } else {
            continue;
        }
        values.push(value);
    }
    if assignments.is_empty() {
        return Ok(());
    }
    let statement = format!("UPDATE devices SET {} WHERE rowid = $1", assignments.join(", "));
    let mut update = sqlx::query(AssertSqlSafe(statement)).bind(rowid);
    for value in values {
        update = match value {
            Value::Text(text) => update.bind(text),
            Value::Integer(number) => update.bind(number),
        };
    }
    update.execute(connection).await?;
    Ok(())
}

/// The columns that a document sets. A document that cannot be read counts as an empty one.
fn columns(details: Option<&str>) -> [(&'static str, Value); 17] {
    let document = match details.map(json_reader::read_stored_text) {
        Some(Ok(Json::Object(document))) => document,
        _ => JsonObject::new(),
    };
    let device = DeviceUpsert::from_document("", None, &document, 0);
    let text = |text: Option<String>| Value::Text(text);
    [
        ("memory", text(Some(device.memory))),
        ("network", text(Some(device.network))),
        ("software", text(Some(device.software))),
        ("storage", text(Some(device.storage))),
        ("cpu", text(Some(device.cpu))),
        ("device_type", text(device.device_type)),
        ("domain", text(device.domain)),
        ("external_ip", text(device.external_ip)),
        ("internal_ip", text(device.internal_ip)),
        ("last_reboot", text(device.last_reboot)),
        ("last_seen", Value::Integer(device.last_seen)),
        ("last_user", text(device.last_user)),
        ("operating_system", text(device.operating_system)),
        ("uptime", Value::Integer(device.uptime)),
        ("agent_id", text(device.agent_id)),
        ("connection_type", text(device.connection_type)),
        ("connection_endpoint", text(device.connection_endpoint)),
    ]
}
