//! The answers of the errors of credentials.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::bad_request;
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
            Self::Store(error) => return error.into_response(),
        };
        JsonReply::error(status, &self.to_string()).into_response()
    }
}
