//! The answers of the errors of scheduled jobs and quick runs.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, internal};
use crate::{
    builders::{
        quick_run::QuickRunFieldError,
        scheduled_jobs::{InvalidOccurrence, JobFieldError},
    },
    interfaces::http::compat::reply::JsonReply,
    services::quick_run::QuickRunError,
};

impl IntoResponse for JobFieldError {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for InvalidOccurrence {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for QuickRunFieldError {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for QuickRunError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => JsonReply::error(StatusCode::NOT_FOUND, &self.to_string()).into_response(),
            Self::Unsupported(_) => bad_request(&self.to_string()),
            Self::Unreadable(error) => internal(&error),
            Self::Store(error) => error.into_response(),
        }
    }
}
