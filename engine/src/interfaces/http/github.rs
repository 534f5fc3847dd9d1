//! `/api/repo/current_hash` and `/api/github/token`.

use axum::{
    extract::{RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;

use super::{
    compat::{
        body::{self, RawBody},
        query::first,
        reply::JsonReply,
    },
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::github::{head_query, new_token},
    config::secret::Secret,
    domain::json::Json,
    interfaces::http::device_access::gate::Device,
    services::github::{HeadSource, TokenReport, TokenStatus},
};

/// `GET /api/repo/current_hash`
pub async fn current_hash(
    State(app): State<AppState>,
    _: Device,
    RawQuery(query): RawQuery,
) -> Result<JsonReply, ErrorResponse> {
    let query = head_query(|name| first(query.as_deref(), name), app.github.default_branch())?;
    let answer = app.github.head(&query).await?;
    let status = if answer.commit.is_some() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let (source, cached) = match answer.source {
        HeadSource::Cache => ("cache", true),
        HeadSource::GitHub => ("github", false),
        HeadSource::StaleCache => ("cache-stale", true),
    };
    let mut body = vec![
        ("repo", query.branch.repository().into()),
        ("branch", query.branch.branch().into()),
        ("sha", answer.commit.into()),
        ("cached", cached.into()),
        ("age_seconds", answer.age.into()),
        ("source", source.into()),
    ];
    if let Some(error) = answer.error {
        body.push(("error", error.into()));
    }
    let body = body.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(JsonReply::new(status, Json::Object(body.collect())))
}

/// `GET /api/github/token`
pub async fn token(State(app): State<AppState>, _: Admin) -> JsonReply {
    reported(app.github.token_report().await)
}

/// `POST /api/github/token`
pub async fn store_token(
    State(app): State<AppState>,
    _: Admin,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.limit(body::SMALL).lenient().await?;
    let token = new_token(&body)?;
    let report = app.github.store_token(token).await?;
    Ok(reported(report))
}

/// The settings page shows the token itself, so it is part of the answer (PLT-3).
fn reported(report: TokenReport) -> JsonReply {
    const INVALID: &str = "API Token Invalid";
    let (word, message, error) = match report.status {
        TokenStatus::Ok => ("ok", "API Authentication Successful".to_owned(), None),
        TokenStatus::Insufficient => (
            "insufficient",
            INVALID.to_owned(),
            Some("Authenticated request did not elevate GitHub rate limits".to_owned()),
        ),
        TokenStatus::Invalid(excerpt) => ("invalid", INVALID.to_owned(), Some(excerpt)),
        TokenStatus::Unexpected(status, excerpt) => (
            "error",
            format!("GitHub API error (HTTP {})", status.as_u16()),
            Some(excerpt),
        ),
        TokenStatus::Unreachable(reason) => (
            "error",
            format!("API Token validation error: {reason}"),
            Some(reason),
        ),
        TokenStatus::Missing => ("missing", "API Token Not Configured".to_owned(), None),
    };
    JsonReply::ok(Json::object([
        ("token", report.token.as_ref().map_or("", Secret::expose).into()),
        ("has_token", report.token.is_some().into()),
        ("valid", (word == "ok").into()),
        ("status", word.into()),
        ("message", message.into()),
        ("rate_limit", report.rate_limit.into()),
        ("error", error.into()),
        ("checked_at", report.checked_at.into()),
    ]))
}
