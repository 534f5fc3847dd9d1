//! The bodies of `/api/scripts` and `/api/ansible`, which change nothing any more but say what is wrong with a request.

use crate::{
    builders::text::{WrongType, trimmed_text},
    domain::json::{Json, JsonObject},
};

/// Why a request of a deprecated route is refused before any file is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeprecatedFormError {
    #[error("Missing content")]
    MissingContent,
    #[error("Missing name")]
    MissingName,
    /// A path, where the route has a word for one that is wrong.
    #[error("Invalid path")]
    InvalidPath,
    /// The legacy keeps playbooks elsewhere.
    #[error("Ansible playbooks are managed separately from scripts.")]
    PlaybookAmongScripts,
    #[error("Invalid new_name")]
    InvalidNewName,
    #[error("Invalid destination")]
    InvalidDestination,
    /// A field of another type, that has no word of its own.
    #[error("invalid payload")]
    WrongType(#[from] WrongType),
}

/// What is to be saved where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeprecatedSave {
    /// At this path, not empty.
    At(String),
    /// Under a name in the usual folder, wherever the name pretends to lie.
    Named,
}

/// Reads what a script or playbook is to be saved as. Of scripts, where `has_type`, a new one may not be a playbook; the
/// playbooks' route reads no type.
///
/// # Errors
/// [`DeprecatedFormError`]
pub fn save(body: &JsonObject, has_type: bool) -> Result<DeprecatedSave, DeprecatedFormError> {
    let path = trimmed_text(body, "path").map_err(|WrongType| DeprecatedFormError::InvalidPath)?;
    let name = trimmed_text(body, "name").map_err(|WrongType| DeprecatedFormError::MissingName)?;
    let kind = if has_type { trimmed_text(body, "type")? } else { "" };
    if body.get("content").is_none_or(Json::is_null) {
        return Err(DeprecatedFormError::MissingContent);
    }
    if !path.is_empty() {
        return Ok(DeprecatedSave::At(path.to_owned()));
    }
    if name.is_empty() {
        return Err(DeprecatedFormError::MissingName);
    }
    if kind.to_lowercase() == "ansible" {
        return Err(DeprecatedFormError::PlaybookAmongScripts);
    }
    Ok(DeprecatedSave::Named)
}

/// Reads the path that a request names; it may be empty.
///
/// # Errors
/// It is of another type.
pub fn path(body: &JsonObject) -> Result<String, DeprecatedFormError> {
    Ok(trimmed_text(body, "path")?.to_owned())
}

/// A path, and whether the new name beside it is one.
pub type DeprecatedRename = (String, Result<(), DeprecatedFormError>);

/// Reads path and new name; what is wrong with the name is said once the path is known to be one.
///
/// # Errors
/// The path is of another type.
pub fn rename(body: &JsonObject) -> Result<DeprecatedRename, DeprecatedFormError> {
    let new_name = match trimmed_text(body, "new_name") {
        Ok(name) if !name.is_empty() => Ok(()),
        Ok(_) | Err(WrongType) => Err(DeprecatedFormError::InvalidNewName),
    };
    Ok((path(body)?, new_name))
}

/// As [`rename`], of a file. Of scripts, where `has_type`, the type is read too, though it changes nothing.
///
/// # Errors
/// Path or type is of another type.
pub fn rename_file(body: &JsonObject, has_type: bool) -> Result<DeprecatedRename, DeprecatedFormError> {
    if has_type {
        trimmed_text(body, "type")?;
    }
    rename(body)
}

/// Reads path and new path.
///
/// # Errors
/// One is of another type.
pub fn relocate(body: &JsonObject) -> Result<(String, String), DeprecatedFormError> {
    let new_path =
        trimmed_text(body, "new_path").map_err(|WrongType| DeprecatedFormError::InvalidDestination)?;
    Ok((path(body)?, new_path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json_reader::object;

    #[test]
    fn a_save_needs_content_and_a_path_or_a_name() {
        for (body, read) in [
            ("{}", Err(DeprecatedFormError::MissingContent)),
            (
                r#"{"content":null,"name":"x"}"#,
                Err(DeprecatedFormError::MissingContent),
            ),
            (
                r#"{"content":"","name":" "}"#,
                Err(DeprecatedFormError::MissingName),
            ),
            (
                r#"{"content":"x","name":5}"#,
                Err(DeprecatedFormError::MissingName),
            ),
            (
                r#"{"content":"x","path":5}"#,
                Err(DeprecatedFormError::InvalidPath),
            ),
            (
                r#"{"content":"x","name":"n","type":" Ansible "}"#,
                Err(DeprecatedFormError::PlaybookAmongScripts),
            ),
            (
                r#"{"content":"x","path":" p ","type":"ansible"}"#,
                Ok(DeprecatedSave::At("p".to_owned())),
            ),
            (r#"{"content":false,"name":"../n"}"#, Ok(DeprecatedSave::Named)),
        ] {
            assert_eq!(save(&object(body), true), read, "{body}");
        }
        for kind in ["\"ansible\"", "5"] {
            let body = object(&format!(r#"{{"content":0,"name":"n","type":{kind}}}"#));
            assert!(save(&body, true).is_err(), "{kind}");
            assert_eq!(save(&body, false), Ok(DeprecatedSave::Named), "{kind}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_new_name_waits_for_the_path() {
        assert_eq!(
            rename(&object(r#"{"path":"a"}"#)),
            Ok(("a".to_owned(), Err(DeprecatedFormError::InvalidNewName)))
        );
        assert!(rename(&object(r#"{"path":5,"new_name":"x"}"#)).is_err());
        let typed = object(r#"{"path":"a","new_name":"x","type":5}"#);
        assert!(rename_file(&typed, false).is_ok() && rename_file(&typed, true).is_err());
        assert_eq!(
            relocate(&object(r#"{"path":"a","new_path":{"b":1}}"#)),
            Err(DeprecatedFormError::InvalidDestination)
        );
        assert_eq!(
            relocate(&object(r#"{"path":"a"}"#)),
            Ok(("a".to_owned(), String::new()))
        );
    }
}
