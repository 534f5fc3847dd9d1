//! Merging a report into what is known.

use crate::domain::json::{Json, JsonObject};

/// An object stands where something that is no object is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an object stands where another kind of value is known")]
pub struct ShapesDiffer;

/// Merges `report` into `known`, member by member: objects are merged, lists replace unless they are empty, `null` and
/// empty texts are passed over, everything else replaces whatever stood there.
///
/// # Errors
/// The report has an object where something else that is not empty is known; `known` is half merged then.
pub fn merge(known: &mut JsonObject, report: JsonObject) -> Result<(), ShapesDiffer> {
    for (name, value) in report {
        match value {
            Json::Object(members) => {
                let place = known.entry(name).or_default();
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
                known.insert(name, value);
            }
        }
    }
    Ok(())
}
