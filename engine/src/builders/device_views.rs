//! The bodies of `/api/device_list_views` and below.

use super::text::trimmed_text;
use crate::domain::{
    device_views::{DeviceViewChange, NewDeviceView},
    json::{Json, JsonObject},
    json_text::column_text,
};

/// The name of the view that the web client has by itself, in lower case.
const RESERVED: &str = "default view";

/// Why a view cannot be made or changed as a body asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeviceViewFormError {
    /// A new view has no name, or one of another type.
    #[error("name is required")]
    NameRequired,
    /// The name is to become empty, or of another type.
    #[error("name cannot be empty")]
    NameEmpty,
    /// The web client has a view of this name by itself.
    #[error("reserved name")]
    Reserved,
    /// The columns are no list of texts.
    #[error("columns must be a list of strings")]
    Columns,
    /// The filters are no object.
    #[error("filters must be an object")]
    Filters,
}

/// Reads a new view.
///
/// # Errors
/// [`DeviceViewFormError`]
pub fn new_device_view(body: &JsonObject) -> Result<NewDeviceView, DeviceViewFormError> {
    let name = name(body).ok_or(DeviceViewFormError::NameRequired)?;
    let given = |name: &str| body.get(name).filter(|value| value.is_truthy());
    Ok(NewDeviceView {
        name: not_reserved(name)?,
        columns_json: given("columns").map_or_else(|| Ok("[]".to_owned()), columns)?,
        filters_json: given("filters").map_or_else(|| Ok("{}".to_owned()), filters)?,
    })
}

/// Reads a change to a view: only what the body names is written, and `null` names nothing.
///
/// # Errors
/// [`DeviceViewFormError`]
pub fn device_view_change(body: &JsonObject) -> Result<DeviceViewChange, DeviceViewFormError> {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let named = given("name").map(|_| name(body).ok_or(DeviceViewFormError::NameEmpty));
    Ok(DeviceViewChange {
        name: named.transpose()?.map(not_reserved).transpose()?,
        columns_json: given("columns").map(columns).transpose()?,
        filters_json: given("filters").map(filters).transpose()?,
    })
}

/// The name, if there is one.
fn name(body: &JsonObject) -> Option<&str> {
    trimmed_text(body, "name").ok().filter(|name| !name.is_empty())
}

fn not_reserved(name: &str) -> Result<String, DeviceViewFormError> {
    if name.to_lowercase() == RESERVED {
        Err(DeviceViewFormError::Reserved)
    } else {
        Ok(name.to_owned())
    }
}

fn columns(value: &Json) -> Result<String, DeviceViewFormError> {
    match value {
        Json::List(names) if names.iter().all(|name| name.as_text().is_some()) => Ok(column_text(value)),
        _ => Err(DeviceViewFormError::Columns),
    }
}

fn filters(value: &Json) -> Result<String, DeviceViewFormError> {
    match value {
        Json::Object(_) => Ok(column_text(value)),
        _ => Err(DeviceViewFormError::Filters),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        arbitrary::any_json,
        json_reader::{object, read_text},
    };

    #[test]
    fn a_new_view_needs_a_name_and_shows_everything_unless_it_says_otherwise() {
        let view = new_device_view(&object(
            r#"{"name": " Servers ", "columns": ["os", "\u00e9"], "filters": {"b": [1, null], "a": 1.0}}"#,
        ))
        .unwrap();
        assert_eq!(view.name, "Servers");
        assert_eq!(view.columns_json, r#"["os", "\u00e9"]"#);
        assert_eq!(view.filters_json, r#"{"b": [1, null], "a": 1.0}"#);
        let bare = new_device_view(&object(r#"{"name": "x", "columns": {}, "filters": 0}"#)).unwrap();
        assert_eq!(
            (bare.columns_json.as_str(), bare.filters_json.as_str()),
            ("[]", "{}")
        );
        for (text, error) in [
            (r"{}", DeviceViewFormError::NameRequired),
            (r#"{"name": 5}"#, DeviceViewFormError::NameRequired),
            (
                r#"{"name": " DEFAULT View", "columns": 5}"#,
                DeviceViewFormError::Reserved,
            ),
            (
                r#"{"name": "x", "columns": ["a", 1], "filters": 5}"#,
                DeviceViewFormError::Columns,
            ),
            (r#"{"name": "x", "columns": "a"}"#, DeviceViewFormError::Columns),
            (r#"{"name": "x", "filters": [1]}"#, DeviceViewFormError::Filters),
        ] {
            assert_eq!(new_device_view(&object(text)), Err(error), "{text}");
        }
    }

    #[test]
    fn a_change_takes_what_is_named_and_nothing_falsy_for_a_name() {
        assert_eq!(
            device_view_change(&object(r#"{"name": null, "columns": null, "filters": null}"#)),
            Ok(DeviceViewChange::default())
        );
        let emptied = device_view_change(&object(r#"{"columns": [], "filters": {}}"#)).unwrap();
        assert_eq!(emptied.columns_json.as_deref(), Some("[]"));
        assert_eq!(emptied.filters_json.as_deref(), Some("{}"));
        for (text, error) in [
            (r#"{"name": "", "columns": 5}"#, DeviceViewFormError::NameEmpty),
            (r#"{"name": 0}"#, DeviceViewFormError::NameEmpty),
            (r#"{"name": true}"#, DeviceViewFormError::NameEmpty),
            (r#"{"name": "default view"}"#, DeviceViewFormError::Reserved),
            (r#"{"columns": ""}"#, DeviceViewFormError::Columns),
            (r#"{"columns": {}}"#, DeviceViewFormError::Columns),
            (r#"{"filters": []}"#, DeviceViewFormError::Filters),
            (r#"{"filters": ""}"#, DeviceViewFormError::Filters),
        ] {
            assert_eq!(device_view_change(&object(text)), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_of_any_body_reads_back(name in any_json(), columns in any_json(), filters in any_json()) {
            let members = [("name", name), ("columns", columns), ("filters", filters)];
            let body = Json::members(members);
            if let Ok(view) = new_device_view(&body) {
                prop_assert!(matches!(read_text(&view.columns_json), Ok(Json::List(_))));
                prop_assert!(matches!(read_text(&view.filters_json), Ok(Json::Object(_))));
            }
            if let Ok(change) = device_view_change(&body) {
                prop_assert_eq!(change.columns_json.is_some(), body.get("columns").is_some_and(|value| !value.is_null()));
            }
        }
    }
}
