//! The body of `…/approve`, and the filter of the approvals' list.

use crate::domain::{
    guid::Guid,
    json::{Json, JsonObject},
    text::python_trim,
};

/// The device that an operator says a request is of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum DecidedDevice {
    /// Nothing was said: the one that the request has.
    #[default]
    OfRequest,
    /// This one.
    Guid(Guid),
    /// A text of which nothing is left, as `{}`: none, as long as a taken host name is judged, then again the request's.
    Blank,
}

/// What an operator decides besides yes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ApprovalDecision {
    /// The device that this shall be.
    pub device: DecidedDevice,
    /// What to do about a taken host name.
    pub resolution: Option<String>,
}

/// Reads the body of `…/approve`. Nothing in it is refused.
pub fn approval_decision(body: &JsonObject) -> ApprovalDecision {
    let device = match body.get("guid").map(Json::python_text) {
        Some(text) if !text.is_empty() => {
            Guid::normalize(&text).map_or(DecidedDevice::Blank, DecidedDevice::Guid)
        }
        _ => DecidedDevice::OfRequest,
    };
    let resolution = body
        .get("conflict_resolution")
        .and_then(Json::as_text)
        .map(|text| python_trim(text).to_lowercase())
        .filter(|text| !text.is_empty());
    ApprovalDecision { device, resolution }
}

/// Reads the `status` of a listing; `None` means all.
pub fn approval_filter(status: Option<&str>) -> Option<String> {
    let status = python_trim(status.unwrap_or_default()).to_lowercase();
    (!status.is_empty() && status != "all").then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json_reader::object;

    #[test]
    fn a_guid_of_braces_alone_is_one_that_names_nothing() {
        let device = |body: &str| approval_decision(&object(body)).device;
        for nothing in ["{}", r#"{"guid":null}"#, r#"{"guid":" \n"}"#, r#"{"guid":[]}"#] {
            assert_eq!(device(nothing), DecidedDevice::OfRequest, "{nothing}");
        }
        assert_eq!(device(r#"{"guid":" {} "}"#), DecidedDevice::Blank);
        let hello = Guid::normalize("HELLO").unwrap();
        assert_eq!(device(r#"{"guid":"{hello}"}"#), DecidedDevice::Guid(hello));
    }
}
