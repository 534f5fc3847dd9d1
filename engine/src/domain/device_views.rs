//! Views of the device list: which columns an operator wants to see, and which filters are set.

use super::{
    json::{Json, JsonObject},
    json_reader,
};

/// A view, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceView {
    /// Row number, never used again.
    pub id: i64,
    /// The name, unique with its letter case.
    pub name: String,
    /// JSON text, a list.
    pub columns_json: Option<String>,
    /// JSON text, an object.
    pub filters_json: Option<String>,
    /// Unix seconds at which it was made, or whatever else is stored there.
    pub created_at: Json,
    /// Unix seconds of the last change, or whatever else is stored there.
    pub updated_at: Json,
}

impl DeviceView {
    /// The columns; none where the stored text cannot be read (INV-12).
    pub fn columns(&self) -> Json {
        readable(self.columns_json.as_deref()).unwrap_or_else(|| Json::List(Vec::new()))
    }

    /// The filters; none where the stored text cannot be read (INV-12).
    pub fn filters(&self) -> Json {
        readable(self.filters_json.as_deref()).unwrap_or_else(|| JsonObject::new().into())
    }
}

/// What a column of JSON holds, whatever its type: the web client makes of it what it can. `NaN` and the infinities are
/// shown as they were given: filters hold any JSON, and other than with an inventory (INV-13) no device sends them.
fn readable(text: Option<&str>) -> Option<Json> {
    json_reader::read_stored_text(text?).ok()
}

/// A view that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewDeviceView {
    pub name: String,
    /// JSON text, a list of texts.
    pub columns_json: String,
    /// JSON text, an object.
    pub filters_json: String,
}

/// What is to be written into a view; `None` leaves a column as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceViewChange {
    pub name: Option<String>,
    /// JSON text, a list of texts.
    pub columns_json: Option<String>,
    /// JSON text, an object.
    pub filters_json: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json_text::compact_text;

    #[test]
    fn what_cannot_be_read_is_shown_as_nothing() {
        for (stored, columns, filters) in [
            (None, "[]", "{}"),
            (Some(""), "[]", "{}"),
            (Some("{oops"), "[]", "{}"),
            (Some("[NaN, -Infinity]"), "[NaN,-Infinity]", "[NaN,-Infinity]"),
            (
                Some("[\"a\", \"\\ud83d\"]"),
                "[\"a\",\"\\ufffd\"]",
                "[\"a\",\"\\ufffd\"]",
            ),
            (Some("[\"a\"]"), "[\"a\"]", "[\"a\"]"),
            (Some("5"), "5", "5"),
        ] {
            let view = DeviceView {
                id: 1,
                name: "v".to_owned(),
                columns_json: stored.map(str::to_owned),
                filters_json: stored.map(str::to_owned),
                created_at: Json::Null,
                updated_at: Json::Null,
            };
            assert_eq!(compact_text(&view.columns()), columns, "{stored:?}");
            assert_eq!(compact_text(&view.filters()), filters, "{stored:?}");
        }
    }
}
