//! The body of `POST /api/users`.

use crate::{
    domain::{
        json::{Json, JsonObject},
        text::python_trim,
    },
    repositories::users::NewUser,
};

/// Why an account cannot be made of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NewUserError {
    /// The name or the digest of the password is missing, or of another type.
    #[error("username and password_sha512 are required")]
    Required,
    /// The role is neither `user` nor `admin`.
    #[error("invalid role")]
    InvalidRole,
    /// A text field holds another type (the legacy breaks on it: OPR-13).
    #[error("invalid payload")]
    InvalidPayload,
}

/// Reads a new account. Neither length nor form of the digest is checked, as in the legacy (OPR-15).
///
/// # Errors
/// [`NewUserError`]
pub fn new_user(body: &JsonObject) -> Result<NewUser, NewUserError> {
    let username = text(body, "username").map_err(|_| NewUserError::Required)?;
    let password_sha512 = text(body, "password_sha512")
        .map_err(|_| NewUserError::Required)?
        .to_lowercase();
    let display_name = text(body, "display_name")?;
    let role = text(body, "role").map_err(|_| NewUserError::InvalidRole)?;
    if username.is_empty() || password_sha512.is_empty() {
        return Err(NewUserError::Required);
    }
    let role = match role.to_ascii_lowercase().as_str() {
        "" | "user" => "User",
        "admin" => "Admin",
        _ => return Err(NewUserError::InvalidRole),
    };
    Ok(NewUser {
        display_name: if display_name.is_empty() {
            username.clone()
        } else {
            display_name
        },
        username,
        password_sha512,
        role: role.to_owned(),
    })
}

/// A text field, trimmed; falsy values count as empty.
fn text(body: &JsonObject, name: &str) -> Result<String, NewUserError> {
    match body.get(name).filter(|value| value.is_truthy()) {
        None => Ok(String::new()),
        Some(Json::Text(text)) => Ok(python_trim(text).to_owned()),
        Some(_) => Err(NewUserError::InvalidPayload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, Json)]) -> Result<NewUser, NewUserError> {
        let mut body = JsonObject::new();
        for (name, value) in fields {
            body.insert((*name).to_owned(), value.clone());
        }
        new_user(&body)
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
        assert_eq!(read(&[("username", "bob".into())]), Err(NewUserError::Required));
        assert_eq!(
            read(&[("username", 7.into()), ("password_sha512", "a".into())]),
            Err(NewUserError::Required)
        );
        let with = |name, value| {
            read(&[
                ("username", "b".into()),
                ("password_sha512", "a".into()),
                (name, value),
            ])
        };
        assert_eq!(with("role", "root".into()), Err(NewUserError::InvalidRole));
        assert_eq!(with("display_name", 7.into()), Err(NewUserError::InvalidPayload));
        assert_eq!(with("role", "ADMIN".into()).unwrap().role, "Admin");
    }
}
