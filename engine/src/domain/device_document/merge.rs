//! Merging a report into the stored document.

use crate::domain::json::{Json, JsonObject};

/// An object stands where something that is no object is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an object stands where another kind of value is stored")]
pub struct ShapesDiffer;

/// Merges `report` into `stored`, member by member: objects are merged, lists replace unless they are empty, `null` and
/// empty texts are passed over, everything else replaces whatever stood there.
///
/// # Errors
/// The report has an object where something else that is not empty is stored; `stored` is half merged then.
pub fn merge(stored: &mut JsonObject, report: JsonObject) -> Result<(), ShapesDiffer> {
    for (name, value) in report {
        match value {
            Json::Object(members) => {
                let place = stored.entry(name).or_default();
                if !place.is_truthy() {
                    *place = Json::Object(JsonObject::new());
                }
                let Json::Object(place) = place else {
                    return Err(ShapesDiffer);
                };
                merge(place, members)?;
            }
            Json::List(items) if items.is_empty() => {}
            Json::Null => {}
            Json::Text(text) if text.is_empty() => {}
            value => {
                stored.insert(name, value);
            }
        }
    }
    Ok(())
}
