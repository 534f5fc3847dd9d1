//! The answers of what goes wrong with devices' reports and accounts.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error, json_failure};
use crate::{
    builders::{
        device_reports::{details::InvalidDetails, hash::InvalidHashRequest},
        service_accounts::InvalidAccountRequest,
    },
    interfaces::http::compat::reply::Answer,
    services::{
        device_reports::{DetailsError, HashError},
        service_accounts::AccountError,
    },
};

fn guid_mismatch() -> Response {
    Answer::error(StatusCode::FORBIDDEN, "guid_mismatch").into_response()
}

impl IntoResponse for InvalidHashRequest {
    fn into_response(self) -> Response {
        bad_request("agent_hash and agent_guid or agent_id required")
    }
}

impl IntoResponse for HashError {
    fn into_response(self) -> Response {
        match self {
            Self::GuidMismatch => guid_mismatch(),
            Self::Missing => InvalidHashRequest.into_response(),
            Self::NotFound => Answer::error(StatusCode::NOT_FOUND, "agent hash not found").into_response(),
            Self::Store(error) => json_failure(&error),
        }
    }
}

impl IntoResponse for InvalidDetails {
    fn into_response(self) -> Response {
        bad_request("invalid payload")
    }
}

impl IntoResponse for DetailsError {
    fn into_response(self) -> Response {
        match self {
            Self::GuidMismatch => guid_mismatch(),
            // The words of the legacy's database: agents that see them rename themselves by a heartbeat (DEV-3).
            Self::OtherHostname => Answer::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "UNIQUE constraint failed: devices.guid",
            )
            .into_response(),
            Self::InvalidHostname(error) => error.into_response(),
            Self::Invalid(_) | Self::IntegerTooLarge | Self::ShapesDiffer(_) => {
                InvalidDetails.into_response()
            }
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for InvalidAccountRequest {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::AgentId => "agent_id required",
            Self::OtherField => "invalid payload",
        })
    }
}

impl IntoResponse for AccountError {
    fn into_response(self) -> Response {
        match self {
            Self::GuidMismatch => guid_mismatch(),
            Self::Quarantined => Answer::error(StatusCode::FORBIDDEN, "device_quarantined").into_response(),
            Self::Invalid(error) => error.into_response(),
            Self::Store(error) => database_error(error),
        }
    }
}
