//! The bodies and the query of `/api/credentials` and below.

use super::text::{WrongType, trimmed_text};
use crate::domain::{
    coerce::{integer_in, integer_of},
    credentials::{
        CredentialChange, CredentialFilter, Secrets, become_method, connection_type, credential_type,
    },
    json::{Json, JsonObject},
    json_text::column_text,
    text::python_trim,
};

/// Why a credential cannot be made or changed as a body asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialFormError {
    /// A new credential has no name, or one of another type.
    #[error("name is required")]
    NameRequired,
    /// The name is to become empty.
    #[error("name cannot be empty")]
    NameEmpty,
    /// The body names nothing that could be changed.
    #[error("no fields to update")]
    NothingToUpdate,
    /// A field holds another type, or a site's number is beyond 64 bits (the legacy breaks on both: OPR-13).
    #[error("invalid payload")]
    WrongType(#[from] WrongType),
}

/// The filter names a site whose number is beyond 64 bits: no site has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the number of the site is beyond 64 bits")]
pub struct NoSuchSite;

/// Reads a new credential: every column gets a value.
///
/// # Errors
/// [`CredentialFormError`]
pub fn new_credential(body: &JsonObject) -> Result<CredentialChange<String>, CredentialFormError> {
    let name = trimmed_text(body, "name").unwrap_or_default();
    if name.is_empty() {
        return Err(CredentialFormError::NameRequired);
    }
    let metadata = body
        .get("metadata")
        .filter(|value| value.is_truthy() && value.as_object().is_some());
    Ok(CredentialChange {
        name: Some(name.to_owned()),
        description: Some(trimmed_text(body, "description")?.to_owned()),
        site_id: Some(site_id(body.get("site_id"))?),
        credential_type: Some(credential_type(trimmed_text(body, "credential_type")?)),
        connection_type: Some(connection_type(trimmed_text(body, "connection_type")?)),
        username: Some(trimmed_text(body, "username")?.to_owned()),
        become_method: Some(become_method(trimmed_text(body, "become_method")?)),
        become_username: Some(trimmed_text(body, "become_username")?.to_owned()),
        metadata_json: Some(metadata.map(column_text)),
        secrets: SECRET_NAMES.map(|name| Some(secret(name, body.get(name)))),
    })
}

/// Reads a change to a credential: only what the body names is written.
///
/// # Errors
/// [`CredentialFormError`]
pub fn credential_change(body: &JsonObject) -> Result<CredentialChange<String>, CredentialFormError> {
    let named = |name: &str| -> Result<Option<&str>, WrongType> {
        body.contains_key(name)
            .then(|| trimmed_text(body, name))
            .transpose()
    };
    let name = named("name").map_err(|_| CredentialFormError::NameEmpty)?;
    if name == Some("") {
        return Err(CredentialFormError::NameEmpty);
    }
    let change = CredentialChange {
        name: name.map(str::to_owned),
        description: named("description")?.map(str::to_owned),
        site_id: match body.get("site_id") {
            None => None,
            Some(value) => Some(site_id(Some(value))?),
        },
        credential_type: named("credential_type")?.map(credential_type),
        connection_type: named("connection_type")?.map(connection_type),
        username: named("username")?.map(str::to_owned),
        become_method: named("become_method")?.map(become_method),
        become_username: named("become_username")?.map(str::to_owned),
        metadata_json: match body.get("metadata") {
            Some(Json::Null) => Some(None),
            Some(metadata @ Json::Object(_)) => Some(Some(column_text(metadata))),
            _ => None,
        },
        secrets: SECRET_NAMES.map(|name| {
            if body.get(&format!("clear_{name}")).is_some_and(Json::is_truthy) {
                Some(None)
            } else {
                body.get(name).map(|value| secret(name, Some(value)))
            }
        }),
    };
    if change == CredentialChange::default() {
        return Err(CredentialFormError::NothingToUpdate);
    }
    Ok(change)
}

/// Reads the list's query.
///
/// # Errors
/// [`NoSuchSite`]
pub fn credential_filter(
    site: Option<&str>,
    connection: Option<&str>,
) -> Result<CredentialFilter, NoSuchSite> {
    Ok(CredentialFilter {
        site_id: site
            .and_then(integer_in)
            .map(i64::try_from)
            .transpose()
            .map_err(|_| NoSuchSite)?,
        connection_type: connection
            .filter(|text| !text.is_empty())
            .map(|text| connection_type(python_trim(text))),
    })
}

const SECRET_NAMES: Secrets<&str> = Secrets {
    password: "password",
    private_key: "private_key",
    private_key_passphrase: "private_key_passphrase",
    become_password: "become_password",
};

/// An *int-or-null* that a column can hold.
fn site_id(value: Option<&Json>) -> Result<Option<i64>, WrongType> {
    value
        .and_then(integer_of)
        .map(i64::try_from)
        .transpose()
        .map_err(|_| WrongType)
}

/// A secret is kept as it was typed, a key with the end of its last line. What is no text counts as its printed form.
fn secret(name: &str, value: Option<&Json>) -> Option<String> {
    match value? {
        Json::Null => None,
        Json::Text(text) if python_trim(text).is_empty() => None,
        Json::Text(key) if name == SECRET_NAMES.private_key && !key.ends_with('\n') => {
            Some(format!("{key}\n"))
        }
        value => Some(value.python_str()),
    }
}

#[cfg(test)]
mod tests;
