//! The answers of the errors of logins and accounts.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::bad_request;
use crate::{
    builders::{login::MissingCredentials, users::NewUserError},
    interfaces::http::compat::reply::JsonReply,
    services::operators::{CreateUserError, LoginError},
};

impl IntoResponse for MissingCredentials {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for NewUserError {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for CreateUserError {
    fn into_response(self) -> Response {
        match self {
            Self::NameTaken => {
                JsonReply::error(StatusCode::CONFLICT, "username already exists").into_response()
            }
            Self::Store(error) => error.into_response(),
        }
    }
}

impl IntoResponse for LoginError {
    fn into_response(self) -> Response {
        match self {
            // An account that asks for a code is refused like an unknown one until codes can be checked: letting it
            // in without would open it to whoever has the password.
            Self::Refused | Self::CodeRequired => {
                JsonReply::error(StatusCode::UNAUTHORIZED, "invalid username or password").into_response()
            }
            Self::Store(error) => error.into_response(),
        }
    }
}
