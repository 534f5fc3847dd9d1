//! The answers of the errors of logins and accounts.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error, too_many_requests};
use crate::{
    builders::{
        operators::{login::MissingCredentials, users::UserFormError},
        text::WrongType,
    },
    domain::rate_limit::RateLimited,
    interfaces::http::compat::reply::{Answer, Failure},
    services::operators::{login::LoginError, mfa::VerifyError, users::UserError},
};

impl IntoResponse for WrongType {
    /// Where a route has no answer of its own for such a field.
    fn into_response(self) -> Response {
        bad_request("invalid payload")
    }
}

impl IntoResponse for MissingCredentials {
    fn into_response(self) -> Response {
        bad_request("missing credentials")
    }
}

impl IntoResponse for UserFormError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::InvalidName => "invalid username",
            Self::Required => "username and password_sha512 are required",
            Self::InvalidRole => "invalid role",
            Self::InvalidDigest => "invalid password hash",
            Self::WrongType(_) => "invalid payload",
        })
    }
}

impl IntoResponse for UserError {
    fn into_response(self) -> Response {
        let reply = |status, word| Answer::error(status, word).into_response();
        match self {
            Self::OwnAccount => bad_request("You cannot delete the user you are currently logged in as."),
            Self::OnlyAccount => bad_request(
                "There is only one user currently configured, you cannot delete this user until you have created \
                 another.",
            ),
            Self::DeletesLastAdmin => bad_request("cannot delete the last admin"),
            Self::DemotesLastAdmin => bad_request("cannot demote the last admin"),
            Self::NotFound => reply(StatusCode::NOT_FOUND, "user not found"),
            Self::NameTaken => reply(StatusCode::CONFLICT, "username already exists"),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for LoginError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused => {
                Answer::error(StatusCode::UNAUTHORIZED, "invalid username or password").into_response()
            }
            Self::NoText => MissingCredentials.into_response(),
            Self::RateLimited(limited) => too_many_guesses(limited),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for VerifyError {
    fn into_response(self) -> Response {
        let reply = |status, word: &str| Answer::error(status, word).into_response();
        match self {
            Self::InvalidSession => reply(StatusCode::UNAUTHORIZED, "invalid_session"),
            Self::Expired => reply(StatusCode::UNAUTHORIZED, "expired"),
            Self::ShortCode => bad_request("invalid_code"),
            Self::WrongCode => reply(StatusCode::UNAUTHORIZED, "invalid_code"),
            Self::NotConfigured => reply(StatusCode::FORBIDDEN, "mfa_not_configured"),
            Self::Secret(error) => {
                tracing::error!(%error, "an account's mfa secret cannot be used");
                reply(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
            }
            Self::RateLimited(limited) => too_many_guesses(limited),
            Self::Store(error) => database_error(error),
        }
    }
}

fn too_many_guesses(limited: RateLimited) -> Response {
    too_many_requests(limited, Failure::new("rate_limited"))
}
