//! The answers of the errors of credentials.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error};
use crate::{
    builders::credentials::CredentialFormError, interfaces::http::compat::reply::Answer,
    services::credentials::CredentialError,
};

impl IntoResponse for CredentialFormError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::NameRequired => "name is required",
            Self::NameEmpty => "name cannot be empty",
            Self::NothingToUpdate => "no fields to update",
            Self::WrongType(_) => "invalid payload",
        })
    }
}

impl IntoResponse for CredentialError {
    fn into_response(self) -> Response {
        let reply = |status, word| Answer::error(status, word).into_response();
        match self {
            Self::NameTaken => reply(StatusCode::CONFLICT, "credential name already exists"),
            Self::NotFound => reply(StatusCode::NOT_FOUND, "credential not found"),
            Self::Store(error) => database_error(error),
        }
    }
}
