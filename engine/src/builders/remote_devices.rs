//! The bodies of `/api/ssh_devices`, `/api/winrm_devices` and below. Whatever stands where text is expected counts as
//! its printed form.

use crate::domain::{
    coerce::{clean, first_or_last},
    json::{Json, JsonObject},
    text::python_trim,
};

/// Why a remote device cannot be made or changed as a body asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RemoteDeviceFormError {
    #[error("hostname is required")]
    HostnameRequired,
    #[error("address is required")]
    AddressRequired,
    /// The body names nothing that could be changed.
    #[error("no fields to update")]
    NothingToUpdate,
    /// The path names no host.
    #[error("invalid hostname")]
    InvalidHostname,
}

/// A remote device that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRemoteDevice {
    pub hostname: String,
    /// Where it is reached.
    pub address: String,
    pub description: String,
    /// Empty where it is not said.
    pub operating_system: String,
}

/// What is to be changed of a remote device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RemoteDeviceChange {
    /// Where it is reached.
    pub address: Option<String>,
    /// May be empty, and is not trimmed.
    pub description: Option<String>,
    pub operating_system: Option<String>,
}

/// Reads a new remote device.
///
/// # Errors
/// No host name, or no address.
pub fn new_remote_device(body: &JsonObject) -> Result<NewRemoteDevice, RemoteDeviceFormError> {
    Ok(NewRemoteDevice {
        hostname: body
            .get("hostname")
            .and_then(clean)
            .ok_or(RemoteDeviceFormError::HostnameRequired)?,
        address: first(body, &["address", "connection_endpoint", "endpoint", "host"])
            .ok_or(RemoteDeviceFormError::AddressRequired)?,
        description: body.get("description").and_then(clean).unwrap_or_default(),
        operating_system: operating_system(body).unwrap_or_default(),
    })
}

/// Reads a change to a remote device. `host` names no address here.
///
/// # Errors
/// It changes nothing.
pub fn remote_device_change(body: &JsonObject) -> Result<RemoteDeviceChange, RemoteDeviceFormError> {
    let change = RemoteDeviceChange {
        address: first(body, &["address", "connection_endpoint", "endpoint"]),
        description: body
            .get("description")
            .filter(|value| !value.is_null())
            .map(Json::python_str),
        operating_system: operating_system(body),
    };
    if change == RemoteDeviceChange::default() {
        return Err(RemoteDeviceFormError::NothingToUpdate);
    }
    Ok(change)
}

/// The host name in a path.
///
/// # Errors
/// It is blank.
pub fn remote_hostname(segment: &str) -> Result<&str, RemoteDeviceFormError> {
    match python_trim(segment) {
        "" => Err(RemoteDeviceFormError::InvalidHostname),
        hostname => Ok(hostname),
    }
}

fn operating_system(body: &JsonObject) -> Option<String> {
    first(body, &["operating_system", "os"])
}

/// One that is blank hides those after it.
fn first(body: &JsonObject, names: &[&str]) -> Option<String> {
    first_or_last(body, names).and_then(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{arbitrary::any_json, json_reader::object};

    fn made(text: &str) -> Result<(String, String, String, String), RemoteDeviceFormError> {
        new_remote_device(&object(text)).map(|device| {
            (
                device.hostname,
                device.address,
                device.description,
                device.operating_system,
            )
        })
    }

    #[test]
    fn a_new_device_needs_a_name_and_an_address_in_any_of_four_fields() {
        let expected = |hostname: &str, address: &str, description: &str, system: &str| {
            Ok((hostname.into(), address.into(), description.into(), system.into()))
        };
        assert_eq!(
            made(
                r#"{"hostname": " h ", "address": "", "endpoint": "e", "host": "x", "operating_system": 0, "os": " o "}"#
            ),
            expected("h", "e", "", "o")
        );
        assert_eq!(
            made(r#"{"hostname": false, "host": {"b": 1}, "description": 0}"#),
            expected("False", "{'b': 1}", "0", "")
        );
        for (text, error) in [
            (r#"{"address": "a"}"#, RemoteDeviceFormError::HostnameRequired),
            (r#"{"hostname": null}"#, RemoteDeviceFormError::HostnameRequired),
            (r#"{"hostname": "h"}"#, RemoteDeviceFormError::AddressRequired),
            (
                r#"{"hostname": "h", "address": false, "endpoint": 0}"#,
                RemoteDeviceFormError::AddressRequired,
            ),
            (
                r#"{"hostname": "h", "host": ""}"#,
                RemoteDeviceFormError::AddressRequired,
            ),
            // A blank address is not falsy.
            (
                r#"{"hostname": "h", "address": " ", "host": "x"}"#,
                RemoteDeviceFormError::AddressRequired,
            ),
        ] {
            assert_eq!(made(text), Err(error), "{text}");
        }
    }

    #[test]
    fn where_all_are_falsy_the_last_counts() {
        assert_eq!(
            made(r#"{"hostname": "h", "address": 0, "host": false, "os": []}"#).map(|made| (made.1, made.3)),
            Ok(("False".into(), "[]".into()))
        );
        let change = remote_device_change(&object(r#"{"address": 0, "endpoint": false, "os": 0}"#)).unwrap();
        assert_eq!(change.address.as_deref(), Some("False"));
        assert_eq!(change.operating_system.as_deref(), Some("0"));
        assert_eq!(
            remote_device_change(&object(r#"{"address": false, "operating_system": 0}"#)),
            Err(RemoteDeviceFormError::NothingToUpdate)
        );
    }

    #[test]
    fn a_change_keeps_a_description_as_it_is_written() {
        let change = remote_device_change(&object(r#"{"description": "  d ", "os": 3}"#)).unwrap();
        assert_eq!(change.description.as_deref(), Some("  d "));
        assert_eq!(change.operating_system.as_deref(), Some("3"));
        assert_eq!(change.address, None);
        let cleared = remote_device_change(&object(r#"{"description": ""}"#)).unwrap();
        assert_eq!(cleared.description.as_deref(), Some(""));
        for nothing in [
            r"{}",
            r#"{"host": "x"}"#,
            r#"{"description": null, "address": "", "os": " "}"#,
        ] {
            assert_eq!(
                remote_device_change(&object(nothing)),
                Err(RemoteDeviceFormError::NothingToUpdate),
                "{nothing}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_device_that_is_made_of_any_body_has_a_name_and_an_address(hostname in any_json(), address in any_json()) {
            let body = JsonObject::from_iter([("hostname".to_owned(), hostname), ("address".to_owned(), address)]);
            if let Ok(device) = new_remote_device(&body) {
                for text in [&device.hostname, &device.address] {
                    prop_assert!(!text.is_empty() && python_trim(text) == text);
                }
            }
        }
    }
}
