//! The body of `POST /api/auth/login`.

use crate::{
    domain::{
        json::{Json, JsonObject},
        text::python_trim,
    },
    services::operators::Password,
};

/// A well-formed login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// The user name, trimmed, not empty.
    pub username: String,
    /// The proof.
    pub password: Password,
}

/// The name or the password is missing, or of another type (the legacy breaks on the latter: OPR-13).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("missing credentials")]
pub struct MissingCredentials;

/// Reads a login. A digest decides alone, even next to a password.
///
/// # Errors
/// [`MissingCredentials`].
pub fn login(body: &JsonObject) -> Result<Login, MissingCredentials> {
    let trimmed = |name: &str| {
        body.get(name)
            .and_then(Json::as_text)
            .map(python_trim)
            .filter(|text| !text.is_empty())
    };
    let username = trimmed("username").ok_or(MissingCredentials)?.to_owned();
    let password = match trimmed("password_sha512") {
        Some(digest) => Password::Digest(digest.to_lowercase()),
        None => {
            let text = body
                .get("password")
                .and_then(Json::as_text)
                .filter(|text| !text.is_empty());
            Password::Plain(text.ok_or(MissingCredentials)?.to_owned())
        }
    };
    Ok(Login { username, password })
}
