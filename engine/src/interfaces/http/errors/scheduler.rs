//! The answers of the errors of scheduled jobs, quick runs and recaps.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error, json_failure};
use crate::{
    builders::{
        quick_run::QuickRunFieldError,
        recaps::RecapFieldError,
        scheduled_jobs::{InvalidOccurrence, JobFieldError},
    },
    interfaces::http::compat::reply::JsonReply,
    services::{quick_run::QuickRunError, recaps::RecapError},
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
            Self::Unreadable(error) => json_failure(&error),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for RecapFieldError {
    fn into_response(self) -> Response {
        bad_request(&self.to_string())
    }
}

impl IntoResponse for RecapError {
    fn into_response(self) -> Response {
        match self {
            Self::AnotherHost => JsonReply::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::Store(error) => database_error(error),
        }
    }
}
