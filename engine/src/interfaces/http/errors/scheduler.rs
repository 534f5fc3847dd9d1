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
    domain::json::Json,
    interfaces::http::compat::reply::JsonReply,
    services::{quick_run::QuickRunError, recaps::RecapError, scheduled_jobs::JobError},
};

impl IntoResponse for JobFieldError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::Required => "name, components, targets required",
            Self::NoFields => "no fields to update",
            Self::WrongType => "invalid payload",
        })
    }
}

impl IntoResponse for InvalidOccurrence {
    fn into_response(self) -> Response {
        bad_request("invalid occurrence")
    }
}

impl IntoResponse for QuickRunFieldError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::Missing => "Missing script_path or hostnames[]",
            Self::WrongType => "invalid payload",
        })
    }
}

impl IntoResponse for QuickRunError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => JsonReply::error(StatusCode::NOT_FOUND, "Script not found").into_response(),
            // These name what was sent.
            Self::Unsupported(_) | Self::Escaping(_) => bad_request(&self.to_string()),
            Self::Unreadable(error) => json_failure(&error),
            Self::Store(error) => database_error(error),
            Self::Stopping => {
                JsonReply::error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping").into_response()
            }
        }
    }
}

impl IntoResponse for JobError {
    fn into_response(self) -> Response {
        match self {
            Self::Forbidden => JsonReply::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::VariableNotAllowed(name) => JsonReply::new(
                StatusCode::BAD_REQUEST,
                Json::object([
                    ("error", "variable_not_allowed".into()),
                    ("name", Json::from(name)),
                ]),
            )
            .into_response(),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for RecapFieldError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::NoRun => "run_id is required",
            Self::WrongType => "invalid payload",
        })
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
