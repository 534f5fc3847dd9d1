//! `/api/proxy`: operators ask other servers through this one.

use axum::{
    body::Body,
    extract::{RawQuery, State},
    response::{ErrorResponse, IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

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

/// What an answer that nothing was changed says of its body, and Werkzeug therefore takes out.
const OF_THE_BODY: [HeaderName; 6] = [
    header::ALLOW,
    header::CONTENT_LANGUAGE,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::LAST_MODIFIED,
];

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
    let (length, body) = match body {
        ProxyBody::Whole(bytes) => (None, Body::from(bytes)),
        ProxyBody::Long { length, parts } => (length, Body::from_stream(parts)),
    };
    let mut response = (status, body).into_response();
    *response.headers_mut() = as_flask_sends(status, headers);
    if let Some(length) = length {
        // Of a body that is made of parts nobody else knows it.
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
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

/// An answer is a page where the target does not say what it is.
fn as_flask_sends(status: StatusCode, mut headers: HeaderMap) -> HeaderMap {
    if status == StatusCode::NOT_MODIFIED {
        for name in OF_THE_BODY {
            headers.remove(name);
        }
        return headers;
    }
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/html; charset=utf-8"));
    headers
}
