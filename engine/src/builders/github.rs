//! What is asked about repositories, and the token that is to be stored.

use std::time::Duration;

use crate::{
    config::secret::Secret,
    domain::{
        coerce::integer_in,
        json::{Json, JsonObject},
        repository_head::{InvalidBranch, RepositoryBranch, clamped_seconds},
        text::python_trim,
    },
};

/// Which head is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadQuery {
    pub branch: RepositoryBranch,
    /// How old a cached head may be, where the query says so.
    pub ttl: Option<Duration>,
    /// Whether GitHub is asked however fresh the cached head is.
    pub forced: bool,
}

/// Reads the question for a head from the parameters of its query; `default` stands for names that are missing.
///
/// # Errors
/// A name leads to no branch.
pub fn head_query(
    parameter: impl Fn(&str) -> Option<String>,
    default: &RepositoryBranch,
) -> Result<HeadQuery, InvalidBranch> {
    let name = |parameter: Option<String>, default: &str| match parameter {
        Some(name) if !name.is_empty() => python_trim(&name).to_owned(),
        _ => default.to_owned(),
    };
    let branch = RepositoryBranch::new(
        name(parameter("repo"), default.repository()),
        name(parameter("branch"), default.branch()),
    )?;
    let forced = parameter("refresh").is_some_and(|word| {
        let word = python_trim(&word).to_lowercase();
        ["1", "true", "yes", "force", "refresh"].contains(&word.as_str())
    });
    let ttl = parameter("ttl")
        .and_then(|text| integer_in(&text))
        .map(clamped_seconds);
    Ok(HeadQuery { branch, ttl, forced })
}

/// The token is an array or an object. The legacy stores their Python text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid payload")]
pub struct InvalidToken;

/// Reads the token that is to be stored; `None` where that is to be none. Numbers and `true` become their text.
///
/// # Errors
/// [`InvalidToken`]
pub fn new_token(body: &JsonObject) -> Result<Option<Secret>, InvalidToken> {
    match body.get("token") {
        Some(Json::List(items)) if !items.is_empty() => Err(InvalidToken),
        Some(Json::Object(members)) if !members.is_empty() => Err(InvalidToken),
        value => {
            let token = value.map(Json::python_text).unwrap_or_default();
            Ok((!token.is_empty()).then(|| Secret::new(token)))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Result<HeadQuery, InvalidBranch> {
        let parameter = |name: &str| {
            pairs
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        head_query(parameter, &RepositoryBranch::default())
    }

    #[test]
    fn names_are_trimmed_and_default_where_empty() {
        let key = |pairs: &[(&str, &str)]| query(pairs).map(|query| query.branch.key());
        assert_eq!(key(&[]).unwrap(), "bunny-lab-io/Borealis:main");
        assert_eq!(
            key(&[("repo", ""), ("branch", "")]).unwrap(),
            "bunny-lab-io/Borealis:main"
        );
        assert_eq!(
            key(&[("repo", " acme/x "), ("branch", " dev ")]).unwrap(),
            "acme/x:dev"
        );
        assert_eq!(key(&[("repo", "  ")]), Err(InvalidBranch::Repository));
        assert_eq!(key(&[("repo", "widgets")]), Err(InvalidBranch::Repository));
        assert_eq!(key(&[("branch", "../x")]), Err(InvalidBranch::Branch));
    }

    #[test]
    fn a_lifetime_is_held_and_words_force() {
        let ttl = |text| query(&[("ttl", text)]).unwrap().ttl.map(|ttl| ttl.as_secs());
        assert_eq!(ttl("1"), Some(30));
        assert_eq!(ttl("-5"), Some(30));
        assert_eq!(ttl(" 90 "), Some(90));
        assert_eq!(ttl("99999"), Some(3600));
        for text in ["", "abc", "1.5"] {
            assert_eq!(ttl(text), None, "{text}");
        }
        for (word, forced) in [
            ("1", true),
            (" Force ", true),
            ("REFRESH", true),
            ("on", false),
            ("0", false),
            ("", false),
        ] {
            assert_eq!(query(&[("refresh", word)]).unwrap().forced, forced, "{word}");
        }
    }

    #[test]
    fn tokens_are_texts_of_values() {
        let token = |value: Json| {
            let body = JsonObject::from_iter([("token".to_owned(), value)]);
            new_token(&body).map(|token| token.map(|token| token.expose().to_owned()))
        };
        for (value, text) in [
            ("  t ".into(), "t"),
            (12345.into(), "12345"),
            (1.5.into(), "1.5"),
            (true.into(), "True"),
        ] {
            assert_eq!(token(value), Ok(Some(text.to_owned())));
        }
        for none in [
            Json::Null,
            false.into(),
            0.into(),
            " ".into(),
            Json::List(Vec::new()),
            Json::Object(JsonObject::new()),
        ] {
            assert_eq!(token(none), Ok(None));
        }
        assert_eq!(token(Json::list(["t"])), Err(InvalidToken));
        assert_eq!(token(Json::object([("a", 1.into())])), Err(InvalidToken));
        assert_eq!(new_token(&JsonObject::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn no_parameter_breaks_it(text in ".*") {
            let query = head_query(|_| Some(text.clone()), &RepositoryBranch::default());
            if let Ok(query) = query {
                prop_assert!(query.ttl.is_none_or(|ttl| (30..=3600).contains(&ttl.as_secs())));
            }
        }
    }
}
