//! `/api/admin/device-approvals` and below.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};

use super::{
    compat::{body, body::RawBody, query::first, reply::JsonReply},
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::approvals::{approval_decision, approval_filter},
    domain::json::Json,
    services::{
        StoreError,
        approvals::{DecisionError, HostnameConflict, ReviewedApproval},
    },
};

fn conflict(conflict: &HostnameConflict) -> Json {
    Json::object([
        ("guid", conflict.guid.as_ref().map(ToString::to_string).into()),
        ("ssl_key_fingerprint", conflict.fingerprint.clone().into()),
        ("site_id", conflict.site_id.into()),
        ("site_name", conflict.site_name.as_str().into()),
        ("fingerprint_match", conflict.fingerprint_match.into()),
        ("requires_prompt", (!conflict.fingerprint_match).into()),
    ])
}

fn listed(reviewed: ReviewedApproval) -> Json {
    let ReviewedApproval {
        approval,
        approved_by_username,
        conflict: held,
        alternate_hostname,
    } = reviewed;
    let fingerprint_match = held.as_ref().is_some_and(|held| held.fingerprint_match);
    let requires_prompt = held.as_ref().is_some_and(|held| !held.fingerprint_match);
    Json::object([
        ("id", approval.id.into()),
        ("approval_reference", approval.approval_reference.into()),
        ("guid", approval.guid.into()),
        ("hostname_claimed", approval.hostname_claimed.into()),
        ("ssl_key_fingerprint_claimed", approval.fingerprint_claimed.into()),
        ("enrollment_code_id", approval.enrollment_code_id.into()),
        ("status", approval.status.into()),
        ("client_nonce", approval.client_nonce.into()),
        ("server_nonce", approval.server_nonce.into()),
        ("created_at", approval.created_at.into()),
        ("updated_at", approval.updated_at.into()),
        ("approved_by_user_id", approval.approved_by_user_id.into()),
        ("approved_by_username", approved_by_username.into()),
        (
            "hostname_conflict",
            held.as_ref().map(conflict).unwrap_or(Json::Null),
        ),
        ("fingerprint_match", fingerprint_match.into()),
        ("conflict_requires_prompt", requires_prompt.into()),
        ("alternate_hostname", alternate_hostname.into()),
    ])
}

/// `GET /api/admin/device-approvals`
pub async fn list(
    State(app): State<AppState>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<JsonReply, StoreError> {
    let status = approval_filter(first(query.as_deref(), "status").as_deref());
    let approvals = app.approvals.list(status.as_deref()).await?;
    Ok(JsonReply::ok(Json::object([(
        "approvals",
        Json::list(approvals.into_iter().map(listed)),
    )])))
}

/// `POST /api/admin/device-approvals/{id}/approve`
pub async fn approve(
    State(app): State<AppState>,
    Admin(operator): Admin,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.limit(body::SMALL).forced().await?;
    let decision = approval_decision(&body);
    let resolution = app
        .approvals
        .approve(
            &id,
            decision.guid,
            decision.resolution.as_deref(),
            &operator.decider(),
        )
        .await?;
    Ok(JsonReply::ok(match resolution {
        Some(resolution) => Json::object([
            ("status", "approved".into()),
            ("conflict_resolution", resolution.into()),
        ]),
        None => Json::object([("status", "approved".into())]),
    }))
}

/// `POST /api/admin/device-approvals/{id}/deny`; the body is never read.
pub async fn deny(
    State(app): State<AppState>,
    Admin(operator): Admin,
    Path(id): Path<String>,
) -> Result<JsonReply, DecisionError> {
    app.approvals.deny(&id, &operator.decider()).await?;
    Ok(JsonReply::ok(Json::object([("status", "denied".into())])))
}
