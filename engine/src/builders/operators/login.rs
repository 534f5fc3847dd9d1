//! The body of `POST /api/auth/login`.

use crate::{
    builders::text::{WrongType, trimmed_text},
    domain::json::{Json, JsonObject},
};

/// What a login shows to prove itself.
#[derive(Clone, Eq, PartialEq)]
pub enum Password {
    /// The password itself.
    Plain(String),
    /// Its SHA-512 in lower-case hex, which decides alone where it is given.
    Digest(String),
    /// Something that is no text. The legacy breaks on it, but only once it knows the name (OPR-13); under the policy
    /// `strict` no name is looked up for it.
    NoText,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// A well-formed login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginForm {
    /// The user name, trimmed, not empty.
    pub username: String,
    /// The proof.
    pub password: Password,
}

/// The name or the password is missing, or of another type (the legacy breaks on the latter: OPR-13).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("missing credentials")]
pub struct MissingCredentials;

impl From<WrongType> for MissingCredentials {
    fn from(_: WrongType) -> Self {
        Self
    }
}

/// Reads a login. A digest decides alone, even next to a password.
pub fn login_form(body: &JsonObject) -> Result<LoginForm, MissingCredentials> {
    let username = trimmed_text(body, "username")?;
    let digest = trimmed_text(body, "password_sha512")?;
    let password = match body.get("password").filter(|value| value.is_truthy()) {
        _ if !digest.is_empty() => Password::Digest(digest.to_lowercase()),
        Some(Json::Text(password)) => Password::Plain(password.clone()),
        Some(_) => Password::NoText,
        None => return Err(MissingCredentials),
    };
    if username.is_empty() {
        return Err(MissingCredentials);
    }
    Ok(LoginForm {
        username: username.to_owned(),
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, Json)]) -> Result<Password, MissingCredentials> {
        let body = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        login_form(&body).map(|form| form.password)
    }

    #[test]
    fn a_digest_decides_alone_and_passwords_are_not_trimmed() {
        let name = ("username", Json::from("a"));
        let password = ("password", Json::from(" p "));
        assert_eq!(
            read(&[name.clone(), password.clone()]),
            Ok(Password::Plain(" p ".to_owned()))
        );
        let digest = ("password_sha512", Json::from(" AB "));
        assert_eq!(
            read(&[name.clone(), password, digest]),
            Ok(Password::Digest("ab".to_owned()))
        );
        assert_eq!(
            read(&[name.clone(), ("password", 5.into())]),
            Ok(Password::NoText)
        );
        for fields in [
            vec![name.clone()],
            vec![name.clone(), ("password", 0.into())],
            vec![
                name.clone(),
                ("password", "p".into()),
                ("password_sha512", 7.into()),
            ],
            vec![("username", 5.into()), ("password", "p".into())],
            vec![("username", " ".into()), ("password", "p".into())],
        ] {
            assert_eq!(read(&fields), Err(MissingCredentials), "{fields:?}");
        }
    }
}
