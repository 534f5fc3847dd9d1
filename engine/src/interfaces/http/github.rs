//! `/api/repo/current_hash` and `/api/github/token`.

use axum::{
    extract::{RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    compat::{
        body::{RawBody, Small},
        query::first,
        reply::Answer,
    },
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::github::{head_query, new_token},
    interfaces::http::device_access::authentication::Device,
    services::github::{HeadSource, TokenReport, TokenStatus},
};

/// The head of a branch.
#[derive(Debug, Serialize)]
pub struct Head {
    repo: String,
    branch: String,
    sha: Option<String>,
    cached: bool,
    age_seconds: Option<f64>,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The token that GitHub is asked with, and whether GitHub accepts it.
#[derive(Serialize)]
pub struct TokenView {
    token: String,
    has_token: bool,
    valid: bool,
    status: &'static str,
    message: String,
    rate_limit: Option<i64>,
    error: Option<String>,
    checked_at: i64,
}

/// `GET /api/repo/current_hash`
pub async fn current_hash(
    State(app): State<AppState>,
    _: Device,
    RawQuery(query): RawQuery,
) -> Result<Answer<Head>, ErrorResponse> {
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
    let head = Head {
        repo: query.branch.repository().to_owned(),
        branch: query.branch.branch().to_owned(),
        sha: answer.commit,
        cached,
        age_seconds: answer.age,
        source,
        error: answer.error,
    };
    Ok(Answer::new(status, head))
}

/// `GET /api/github/token`
pub async fn token(State(app): State<AppState>, _: Admin) -> Answer<TokenView> {
    reported(app.github.token_report().await)
}

/// `POST /api/github/token`
pub async fn store_token(
    State(app): State<AppState>,
    _: Admin,
    body: RawBody<Small>,
) -> Result<Answer<TokenView>, ErrorResponse> {
    let body = body.lenient().await?;
    let token = new_token(&body)?;
    let report = app.github.store_token(token).await?;
    Ok(reported(report))
}

/// The settings page shows the token itself, so it is part of the answer (PLT-3).
fn reported(report: TokenReport) -> Answer<TokenView> {
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
    Answer::ok(TokenView {
        token: report
            .token
            .as_ref()
            .map_or_else(String::new, |token| token.expose().to_owned()),
        has_token: report.token.is_some(),
        valid: word == "ok",
        status: word,
        message,
        rate_limit: report.rate_limit,
        error,
        checked_at: report.checked_at,
    })
}
