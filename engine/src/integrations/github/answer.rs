//! What GitHub answered about a branch.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode, header};

use crate::{
    config::secret::Secret,
    domain::{coerce::integer_in, json::Json, json_reader, text::python_trim},
};

/// How much of a body errors show, in characters.
const EXCERPT: usize = 200;
/// A token this long is blotted out of what errors show: an answer may hold what was sent. Shorter ones are none of
/// GitHub's, and could be part of any word.
const SHORTEST_TOKEN: usize = 16;

/// An answer without a head although its status is 200.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAnswer {
    /// The body is no JSON object, or longer than any branch is.
    #[error("invalid response")]
    Unreadable,
    /// The commit's id is no text. The legacy breaks on it.
    #[error("the commit's id is no text")]
    IdNotText,
}

/// An answer, as far as it was read.
#[derive(Clone, Debug)]
pub struct GitHubAnswer {
    pub status: StatusCode,
    /// `X-RateLimit-Limit`, where it is a number.
    pub rate_limit: Option<i64>,
    body: Vec<u8>,
    is_latin_1: bool,
    complete: bool,
}

impl GitHubAnswer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: Vec<u8>, complete: bool) -> Self {
        Self {
            status,
            rate_limit: headers
                .get("x-ratelimit-limit")
                .and_then(|value| value.to_str().ok())
                .and_then(integer_in)
                .and_then(|limit| limit.try_into().ok()),
            body,
            is_latin_1: is_latin_1(headers),
            complete,
        }
    }

    /// The first 200 characters of the body, without the token that the request held.
    pub fn excerpt(&self, token: Option<&Secret>) -> String {
        let text: Cow<'_, str> = match self.is_latin_1 {
            true => self.body.iter().copied().map(char::from).collect(),
            false => String::from_utf8_lossy(&self.body),
        };
        match token.map(Secret::expose) {
            Some(token) if token.len() >= SHORTEST_TOKEN => {
                text.replace(token, "***").chars().take(EXCERPT).collect()
            }
            _ => text.chars().take(EXCERPT).collect(),
        }
    }

    /// The id of the branch's commit, trimmed; `None` where the answer has none.
    ///
    /// # Errors
    /// [`InvalidAnswer`]
    pub fn commit_id(&self) -> Result<Option<String>, InvalidAnswer> {
        if !self.complete {
            return Err(InvalidAnswer::Unreadable);
        }
        let body = json_reader::read(&self.body).map_err(|_| InvalidAnswer::Unreadable)?;
        let members = body.as_object().ok_or(InvalidAnswer::Unreadable)?;
        let commit = match members.get("commit").filter(|commit| commit.is_truthy()) {
            Some(commit) => commit.as_object().ok_or(InvalidAnswer::Unreadable)?,
            None => return Ok(None),
        };
        match commit.get("sha").filter(|id| id.is_truthy()) {
            Some(Json::Text(id)) => Ok(Some(python_trim(id).to_owned())),
            Some(_) => Err(InvalidAnswer::IdNotText),
            None => Ok(None),
        }
    }
}

/// Whether the body's text is Latin-1, as the legacy's library has it: said to be, or some text that does not say what it
/// is. All else counts as UTF-8.
fn is_latin_1(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match kind.split_once("charset=") {
        Some((_, charset)) => {
            let charset = charset.split(';').next().unwrap_or_default();
            matches!(
                charset.trim_matches([' ', '"', '\'']),
                "iso-8859-1" | "latin-1" | "latin1"
            )
        }
        None => kind.contains("text"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{arbitrary::any_json, json_text::compact_text};

    fn answer(body: &[u8]) -> GitHubAnswer {
        GitHubAnswer::new(StatusCode::OK, &HeaderMap::new(), body.to_vec(), true)
    }

    #[test]
    fn an_id_is_trimmed_missing_or_wrong() {
        let id = |body: &str| answer(body.as_bytes()).commit_id();
        assert_eq!(id(r#"{"commit":{"sha":" ab\n"}}"#), Ok(Some("ab".to_owned())));
        assert_eq!(id(r#"{"commit":{"sha":"  "}}"#), Ok(Some(String::new())));
        for none in [
            "{}",
            r#"{"commit":null}"#,
            r#"{"commit":[]}"#,
            r#"{"commit":{}}"#,
            r#"{"commit":{"sha":""}}"#,
            r#"{"commit":{"sha":0}}"#,
        ] {
            assert_eq!(id(none), Ok(None), "{none}");
        }
        for unreadable in [
            "",
            "<html>",
            "[1]",
            "null",
            "{",
            r#"{"commit":"x"}"#,
            r#"{"commit":[1]}"#,
        ] {
            assert_eq!(id(unreadable), Err(InvalidAnswer::Unreadable), "{unreadable}");
        }
        assert_eq!(id(r#"{"commit":{"sha":7}}"#), Err(InvalidAnswer::IdNotText));
        let cut = GitHubAnswer::new(StatusCode::OK, &HeaderMap::new(), b"{}".to_vec(), false);
        assert_eq!(cut.commit_id(), Err(InvalidAnswer::Unreadable));
    }

    #[test]
    fn an_excerpt_counts_characters_and_hides_the_token() {
        let token = Secret::new("ghp_0123456789abcdef");
        let body = format!(
            "{}you sent ghp_0123456789abcdef{}",
            "é".repeat(180),
            "x".repeat(300)
        );
        let excerpt = answer(body.as_bytes()).excerpt(Some(&token));
        assert_eq!(excerpt.chars().count(), 200);
        assert!(excerpt.contains("you sent ***x") && !excerpt.contains("ghp_"));
        assert_eq!(answer(b"\xff").excerpt(None), "\u{fffd}");
    }

    #[test]
    fn an_excerpt_is_in_the_charset_of_the_answer() {
        for (kind, text) in [
            ("text/plain", "Ã©"),
            ("text/html; charset=ISO-8859-1", "Ã©"),
            ("text/html; charset=utf-8", "é"),
            ("application/json", "é"),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, http::HeaderValue::from_static(kind))]);
            let answer = GitHubAnswer::new(StatusCode::FORBIDDEN, &headers, "é".into(), true);
            assert_eq!(answer.excerpt(None), text, "{kind}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_nothing() {
        let limit = |text: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-ratelimit-limit"),
                http::HeaderValue::from_static(text),
            )]);
            GitHubAnswer::new(StatusCode::OK, &headers, Vec::new(), true).rate_limit
        };
        assert_eq!(limit(" 5000 "), Some(5000));
        assert_eq!(limit("many"), None);
        assert_eq!(limit("9999999999999999999999"), None);
        assert_eq!(answer(b"").rate_limit, None);
    }

    proptest! {
        #[test]
        fn the_id_is_the_one_in_the_body_trimmed(commit in any_json(), id in prop_oneof![any_json(), ".{0,9}".prop_map(Json::from)], named: bool) {
            let commit = if named { Json::object([("sha", id)]) } else { commit };
            let body = Json::object([("name", "main".into()), ("commit", commit.clone())]);
            let sent = commit.get("sha").filter(|id| id.is_truthy());
            let expected = match (&commit, sent) {
                (Json::Object(_), Some(Json::Text(id))) => Ok(Some(python_trim(id).to_owned())),
                (Json::Object(_), Some(_)) => Err(InvalidAnswer::IdNotText),
                (Json::Object(_), None) => Ok(None),
                (other, _) if other.is_truthy() => Err(InvalidAnswer::Unreadable),
                _ => Ok(None),
            };
            prop_assert_eq!(answer(compact_text(&body).as_bytes()).commit_id(), expected);
        }

        #[test]
        fn bytes_that_are_no_object_have_no_id_and_an_excerpt_is_short(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let answer = answer(&body);
            if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body).is_err() {
                prop_assert_eq!(answer.commit_id(), Err(InvalidAnswer::Unreadable));
            }
            let excerpt = answer.excerpt(None);
            prop_assert!(excerpt.chars().count() <= EXCERPT);
            prop_assert!(String::from_utf8_lossy(&body).starts_with(&excerpt));
        }
    }
}
