//! Fields that must be text.

use crate::domain::{
    json::{Json, JsonObject},
    text::python_trim,
};

/// A field holds something that is neither text nor falsy, where the legacy breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a field is no text")]
pub struct WrongType;

/// The field's text, trimmed; empty for a field that is absent or falsy.
///
/// # Errors
/// Any other value.
pub fn trimmed_text<'a>(body: &'a JsonObject, name: &str) -> Result<&'a str, WrongType> {
    match body.get(name) {
        None => Ok(""),
        Some(Json::Text(text)) => Ok(python_trim(text)),
        Some(value) if value.is_truthy() => Err(WrongType),
        Some(_) => Ok(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falsy_values_are_empty_and_others_refused() {
        let read = |value: Json| {
            let body = JsonObject::from_iter([("x".to_owned(), value)]);
            trimmed_text(&body, "x").map(str::to_owned)
        };
        assert_eq!(read(" a\u{1f}".into()).as_deref(), Ok("a"));
        for falsy in [Json::Null, false.into(), 0.into(), Json::List(Vec::new())] {
            assert_eq!(read(falsy).as_deref(), Ok(""));
        }
        for wrong in [5.into(), true.into(), Json::list([1])] {
            assert_eq!(read(wrong), Err(WrongType));
        }
        assert_eq!(trimmed_text(&JsonObject::new(), "x"), Ok(""));
    }
}
