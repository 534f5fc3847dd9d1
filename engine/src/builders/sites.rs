//! The bodies of `/api/sites` and below, and the query of the map of hosts.

use super::text::{WrongType, trimmed_text};
use crate::domain::{
    coerce::integer_of,
    json::{Json, JsonObject},
    text::python_trim,
};

/// Why a body says nothing that could be done to sites.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SiteFormError {
    /// A new site has no name, or one of another type.
    #[error("name is required")]
    NameRequired,
    /// The new name is missing, or of another type.
    #[error("new_name is required")]
    NewNameRequired,
    /// The site that is to be renamed is not named by a number.
    #[error("invalid id")]
    InvalidId,
    /// The site that hosts are to be assigned to is not named by a number.
    #[error("invalid site_id")]
    InvalidSiteId,
    /// What is to be deleted is no list of numbers.
    #[error("ids must be a list")]
    IdsNotAList,
    /// What is to be assigned is no list of names.
    #[error("hostnames must be a list of strings")]
    HostnamesNotAList,
    /// The description is of another type (the legacy breaks on it: INV-7).
    #[error("invalid payload")]
    WrongType(#[from] WrongType),
}

/// A site that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewSite {
    pub name: String,
    pub description: String,
}

/// A site that is to get another name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteRename {
    /// `None` for a number that no site has.
    pub id: Option<i64>,
    pub name: String,
}

/// Hosts that are to be assigned to a site.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteAssign {
    /// `None` for a number that no site has.
    pub site_id: Option<i64>,
    /// Trimmed, in the order in which they came.
    pub hostnames: Vec<String>,
}

/// Reads the body of a new site.
///
/// # Errors
/// [`SiteFormError`]
pub fn new_site(body: &JsonObject) -> Result<NewSite, SiteFormError> {
    let name = trimmed_text(body, "name").unwrap_or_default();
    if name.is_empty() {
        return Err(SiteFormError::NameRequired);
    }
    Ok(NewSite {
        name: name.to_owned(),
        description: trimmed_text(body, "description")?.to_owned(),
    })
}

/// Reads the body of a rename.
///
/// # Errors
/// [`SiteFormError`]
pub fn site_rename(body: &JsonObject) -> Result<SiteRename, SiteFormError> {
    // A name of another type fails before the id is looked at, an empty one behind it.
    let name = trimmed_text(body, "new_name").map_err(|_| SiteFormError::NewNameRequired)?;
    let id = site_id(body.get("id")).ok_or(SiteFormError::InvalidId)?;
    if name.is_empty() {
        return Err(SiteFormError::NewNameRequired);
    }
    Ok(SiteRename {
        id,
        name: name.to_owned(),
    })
}

/// Reads which sites are to be deleted. Texts that hold no number, and numbers beyond 64 bits, are passed over: no site
/// has them.
///
/// # Errors
/// No list, or one with something in it that could be no number.
pub fn site_deletion(body: &JsonObject) -> Result<Vec<i64>, SiteFormError> {
    list(body.get("ids"))
        .and_then(|ids| ids.iter().map(number).collect::<Option<Vec<_>>>())
        .map(|ids| ids.into_iter().flatten().collect())
        .ok_or(SiteFormError::IdsNotAList)
}

/// Reads which hosts are to be assigned to which site.
///
/// # Errors
/// [`SiteFormError`]
pub fn site_assign(body: &JsonObject) -> Result<SiteAssign, SiteFormError> {
    let site_id = site_id(body.get("site_id")).ok_or(SiteFormError::InvalidSiteId)?;
    let hostnames = list(body.get("hostnames"))
        .and_then(|names| names.iter().map(name).collect())
        .ok_or(SiteFormError::HostnamesNotAList)?;
    Ok(SiteAssign { site_id, hostnames })
}

/// Reads which hosts the map is asked for; `None` for all.
pub fn mapped_hosts(parameter: Option<&str>) -> Option<Vec<String>> {
    let names: Vec<_> = parameter?
        .split(',')
        .map(python_trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    (!names.is_empty()).then_some(names)
}

/// The number of a site; `Some(None)` where no site can have it.
#[allow(
    clippy::option_option,
    reason = "no number, and a number that no row has, are answered differently"
)]
fn site_id(value: Option<&Json>) -> Option<Option<i64>> {
    Some(i64::try_from(integer_of(value?)?).ok())
}

/// What is falsy counts as an empty list.
fn list(value: Option<&Json>) -> Option<&[Json]> {
    match value {
        Some(value) if value.is_truthy() => value.as_list(),
        _ => Some(&[]),
    }
}

/// `None` for what is neither an integer, a boolean nor a text.
#[allow(
    clippy::option_option,
    reason = "an element is refused, passed over, or a number"
)]
fn number(element: &Json) -> Option<Option<i64>> {
    match element {
        Json::Int(_) | Json::BigInt(_) | Json::Bool(_) | Json::Text(_) => {
            Some(integer_of(element).and_then(|number| i64::try_from(number).ok()))
        }
        Json::Null | Json::Float(_) | Json::List(_) | Json::Object(_) => None,
    }
}

fn name(element: &Json) -> Option<String> {
    let name = python_trim(element.as_text()?);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{arbitrary::any_json, json_reader::object};

    #[test]
    fn a_site_needs_a_name_that_is_text() {
        assert_eq!(
            new_site(&object(r#"{"name": " Berlin ", "description": null}"#)),
            Ok(NewSite {
                name: "Berlin".to_owned(),
                description: String::new()
            })
        );
        for nameless in [
            r"{}",
            r#"{"name": " "}"#,
            r#"{"name": 5, "description": 5}"#,
            r#"{"name": ["x"]}"#,
        ] {
            assert_eq!(
                new_site(&object(nameless)),
                Err(SiteFormError::NameRequired),
                "{nameless}"
            );
        }
        let described = object(r#"{"name": "x", "description": 5}"#);
        assert_eq!(new_site(&described), Err(SiteFormError::WrongType(WrongType)));
    }

    #[test]
    fn a_number_is_read_as_python_reads_it_and_beyond_64_bits_it_is_nobodys() {
        for (id, expected) in [
            ("1", Some(1)),
            ("true", Some(1)),
            ("1.9", Some(1)),
            (r#"" +3 ""#, Some(3)),
            ("9223372036854775808", None),
            (r#""99999999999999999999""#, None),
        ] {
            let rename = site_rename(&object(&format!(r#"{{"id": {id}, "new_name": "n"}}"#)));
            assert_eq!(rename.map(|rename| rename.id), Ok(expected), "{id}");
        }
        for id in ["null", r#""1.5""#, r#""""#, "[1]", "{}", "NaN"] {
            let form = format!(r#"{{"id": {id}, "site_id": {id}, "new_name": "n"}}"#);
            assert_eq!(site_rename(&object(&form)), Err(SiteFormError::InvalidId), "{id}");
            assert_eq!(
                site_assign(&object(&form)),
                Err(SiteFormError::InvalidSiteId),
                "{id}"
            );
        }
        for id in ["1", r#""abc""#] {
            let form = format!(r#"{{"id": {id}, "new_name": 5}}"#);
            assert_eq!(
                site_rename(&object(&form)),
                Err(SiteFormError::NewNameRequired),
                "{id}"
            );
        }
        assert_eq!(
            site_rename(&object(r#"{"id": "abc", "new_name": " "}"#)),
            Err(SiteFormError::InvalidId)
        );
    }

    #[test]
    fn lists_hold_what_could_be_numbers_and_names() {
        assert_eq!(
            site_deletion(&object(r#"{"ids": [1, true, " 2 ", "x", 9223372036854775808]}"#)),
            Ok(vec![1, 1, 2])
        );
        for falsy in [
            r"{}",
            r#"{"ids": null, "site_id": 1}"#,
            r#"{"ids": {}}"#,
            r#"{"ids": 0}"#,
        ] {
            assert_eq!(site_deletion(&object(falsy)), Ok(Vec::new()), "{falsy}");
        }
        for ids in ["5", r#""1""#, "[1.0]", "[null]", "[[1]]", r#"{"a": 1}"#] {
            let form = object(&format!(r#"{{"ids": {ids}}}"#));
            assert_eq!(site_deletion(&form), Err(SiteFormError::IdsNotAList), "{ids}");
        }
        let assign = site_assign(&object(r#"{"site_id": 1, "hostnames": [" a ", "B"]}"#)).unwrap();
        assert_eq!(assign.hostnames, ["a", "B"]);
        for names in [r#""a""#, "[5]", r#"["a", " "]"#, "[null]"] {
            let form = object(&format!(r#"{{"site_id": 1, "hostnames": {names}}}"#));
            assert_eq!(
                site_assign(&form),
                Err(SiteFormError::HostnamesNotAList),
                "{names}"
            );
        }
    }

    #[test]
    fn a_map_is_asked_for_the_names_between_the_commas() {
        let names = |text: &str| mapped_hosts(Some(text)).unwrap_or_default();
        assert_eq!(names(" a ,,b c, "), ["a", "b c"]);
        assert_eq!(mapped_hosts(Some(" , ")), None);
        assert_eq!(mapped_hosts(None), None);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(value in any_json()) {
            let names = ["name", "description", "id", "new_name", "ids", "site_id", "hostnames"];
            let body: JsonObject = names.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
            let _ = (new_site(&body), site_rename(&body), site_deletion(&body));
            if let Ok(assign) = site_assign(&body) {
                prop_assert!(assign.hostnames.iter().all(|name| !name.is_empty() && python_trim(name) == name));
            }
        }

        #[test]
        fn a_map_is_asked_for_no_blank_name(text in "[a-c, \t]*") {
            let names = mapped_hosts(Some(&text)).unwrap_or_default();
            prop_assert!(names.iter().all(|name| !name.is_empty() && !name.contains(',') && python_trim(name) == name));
        }
    }
}
