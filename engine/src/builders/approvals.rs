//! The body of `…/approve`, and the filter of the approvals' list.

use crate::domain::{
    guid::Guid,
    json::{Json, JsonObject},
    text::python_trim,
};

/// What an operator decides besides yes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ApprovalDecision {
    /// The device that this shall be.
    pub guid: Option<Guid>,
    /// What to do about a taken host name.
    pub resolution: Option<String>,
}

/// Reads the body of `…/approve`. Nothing in it is refused.
pub fn approval_decision(body: &JsonObject) -> ApprovalDecision {
    let guid = body
        .get("guid")
        .map(Json::python_text)
        .and_then(|text| Guid::normalize(&text));
    let resolution = body
        .get("conflict_resolution")
        .and_then(Json::as_text)
        .map(|text| python_trim(text).to_lowercase())
        .filter(|text| !text.is_empty());
    ApprovalDecision { guid, resolution }
}

/// Reads the `status` of a listing; `None` means all.
pub fn approval_filter(status: Option<&str>) -> Option<String> {
    let status = python_trim(status.unwrap_or_default()).to_lowercase();
    (!status.is_empty() && status != "all").then_some(status)
}
