//! The kinds of fields that operators' forms have.

use crate::domain::{
    json::{Json, JsonObject},
    text::python_trim,
};

/// A field holds another type than it may. The legacy breaks on it (OPR-13).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid payload")]
pub struct WrongType;

/// A *text*: trimmed; absent and falsy values are empty.
///
/// # Errors
/// [`WrongType`] for anything else that is no text.
pub fn text<'a>(body: &'a JsonObject, name: &str) -> Result<&'a str, WrongType> {
    match body.get(name).filter(|value| value.is_truthy()) {
        None => Ok(""),
        Some(Json::Text(text)) => Ok(python_trim(text)),
        Some(_) => Err(WrongType),
    }
}

/// A *flag*: whether the value is truthy; `"false"` is.
pub fn flag(body: &JsonObject, name: &str) -> bool {
    body.get(name).is_some_and(Json::is_truthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_falsy_values_empty() {
        let body: JsonObject = [
            ("text", " a b\u{1f}".into()),
            ("zero", 0.into()),
            ("list", Json::list([1])),
            ("word", "false".into()),
        ]
        .into_iter()
        .map(|(name, value): (&str, Json)| (name.to_owned(), value))
        .collect();
        assert_eq!(text(&body, "text"), Ok("a b"));
        assert_eq!(text(&body, "zero"), Ok(""));
        assert_eq!(text(&body, "absent"), Ok(""));
        assert_eq!(text(&body, "list"), Err(WrongType));
        assert!(flag(&body, "word") && flag(&body, "list"));
        assert!(!flag(&body, "zero") && !flag(&body, "absent"));
    }
}
