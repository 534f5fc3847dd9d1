//! `POST /api/auth/login`, `POST /api/auth/logout`, `GET /api/auth/me`.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header};

use super::{
    compat::{body::RawBody, forwarded::Caller, reply::JsonReply, session::Session},
    guards::{LoggedIn, SessionUse},
    mfa::code_required,
    state::AppState,
};
use crate::{
    builders::login::login_form,
    domain::json::Json,
    repositories::Store,
    services::operators::{
        Operator,
        login::{Login, LoginFrom},
    },
};

/// An answer that sets cookies.
pub(super) fn with_cookies(reply: JsonReply, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = reply.into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The answer to a completed login.
pub(super) fn logged_in<S: Store>(app: &AppState<S>, session: Session, operator: Operator) -> Response {
    let cookies = app
        .sessions
        .login(session, &operator, app.clock.now().as_second());
    let reply = JsonReply::ok(Json::object([
        ("role", operator.role.into()),
        ("status", "ok".into()),
        ("token", cookies.token.into()),
        ("username", operator.username.into()),
    ]));
    with_cookies(reply, cookies.set_cookie)
}

/// `POST /api/auth/login`
pub async fn login<S: Store>(
    State(app): State<AppState<S>>,
    Extension(session_use): Extension<SessionUse>,
    caller: Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Response> {
    let body = body
        .of_anybody(|bounds| bounds.body)
        .lenient()
        .await
        .map_err(|error| error.into_response())?;
    let form = login_form(&body).map_err(|error| error.into_response())?;
    let from = LoginFrom {
        address: &caller.enrollment_address(),
        limit_key: caller.limit_key(),
    };
    let login = app
        .logins
        .login(&form.username, &form.password, from)
        .await
        .map_err(|error| error.into_response())?;
    session_use.note();
    let mut session = app.sessions.open(&headers, app.clock.now().as_second());
    session.take("username");
    session.take("role");
    Ok(match login {
        Login::Complete(operator) => logged_in(&app, session, operator),
        Login::Pending(pending) => code_required(&app, session, pending),
    })
}

/// `POST /api/auth/logout`
pub async fn logout<S: Store>(
    State(app): State<AppState<S>>,
    Extension(session_use): Extension<SessionUse>,
) -> Response {
    session_use.note();
    let reply = JsonReply::ok(Json::object([("status", "ok".into())]));
    with_cookies(reply, app.sessions.logout())
}

/// `GET /api/auth/me`
pub async fn me(LoggedIn(operator): LoggedIn) -> JsonReply {
    JsonReply::ok(Json::object([
        ("username", operator.username.into()),
        ("display_name", operator.display_name.into()),
        ("role", operator.role.into()),
    ]))
}
