//! `POST /api/auth/login`, `POST /api/auth/logout`, `GET /api/auth/me`.

use axum::{
    Extension,
    extract::State,
    response::{ErrorResponse, IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header};

use crate::{
    builders::operators::login::login_form,
    domain::json::Json,
    interfaces::http::{
        browser::ClientBrowser,
        compat::{body::RawBody, forwarded::Caller, reply::JsonReply, session::Session},
        guards::{LoggedIn, SessionUse},
        operators::mfa::code_required,
        state::AppState,
    },
    services::{
        StoreError,
        operators::login::{LoggedIn as CompletedLogin, Login, LoginFrom},
    },
};

/// An answer that sets cookies.
pub(in crate::interfaces::http) fn with_cookies(
    reply: JsonReply,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Response {
    let mut response = reply.into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The answer to a completed login.
pub(in crate::interfaces::http) async fn logged_in(
    app: &AppState,
    session: Session,
    login: CompletedLogin,
    from: &ClientBrowser,
) -> Response {
    let CompletedLogin { operator, issuing } = login;
    let cookies = app.sessions.login(session, &operator, issuing.at, from.arrival);
    app.operators
        .note_issued(&operator.username, issuing, &cookies.issues)
        .await;
    app.realtime.browser_changed(&from.browser);
    let reply = JsonReply::ok(Json::object([
        ("role", operator.role.into()),
        ("status", "ok".into()),
        ("token", cookies.token.into()),
        ("username", operator.username.into()),
    ]));
    with_cookies(reply, cookies.set_cookie)
}

/// `POST /api/auth/login`
pub async fn login(
    State(app): State<AppState>,
    Extension(session_use): Extension<SessionUse>,
    caller: Caller,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, ErrorResponse> {
    let body = body.of_anybody(|bounds| bounds.body).lenient().await?;
    let form = login_form(&body)?;
    let from = LoginFrom {
        address: &caller.enrollment_address(),
        limit_key: caller.limit_key(),
    };
    let login = app.logins.login(&form.username, &form.password, from).await?;
    session_use.note();
    let mut session = app.sessions.open(&headers, app.clock.now().as_second());
    session.take("username");
    session.take("role");
    Ok(match login {
        Login::Complete(login) => logged_in(&app, session, login, &browser).await,
        Login::Pending(pending) => code_required(&app, session, pending, browser.arrival).await,
    })
}

/// `POST /api/auth/logout`
pub async fn logout(
    State(app): State<AppState>,
    Extension(session_use): Extension<SessionUse>,
    browser: ClientBrowser,
    headers: HeaderMap,
) -> Result<Response, StoreError> {
    session_use.note();
    let ended = app.sessions.credentials(&headers, app.clock.now().as_second());
    app.operators.log_out(&ended).await?;
    app.realtime.sessions_ended(&ended);
    app.realtime.browser_changed(&browser.browser);
    let reply = JsonReply::ok(Json::object([("status", "ok".into())]));
    Ok(with_cookies(reply, app.sessions.logout(browser.arrival)))
}

/// `GET /api/auth/me`
pub async fn me(LoggedIn(operator): LoggedIn) -> JsonReply {
    JsonReply::ok(Json::object([
        ("username", operator.username.into()),
        ("display_name", operator.display_name.into()),
        ("role", operator.role.into()),
    ]))
}
