//! Who may call: extractors that answer before body, path or database are looked at.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};

use super::{compat::reply::Answer, errors::unknown_caller, state::AppState};
use crate::{
    config::settings::AccessPolicy,
    interfaces::http::connections::RequestConnection,
    services::{
        audit::{self, Actor},
        operators::Operator,
        scheduled_jobs::JobAuthor,
    },
};

/// Whether handling a request looked at the session; its answer then has `Vary: Cookie`, as Flask has it.
#[derive(Clone, Debug, Default)]
pub struct SessionUse(Arc<AtomicBool>);

impl SessionUse {
    /// Records that the session was looked at.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Adds `Vary: Cookie` to every answer whose handling looked at the session, whatever it became.
pub async fn vary_on_session_use(
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let session_use = SessionUse::default();
    request.extensions_mut().insert(session_use.clone());
    let mut response = next(request).await;
    if session_use.0.load(Ordering::Relaxed) {
        response
            .headers_mut()
            .append(header::VARY, HeaderValue::from_static("Cookie"));
    }
    response
}

/// Any operator: 401 for nobody.
#[derive(Clone, Debug)]
pub struct LoggedIn(pub Operator);

/// Any operator where the access policy is strict; where it is the legacy's, nobody is asked for.
#[derive(Clone, Copy, Debug)]
pub struct OperatorIfStrict;

/// Whoever makes and changes jobs: any operator where the access policy is strict, with what the role allows; anybody
/// where it is the legacy's.
#[derive(Clone, Debug)]
pub struct JobCaller(pub JobAuthor);

/// An operator whose role is admin: 401 for nobody, 403 for another role.
#[derive(Clone, Debug)]
pub struct Admin(pub Operator);

impl FromRequestParts<AppState> for LoggedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        if let Some(session_use) = parts.extensions.get::<SessionUse>() {
            session_use.note();
        }
        let unauthorized = || Answer::error(StatusCode::UNAUTHORIZED, "unauthorized").into_response();
        let now = state.clock.now().as_second();
        let credential = state
            .sessions
            .identify(&parts.headers, now)
            .ok_or_else(unauthorized)?;
        let operator = state
            .operators
            .recognise(&credential)
            .await
            .map_err(unknown_caller)?;
        let operator = operator.ok_or_else(unauthorized)?;
        RequestConnection::note_authenticated(parts);
        audit::acts(Actor::Operator(&operator.username));
        Ok(Self(operator))
    }
}

impl FromRequestParts<AppState> for OperatorIfStrict {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        if state.access_policy == AccessPolicy::Strict {
            LoggedIn::from_request_parts(parts, state).await?;
        }
        Ok(Self)
    }
}

impl FromRequestParts<AppState> for JobCaller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        if state.access_policy == AccessPolicy::Legacy {
            return Ok(Self(JobAuthor {
                name: String::new(),
                may_use_credentials: true,
            }));
        }
        let LoggedIn(operator) = LoggedIn::from_request_parts(parts, state).await?;
        Ok(Self(JobAuthor {
            may_use_credentials: operator.is_admin(),
            name: operator.username,
        }))
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let LoggedIn(operator) = LoggedIn::from_request_parts(parts, state).await?;
        if operator.is_admin() {
            Ok(Self(operator))
        } else {
            Err(Answer::error(StatusCode::FORBIDDEN, "forbidden").into_response())
        }
    }
}
