//! The answers of the errors of devices, sites and views.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error};
use crate::{
    builders::{
        device_views::DeviceViewFormError, remote_devices::RemoteDeviceFormError, sites::SiteFormError,
    },
    interfaces::http::compat::reply::Answer,
    services::{
        device_views::DeviceViewError, devices::DescribeError, remote_devices::RemoteDeviceError,
        sites::SiteError,
    },
};

fn not_found(word: &str) -> Response {
    Answer::error(StatusCode::NOT_FOUND, word).into_response()
}

fn conflict(word: &str) -> Response {
    Answer::error(StatusCode::CONFLICT, word).into_response()
}

impl IntoResponse for SiteFormError {
    fn into_response(self) -> Response {
        match self {
            Self::NameRequired => bad_request("name is required"),
            Self::NewNameRequired => bad_request("new_name is required"),
            Self::InvalidId => bad_request("invalid id"),
            Self::InvalidSiteId => bad_request("invalid site_id"),
            Self::IdsNotAList => bad_request("ids must be a list"),
            Self::HostnamesNotAList => bad_request("hostnames must be a list of strings"),
            Self::WrongType(error) => error.into_response(),
        }
    }
}

impl IntoResponse for SiteError {
    fn into_response(self) -> Response {
        match self {
            Self::NameTaken => conflict("name already exists"),
            Self::NotFound => not_found("site not found"),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for DeviceViewFormError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::NameRequired => "name is required",
            Self::NameEmpty => "name cannot be empty",
            Self::Reserved => "reserved name",
            Self::Columns => "columns must be a list of strings",
            Self::Filters => "filters must be an object",
        })
    }
}

impl IntoResponse for DeviceViewError {
    fn into_response(self) -> Response {
        match self {
            Self::NameTaken => conflict("name already exists"),
            Self::NotFound => not_found("not found"),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for DescribeError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => not_found("device not found"),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for RemoteDeviceFormError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::HostnameRequired => "hostname is required",
            Self::AddressRequired => "address is required",
            Self::NothingToUpdate => "no fields to update",
            Self::InvalidHostname => "invalid hostname",
        })
    }
}

impl IntoResponse for RemoteDeviceError {
    fn into_response(self) -> Response {
        match self {
            Self::OtherConnection => conflict("device already exists with different connection type"),
            Self::HostnameTaken => conflict("device already exists"),
            Self::InvalidHostname(error) => error.into_response(),
            Self::NotFound => not_found("device not found"),
            // The legacy's status (INV-15).
            Self::AddressRequired => not_found("address is required"),
            Self::Store(error) => database_error(error),
        }
    }
}
