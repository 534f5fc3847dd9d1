//! The bodies of `/api/users` and below.

use crate::{
    builders::text::{WrongType, trimmed_text},
    domain::{
        json::{Json, JsonObject},
        operators::{NewUser, Role},
        text::python_trim,
    },
};

/// A change to an account's MFA.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MfaSwitch {
    /// Whether logins ask for a code from now on.
    pub enabled: bool,
    /// Whether the stored secret is forgotten, so that the next login sets up another.
    pub reset_secret: bool,
}

/// Characters of a SHA-512 in hex.
const DIGEST_LENGTH: usize = 128;

/// Why an account cannot be made or changed as a body asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UserFormError {
    /// The name in the path is blank.
    #[error("invalid username")]
    InvalidName,
    /// The name or the digest of the password is missing, or of another type.
    #[error("username and password_sha512 are required")]
    Required,
    /// The role is neither `user` nor `admin`.
    #[error("invalid role")]
    InvalidRole,
    /// The digest of a new password has another length than a SHA-512 in hex.
    #[error("invalid password hash")]
    InvalidDigest,
    /// A text field holds another type (the legacy breaks on it: OPR-13).
    #[error("invalid payload")]
    WrongType(#[from] WrongType),
}

/// Reads a new account. Neither length nor form of the digest is checked, as in the legacy (OPR-15).
///
/// # Errors
/// [`UserFormError`]
pub fn new_user(body: &JsonObject) -> Result<NewUser, UserFormError> {
    let username = trimmed_text(body, "username").map_err(|_| UserFormError::Required)?;
    let display_name = trimmed_text(body, "display_name")?;
    let password_sha512 = trimmed_text(body, "password_sha512").map_err(|_| UserFormError::Required)?;
    if username.is_empty() || password_sha512.is_empty() {
        return Err(UserFormError::Required);
    }
    Ok(NewUser {
        username: username.to_owned(),
        display_name: if display_name.is_empty() {
            username
        } else {
            display_name
        }
        .to_owned(),
        password_sha512: password_sha512.to_lowercase(),
        role: role(body, Some(Role::User))?.as_stored().to_owned(),
    })
}

/// The name of an account in a path, trimmed. Not every route of the legacy trims it.
///
/// # Errors
/// [`UserFormError::InvalidName`]
pub fn account_name(segment: &str) -> Result<&str, UserFormError> {
    let name = python_trim(segment);
    if name.is_empty() {
        return Err(UserFormError::InvalidName);
    }
    Ok(name)
}

/// Reads the role that an account is to have.
///
/// # Errors
/// [`UserFormError::InvalidRole`]
pub fn new_role(body: &JsonObject) -> Result<Role, UserFormError> {
    role(body, None)
}

/// Reads the digest of a new password. Its length alone is checked, as in the legacy.
///
/// # Errors
/// [`UserFormError::InvalidDigest`]
pub fn new_password(body: &JsonObject) -> Result<String, UserFormError> {
    let digest = trimmed_text(body, "password_sha512")
        .map_err(|_| UserFormError::InvalidDigest)?
        .to_lowercase();
    if digest.chars().count() == DIGEST_LENGTH {
        Ok(digest)
    } else {
        Err(UserFormError::InvalidDigest)
    }
}

/// Reads a change to an account's MFA; without `enabled` it is switched off, as in the legacy (OPR-14).
pub fn mfa_switch(body: &JsonObject) -> MfaSwitch {
    let truthy = |name| body.get(name).is_some_and(Json::is_truthy);
    MfaSwitch {
        enabled: truthy("enabled"),
        reset_secret: truthy("reset_secret"),
    }
}

/// The default stands for a role that is absent or falsy; a blank one is named, and invalid.
fn role(body: &JsonObject, default: Option<Role>) -> Result<Role, UserFormError> {
    let is_named = body.get("role").is_some_and(Json::is_truthy);
    if let Some(default) = default.filter(|_| !is_named) {
        return Ok(default);
    }
    let role = trimmed_text(body, "role").map_err(|_| UserFormError::InvalidRole)?;
    match role.to_ascii_lowercase().as_str() {
        "user" => Ok(Role::User),
        "admin" => Ok(Role::Admin),
        _ => Err(UserFormError::InvalidRole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fields: &[(&str, Json)]) -> JsonObject {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    fn read(fields: &[(&str, Json)]) -> Result<NewUser, UserFormError> {
        new_user(&body(fields))
    }

    #[test]
    fn defaults_are_the_legacy_s() {
        let user = read(&[("username", " bob ".into()), ("password_sha512", "AB".into())]).unwrap();
        assert_eq!(
            (user.username.as_str(), user.display_name.as_str()),
            ("bob", "bob")
        );
        assert_eq!(
            (user.password_sha512.as_str(), user.role.as_str()),
            ("ab", "User")
        );
    }

    #[test]
    fn each_fault_has_its_own_answer() {
        assert_eq!(read(&[("username", "bob".into())]), Err(UserFormError::Required));
        assert_eq!(
            read(&[("username", 7.into()), ("password_sha512", "a".into())]),
            Err(UserFormError::Required)
        );
        let with = |name, value| {
            read(&[
                ("username", "b".into()),
                ("password_sha512", "a".into()),
                (name, value),
            ])
        };
        for role in ["root".into(), "  ".into(), "\u{1f}".into(), true.into(), 7.into()] {
            assert_eq!(with("role", role), Err(UserFormError::InvalidRole));
        }
        for falsy in ["".into(), Json::Null, 0.into(), false.into()] {
            assert_eq!(with("role", falsy).unwrap().role, "User");
        }
        assert_eq!(
            with("display_name", 7.into()),
            Err(UserFormError::WrongType(WrongType))
        );
        assert_eq!(with("role", "ADMIN".into()).unwrap().role, "Admin");
    }

    #[test]
    fn a_role_has_to_be_named_when_it_is_changed() {
        assert_eq!(new_role(&body(&[("role", " uSeR ".into())])), Ok(Role::User));
        for role in ["".into(), Json::Null, 5.into(), "root".into()] {
            assert_eq!(
                new_role(&body(&[("role", role)])),
                Err(UserFormError::InvalidRole)
            );
        }
    }

    #[test]
    fn a_new_digest_has_128_characters_whatever_they_are() {
        let read = |digest: Json| new_password(&body(&[("password_sha512", digest)]));
        assert_eq!(
            read(format!(" {} ", "\u{c4}".repeat(128)).into()),
            Ok("\u{e4}".repeat(128))
        );
        for digest in [
            "a".repeat(127).into(),
            "a".repeat(129).into(),
            Json::Null,
            5.into(),
        ] {
            assert_eq!(read(digest), Err(UserFormError::InvalidDigest));
        }
    }
}
