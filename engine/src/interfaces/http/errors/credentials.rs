//! The answers of the errors of credentials.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error};
use crate::{
    builders::credentials::CredentialFormError, interfaces::http::compat::reply::JsonReply,
    services::credentials::CredentialError,
};

impl IntoResponse for CredentialFormError {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for CredentialError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NameTaken => StatusCode::CONFLICT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Store(error) => return database_error(error),
        };
        JsonReply::error(status, &self.to_string()).into_response()
    }
}
