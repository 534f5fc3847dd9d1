//! The body of a device's description.
//!
//! Short because all that operators say about devices is one text.

use super::text::{WrongType, trimmed_text};
use crate::domain::json::JsonObject;

/// Reads the text that an operator writes about a device; empty where there is none.
///
/// # Errors
/// It is something that is no text.
pub fn device_description(body: &JsonObject) -> Result<String, WrongType> {
    trimmed_text(body, "description").map(str::to_owned)
}
