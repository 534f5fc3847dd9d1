//! Binary arguments inside JSON: written as `{"<binary>": "<base64>"}`, sent as attachments.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};

/// The only key of an object that stands for bytes.
pub const KEY: &str = "<binary>";

/// The object that stands for bytes.
#[must_use]
pub fn value(bytes: &[u8]) -> Value {
    json!({ KEY: BASE64.encode(bytes) })
}

/// The bytes that an object stands for.
fn bytes(fields: &Map<String, Value>) -> Option<Vec<u8>> {
    match fields.get(KEY) {
        Some(Value::String(text)) if fields.len() == 1 => BASE64.decode(text).ok(),
        _ => None,
    }
}

/// Replaces bytes by placeholders and returns them in order.
pub(super) fn take_out(value: &mut Value, attachments: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| take_out(item, attachments)),
        Value::Object(fields) => {
            if let Some(found) = bytes(fields) {
                *value = json!({ "_placeholder": true, "num": attachments.len() });
                attachments.push(found);
            } else {
                fields.values_mut().for_each(|item| take_out(item, attachments));
            }
        }
        _ => {}
    }
}

/// Replaces placeholders by the attachments that they name. `None` if one names none.
pub(super) fn put_in(value: &mut Value, attachments: &[Vec<u8>]) -> Option<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| put_in(item, attachments)),
        Value::Object(fields) => {
            if fields.get("_placeholder") == Some(&Value::Bool(true)) {
                let at = usize::try_from(fields.get("num")?.as_u64()?).ok()?;
                *value = self::value(attachments.get(at)?);
                return Some(());
            }
            fields.values_mut().try_for_each(|item| put_in(item, attachments))
        }
        _ => Some(()),
    }
}
