//! `/api/users` and below.

use std::mem;

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use http::HeaderMap;
use serde::Serialize;

use crate::{
    builders::operators::users::{account_name, mfa_switch, new_password, new_role, new_user},
    domain::{json::Json, operators::User},
    interfaces::http::{
        browser::ClientBrowser,
        compat::{
            body::RawBody,
            reply::{Answer, Status},
        },
        errors::database_error,
        guards::Admin,
        state::AppState,
    },
    services::operators::Operator,
};

/// An account as every listing shows it. Neither the password's digest nor the secret of codes is ever shown.
#[derive(Debug, Serialize)]
pub struct ListedUser {
    id: i64,
    username: String,
    display_name: String,
    role: String,
    last_login: Json,
    created_at: Json,
    updated_at: Json,
    mfa_enabled: i64,
}

impl From<User> for ListedUser {
    fn from(mut user: User) -> Self {
        let [last_login, created_at, updated_at] =
            [&mut user.last_login, &mut user.created_at, &mut user.updated_at].map(mem::take);
        let mfa_enabled = i64::from(user.mfa_enabled);
        let operator = Operator::from(user);
        Self {
            id: operator.id,
            username: operator.username,
            display_name: operator.display_name,
            role: operator.role,
            last_login: last_login.or_zero(),
            created_at: created_at.or_zero(),
            updated_at: updated_at.or_zero(),
            mfa_enabled,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct UserList {
    users: Vec<ListedUser>,
}

impl FromIterator<User> for UserList {
    fn from_iter<T: IntoIterator<Item = User>>(users: T) -> Self {
        Self {
            users: users.into_iter().map(Into::into).collect(),
        }
    }
}

/// `GET /api/users`
pub async fn list(State(app): State<AppState>, _: Admin) -> Result<Answer<UserList>, ErrorResponse> {
    let users = app.users.list().await.map_err(database_error)?;
    Ok(Answer::ok(users.into_iter().collect()))
}

/// `POST /api/users`
pub async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    let user = new_user(&body)?;
    app.users.create(&user, &caller).await?;
    Ok(Answer::status("ok"))
}

/// `DELETE /api/users/{username}`
pub async fn delete(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    let username = account_name(&username)?;
    app.users.delete(username, &caller).await?;
    Ok(Answer::status("ok"))
}

/// `POST /api/users/{username}/reset_password`
pub async fn reset_password(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    let digest = new_password(&body)?;
    app.users.reset_password(&username, &digest, &caller).await?;
    Ok(Answer::status("ok"))
}

/// `POST /api/users/{username}/role`. Who changes his own role gets his session cookie again, with the new role.
pub async fn set_role(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
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
            .store_issued(&caller.username, issuing, std::slice::from_ref(issue))
            .await;
        // The page's socket has shown the cookie of before.
        app.realtime.browser_changed(&browser.browser);
    }
    Ok(Answer::status("ok").with_cookies(saved.map(|saved| saved.set_cookie)))
}

/// `POST /api/users/{username}/mfa`. Who switches off his own MFA no longer has to show a code.
pub async fn switch_mfa(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(username): Path<String>,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
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
    Ok(Answer::status("ok").with_cookies(saved.map(|saved| saved.set_cookie)))
}
