//! `/api/admin/device-approvals` and below.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use serde::Serialize;

use super::{
    compat::{
        body::{RawBody, Small},
        query::first,
        reply::{Answer, Status},
    },
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::approvals::{approval_decision, approval_filter},
    services::{
        StoreError,
        approvals::{DecisionError, HostnameConflict, ReviewedApproval},
    },
};

/// A device that has the claimed host name already.
#[derive(Debug, Serialize)]
pub struct Conflict {
    guid: Option<String>,
    ssl_key_fingerprint: Option<String>,
    site_id: Option<i64>,
    site_name: String,
    fingerprint_match: bool,
    requires_prompt: bool,
}

impl From<HostnameConflict> for Conflict {
    fn from(conflict: HostnameConflict) -> Self {
        Self {
            guid: conflict.guid.map(|guid| guid.to_string()),
            ssl_key_fingerprint: conflict.fingerprint,
            site_id: conflict.site_id,
            site_name: conflict.site_name,
            fingerprint_match: conflict.fingerprint_match,
            requires_prompt: !conflict.fingerprint_match,
        }
    }
}

/// A request to join, and what an operator must know to decide.
#[derive(Debug, Serialize)]
pub struct ListedApproval {
    id: String,
    approval_reference: String,
    guid: Option<String>,
    hostname_claimed: String,
    ssl_key_fingerprint_claimed: String,
    enrollment_code_id: String,
    status: String,
    client_nonce: String,
    server_nonce: String,
    created_at: String,
    updated_at: String,
    approved_by_user_id: Option<String>,
    approved_by_username: Option<String>,
    hostname_conflict: Option<Conflict>,
    fingerprint_match: bool,
    conflict_requires_prompt: bool,
    alternate_hostname: Option<String>,
}

impl From<ReviewedApproval> for ListedApproval {
    fn from(reviewed: ReviewedApproval) -> Self {
        let approval = reviewed.approval;
        let conflict = reviewed.conflict.map(Conflict::from);
        Self {
            id: approval.id,
            approval_reference: approval.approval_reference,
            guid: approval.guid,
            hostname_claimed: approval.hostname_claimed,
            ssl_key_fingerprint_claimed: approval.fingerprint_claimed,
            enrollment_code_id: approval.enrollment_code_id,
            status: approval.status,
            client_nonce: approval.client_nonce,
            server_nonce: approval.server_nonce,
            created_at: approval.created_at,
            updated_at: approval.updated_at,
            approved_by_user_id: approval.approved_by_user_id,
            approved_by_username: reviewed.approved_by_username,
            fingerprint_match: conflict
                .as_ref()
                .is_some_and(|conflict| conflict.fingerprint_match),
            conflict_requires_prompt: conflict.as_ref().is_some_and(|conflict| conflict.requires_prompt),
            hostname_conflict: conflict,
            alternate_hostname: reviewed.alternate_hostname,
        }
    }
}

/// All requests, or those of a status.
#[derive(Debug, Serialize)]
pub struct ApprovalList {
    approvals: Vec<ListedApproval>,
}

/// A decision that was made.
#[derive(Debug, Serialize)]
pub struct Approved {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict_resolution: Option<String>,
}

/// `GET /api/admin/device-approvals`
pub async fn list(
    State(app): State<AppState>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<Answer<ApprovalList>, StoreError> {
    let status = approval_filter(first(query.as_deref(), "status").as_deref());
    let approvals = app.approvals.list(status.as_deref()).await?;
    Ok(Answer::ok(ApprovalList {
        approvals: approvals.into_iter().map(Into::into).collect(),
    }))
}

/// `POST /api/admin/device-approvals/{id}/approve`
pub async fn approve(
    State(app): State<AppState>,
    Admin(operator): Admin,
    Path(id): Path<String>,
    body: RawBody<Small>,
) -> Result<Answer<Approved>, ErrorResponse> {
    let body = body.forced().await?;
    let decision = approval_decision(&body);
    let resolution = app
        .approvals
        .approve(
            &id,
            decision.device,
            decision.resolution.as_deref(),
            &operator.decider(),
        )
        .await?;
    Ok(Answer::ok(Approved {
        status: "approved",
        conflict_resolution: resolution,
    }))
}

/// `POST /api/admin/device-approvals/{id}/deny`; the body is never read.
pub async fn deny(
    State(app): State<AppState>,
    Admin(operator): Admin,
    Path(id): Path<String>,
) -> Result<Answer<Status>, DecisionError> {
    app.approvals.deny(&id, &operator.decider()).await?;
    Ok(Answer::status("denied"))
}
