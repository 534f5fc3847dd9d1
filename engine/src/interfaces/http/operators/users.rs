//! `/api/users` and below.

use axum::{
    extract::{Path, State},
    response::{ErrorResponse, Response},
};
use http::HeaderMap;

use crate::{
    builders::operators::users::{account_name, mfa_switch, new_password, new_role, new_user},
    domain::{json::Json, operators::User},
    interfaces::http::{
        browser::ClientBrowser,
        compat::{body::RawBody, reply::JsonReply},
        guards::Admin,
        operators::login::with_cookies,
        state::AppState,
    },
    services::{StoreError, operators::Operator},
};

fn ok() -> JsonReply {
    JsonReply::ok(Json::object([("status", "ok".into())]))
}

/// An account as every listing shows it. Neither the password's digest nor the secret of codes is ever shown.
pub(crate) fn listed(user: User) -> Json {
    let (last_login, created_at, updated_at) = (user.last_login, user.created_at, user.updated_at);
    let mfa_enabled = i64::from(user.mfa_enabled);
    let operator = Operator::from(user);
    Json::object([
        ("id", operator.id.into()),
        ("username", operator.username.into()),
        ("display_name", operator.display_name.into()),
        ("role", operator.role.into()),
        ("last_login", last_login.unwrap_or(0).into()),
        ("created_at", created_at.unwrap_or(0).into()),
        ("updated_at", updated_at.unwrap_or(0).into()),
        ("mfa_enabled", mfa_enabled.into()),
    ])
}

/// `GET /api/users`
pub async fn list(State(app): State<AppState>, _: Admin) -> Result<JsonReply, StoreError> {
    let users = app.users.list().await?;
    Ok(JsonReply::ok(Json::object([(
        "users",
        Json::list(users.into_iter().map(listed)),
    )])))
}

/// `POST /api/users`
pub async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let user = new_user(&body)?;
    app.users.create(&user, &caller).await?;
    Ok(ok())
}

/// `DELETE /api/users/{username}`
pub async fn delete(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    let username = account_name(&username)?;
    app.users.delete(username, &caller).await?;
    Ok(ok())
}

/// `POST /api/users/{username}/reset_password`
pub async fn reset_password(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let digest = new_password(&body)?;
    app.users.reset_password(&username, &digest, &caller).await?;
    Ok(ok())
}

/// `POST /api/users/{username}/role`. Who changes his own role gets his session cookie again, with the new role.
pub async fn set_role(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, ErrorResponse> {
    let body = body.lenient().await?;
    let role = new_role(&body)?;
    let issuing = app.users.set_role(&username, role, &caller).await?;
    let mut session = app.sessions.open(&headers, issuing.at);
    if caller.is_named(&username) {
        session.set("role", role.as_stored().into());
    }
    let saved = app.sessions.save(session, issuing.at, browser.arrival);
    if let Some(issue) = saved.as_ref().and_then(|saved| saved.issue.as_ref()) {
        app.operators
            .note_issued(&caller.username, issuing, std::slice::from_ref(issue))
            .await;
        // The page's socket has shown the cookie of before.
        app.realtime.browser_changed(&browser.browser);
    }
    Ok(with_cookies(ok(), saved.map(|saved| saved.set_cookie)))
}

/// `POST /api/users/{username}/mfa`. Who switches off his own MFA no longer has to show a code.
pub async fn switch_mfa(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, ErrorResponse> {
    let username = account_name(&username)?;
    let body = body.lenient().await?;
    let switch = mfa_switch(&body);
    app.users.switch_mfa(username, switch, &caller).await?;
    let now = app.clock.now().as_second();
    let mut session = app.sessions.open(&headers, now);
    if !switch.enabled && caller.is_named(username) {
        session.take("mfa_pending");
    }
    let saved = app.sessions.save(session, now, browser.arrival);
    Ok(with_cookies(ok(), saved.map(|saved| saved.set_cookie)))
}
