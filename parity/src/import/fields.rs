//! Reading a recording's fields.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};

use super::ImportError;
use crate::scenario::model::microseconds;

pub(super) fn decode(value: Option<&Value>) -> Option<Vec<u8>> {
    BASE64.decode(value?.as_str()?).ok()
}

pub(super) fn string(value: &Value, key: &str) -> Result<String, ImportError> {
    value
        .get(key)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| ImportError::Field(key.to_owned()))
}

pub(super) fn time(value: &Value, key: &str) -> Result<i64, ImportError> {
    value
        .get(key)
        .and_then(Value::as_f64)
        .map(microseconds)
        .ok_or_else(|| ImportError::Field(key.to_owned()))
}

pub(super) fn object(value: &Value, key: &str) -> Map<String, Value> {
    value
        .get(key)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

pub(super) fn array(value: &Value, key: &str) -> Vec<Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}
