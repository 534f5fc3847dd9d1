//! The body of `token/refresh`.

use crate::domain::json::{Json, JsonObject};

/// A well-formed request for an access token.
#[derive(Clone, Eq, PartialEq)]
pub struct RefreshRequest {
    /// The device, as it names itself.
    pub guid: String,
    /// Its refresh token. Never logged.
    pub refresh_token: String,
}

impl std::fmt::Debug for RefreshRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RefreshRequest")
            .field("guid", &self.guid)
            .finish_non_exhaustive()
    }
}

/// The device or its token is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid_request")]
pub struct InvalidRefresh;

/// Reads the body of `token/refresh`.
///
/// # Errors
/// A field is missing or empty.
pub fn refresh_request(body: &JsonObject) -> Result<RefreshRequest, InvalidRefresh> {
    let text = |name| {
        body.get(name)
            .map(Json::python_text)
            .filter(|text| !text.is_empty())
            .ok_or(InvalidRefresh)
    };
    Ok(RefreshRequest {
        guid: text("guid")?,
        refresh_token: text("refresh_token")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fields_are_needed_and_turned_into_text() {
        let read = |guid: Json, token: Json| {
            let body = [("guid".to_owned(), guid), ("refresh_token".to_owned(), token)];
            refresh_request(&body.into_iter().collect())
        };
        let request = read(" a ".into(), 7.into()).unwrap();
        assert_eq!(
            (request.guid.as_str(), request.refresh_token.as_str()),
            ("a", "7")
        );
        assert_eq!(read("a".into(), Json::Null), Err(InvalidRefresh));
        assert_eq!(read(0.into(), "t".into()), Err(InvalidRefresh));
        assert_eq!(read(" ".into(), "t".into()), Err(InvalidRefresh));
    }
}
