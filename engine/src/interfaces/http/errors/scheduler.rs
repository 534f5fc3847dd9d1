//! The answers of the errors of scheduled jobs, quick runs and playbook runs.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::{bad_request, database_error, json_failure};
use crate::{
    builders::{
        playbooks::PlaybookFieldError,
        quick_run::{QuickPlaybookFieldError, QuickRunFieldError},
        scheduled_jobs::{InvalidOccurrence, JobFieldError, TooManyDays},
    },
    interfaces::http::compat::{path::beyond_integers, reply::Answer},
    services::{
        playbooks::PlaybookError,
        quick_run::{QuickPlaybookError, QuickRunError},
        scheduled_jobs::JobError,
    },
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

impl IntoResponse for TooManyDays {
    fn into_response(self) -> Response {
        beyond_integers().into_response()
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
            Self::NotFound => Answer::error(StatusCode::NOT_FOUND, "Script not found").into_response(),
            // These name what was sent.
            Self::Unsupported(_) | Self::Escaping(_) => bad_request(&self.to_string()),
            Self::UnusableHost => bad_request("invalid payload"),
            Self::Unreadable(error) => json_failure(&error),
            Self::Store(error) => database_error(error),
            Self::Stopping => {
                Answer::error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping").into_response()
            }
        }
    }
}

impl IntoResponse for QuickPlaybookFieldError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::Missing => "Missing playbook_path or hostnames[]",
            Self::InvalidCredential => "Invalid credential_id",
        })
    }
}

impl IntoResponse for QuickPlaybookError {
    fn into_response(self) -> Response {
        let not_found = |word| Answer::error(StatusCode::NOT_FOUND, word).into_response();
        match self {
            Self::Forbidden => Answer::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::CredentialNotFound => not_found("Credential not found"),
            Self::NotFound => not_found("Playbook not found"),
            Self::InvalidPath => bad_request("invalid path"),
            Self::UnsupportedConnection(connection) => {
                bad_request(&format!("Credential connection '{connection}' not supported"))
            }
            Self::VariableNotAllowed(name) => variable_not_allowed(name),
            Self::Unreadable(error) => json_failure(&error),
            Self::Store(error) => database_error(error),
            Self::Stopping => {
                Answer::error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping").into_response()
            }
        }
    }
}

/// The variable that a job may not have.
#[derive(Serialize)]
struct VariableNotAllowed {
    error: &'static str,
    name: String,
}

fn variable_not_allowed(name: String) -> Response {
    let body = VariableNotAllowed {
        error: "variable_not_allowed",
        name,
    };
    Answer::new(StatusCode::BAD_REQUEST, body).into_response()
}

impl IntoResponse for JobError {
    fn into_response(self) -> Response {
        match self {
            Self::Forbidden => Answer::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::VariableNotAllowed(name) => variable_not_allowed(name),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for PlaybookFieldError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::NoRun => "run_id is required",
            Self::WrongType => "invalid payload",
        })
    }
}

impl IntoResponse for PlaybookError {
    fn into_response(self) -> Response {
        match self {
            Self::AnotherHost => Answer::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::Store(error) => database_error(error),
        }
    }
}
