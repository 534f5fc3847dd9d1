//! `/api/proxy`: operators ask other servers through this one.

use axum::{
    body::Body,
    extract::{RawQuery, State},
    response::{ErrorResponse, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{
    compat::{
        body::{LONGEST, RawBody, Usual},
        query::first,
        reply::Answer,
    },
    guards::LoggedIn,
    state::AppState,
};
use crate::{
    config::settings::AccessPolicy,
    services::proxy::{ProxyAnswer, ProxyBody, ProxyRequest},
};

/// `GET`, `HEAD`, `POST /api/proxy`
pub async fn forward(
    State(app): State<AppState>,
    _: LoggedIn,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: RawBody<Usual>,
) -> Result<Response, ErrorResponse> {
    let url = first(query.as_deref(), "url").unwrap_or_default();
    if url.is_empty() {
        return Ok(Answer::error(StatusCode::BAD_REQUEST, "Missing ?url=").into_response());
    }
    let request = ProxyRequest {
        method,
        url,
        headers,
        body: body.limit(LONGEST).bytes().await?,
    };
    let answer = app.proxy.forward(request).await.inspect_err(|error| {
        tracing::warn!(%error, "a target of /api/proxy did not answer");
    })?;
    Ok(passed_on(answer, app.access_policy))
}

fn passed_on(answer: ProxyAnswer, policy: AccessPolicy) -> Response {
    let ProxyAnswer {
        status,
        headers,
        body,
    } = answer;
    let body = match body {
        ProxyBody::Whole(bytes) => Body::from(bytes),
        ProxyBody::Long(parts) => Body::from_stream(parts),
    };
    let mut response = (status, body).into_response();
    *response.headers_mut() = headers;
    if policy == AccessPolicy::Strict {
        // A page from elsewhere must not act with the operator's cookies because it comes from this origin. What its
        // own policy forbids stays forbidden.
        response.headers_mut().append(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox"),
        );
    }
    response
}
