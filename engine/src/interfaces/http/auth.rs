//! `POST /api/auth/login`, `POST /api/auth/logout`, `GET /api/auth/me`.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header};

use super::{
    compat::{body::RawBody, reply::JsonReply},
    guards::{LoggedIn, SessionUse},
    state::AppState,
};
use crate::{builders::login::login as build_login, domain::json::Json, repositories::Store};

fn with_cookies(mut response: Response, cookies: Vec<HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /api/auth/login`
pub async fn login<S: Store>(
    State(app): State<AppState<S>>,
    Extension(session_use): Extension<SessionUse>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Response> {
    let body = body.lenient().await.map_err(|error| error.into_response())?;
    let login = build_login(&body).map_err(|error| error.into_response())?;
    let operator = match app.operators.login(&login.username, &login.password).await {
        Ok(operator) => operator,
        Err(error) => {
            tracing::info!("login refused user={}", login.username.escape_debug());
            return Err(error.into_response());
        }
    };
    tracing::info!("login user={}", operator.username.escape_debug());
    session_use.note();
    let cookies = app
        .sessions
        .login(&headers, &operator, app.clock.now().as_second());
    let reply = JsonReply::ok(Json::object([
        ("role", operator.role.into()),
        ("status", "ok".into()),
        ("token", cookies.token.into()),
        ("username", operator.username.into()),
    ]));
    Ok(with_cookies(reply.into_response(), cookies.set_cookie))
}

/// `POST /api/auth/logout`
pub async fn logout<S: Store>(
    State(app): State<AppState<S>>,
    Extension(session_use): Extension<SessionUse>,
) -> Response {
    session_use.note();
    let reply = JsonReply::ok(Json::object([("status", "ok".into())]));
    with_cookies(reply.into_response(), app.sessions.logout())
}

/// `GET /api/auth/me`
pub async fn me(LoggedIn(operator): LoggedIn) -> JsonReply {
    JsonReply::ok(Json::object([
        ("username", operator.username.into()),
        ("display_name", operator.display_name.into()),
        ("role", operator.role.into()),
    ]))
}
