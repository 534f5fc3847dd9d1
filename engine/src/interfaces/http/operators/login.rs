//! `POST /api/auth/login`, `POST /api/auth/logout`, `GET /api/auth/me`.

use axum::{Extension, extract::State, response::ErrorResponse};
use http::HeaderMap;
use serde::Serialize;

use crate::{
    builders::operators::login::login_form,
    interfaces::http::{
        browser::ClientBrowser,
        compat::{
            body::{self, RawBody},
            forwarded::Caller,
            reply::{Answer, Status},
            session::Session,
        },
        errors::unknown_caller,
        guards::{LoggedIn, SessionUse},
        operators::mfa::{CodeRequired, code_required},
        state::AppState,
    },
    services::operators::login::{LoggedIn as CompletedLogin, Login, LoginFrom},
};

#[derive(Serialize)]
#[serde(tag = "status")]
pub enum LoginAnswer {
    /// The operator is logged in.
    #[serde(rename = "ok")]
    Complete {
        /// The role as stored.
        role: String,
        /// The operator's token, for callers that keep no cookies.
        token: String,
        /// The name as stored.
        username: String,
    },
    /// A code is to be shown.
    #[serde(rename = "mfa_required")]
    CodeRequired(CodeRequired),
}

/// The account that is logged in.
#[derive(Debug, Serialize)]
pub struct OwnAccount {
    username: String,
    display_name: String,
    role: String,
}

/// The answer to a completed login.
pub(in crate::interfaces::http) async fn logged_in(
    app: &AppState,
    session: Session,
    login: CompletedLogin,
    from: &ClientBrowser,
) -> Answer<LoginAnswer> {
    let CompletedLogin { operator, issuing } = login;
    let cookies = app.sessions.login(session, &operator, issuing.at, from.arrival);
    app.operators
        .store_issued(&operator.username, issuing, &cookies.issues)
        .await;
    app.realtime.browser_changed(&from.browser);
    let complete = LoginAnswer::Complete {
        role: operator.role,
        token: cookies.token,
        username: operator.username,
    };
    Answer::ok(complete).with_cookies(cookies.set_cookie)
}

/// `POST /api/auth/login`
pub async fn login(
    State(app): State<AppState>,
    Extension(session_use): Extension<SessionUse>,
    caller: Caller,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody<body::UsualOfAnybody>,
) -> Result<Answer<LoginAnswer>, ErrorResponse> {
    let body = body.lenient().await?;
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
) -> Result<Answer<Status>, ErrorResponse> {
    session_use.note();
    let ended = app.sessions.credentials(&headers, app.clock.now().as_second());
    app.operators.log_out(&ended).await.map_err(unknown_caller)?;
    app.realtime.sessions_ended(&ended);
    app.realtime.browser_changed(&browser.browser);
    Ok(Answer::status("ok").with_cookies(app.sessions.logout(browser.arrival)))
}

/// `GET /api/auth/me`
pub async fn me(LoggedIn(operator): LoggedIn) -> Answer<OwnAccount> {
    Answer::ok(OwnAccount {
        username: operator.username,
        display_name: operator.display_name,
        role: operator.role,
    })
}
