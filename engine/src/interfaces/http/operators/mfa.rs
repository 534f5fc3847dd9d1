//! Logins that wait for a code: what a login answers then, and `POST /api/auth/mfa/verify`.

use axum::{
    Extension,
    extract::State,
    response::{ErrorResponse, IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};

use crate::{
    builders::operators::mfa::{PendingLogin, Stage, code_answer, pending_login},
    domain::json::Json,
    interfaces::http::{
        browser::ClientBrowser,
        compat::{
            body::RawBody,
            forwarded::Caller,
            reply::JsonReply,
            session::{Arrival, Session},
        },
        guards::SessionUse,
        operators::login::{logged_in, with_cookies},
        qr_image::qr_image,
        state::AppState,
    },
    services::operators::{login::LoginFrom, mfa::VerifyError},
};

/// The session's member that holds a pending login.
const PENDING: &str = "mfa_pending";

/// The answer to a login that has to show a code. The client keeps the pending login in its session.
pub(in crate::interfaces::http) async fn code_required(
    app: &AppState,
    mut session: Session,
    pending: PendingLogin,
    arrival: Arrival,
) -> Response {
    let issuing = pending.issuing;
    let username = pending.username.clone();
    let (stage, secret) = match pending.stage {
        Stage::Verify => ("verify", None),
        Stage::Setup { secret } => ("setup", Some(secret)),
    };
    let mut answer = vec![
        ("status", Json::from("mfa_required")),
        ("stage", stage.into()),
        ("pending_token", pending.token.as_str().into()),
        ("username", pending.username.as_str().into()),
        ("role", pending.role.as_str().into()),
    ];
    if let Some(secret) = &secret {
        let url = app.logins.otpauth_url(&pending.username, secret);
        answer.push(("secret", secret.as_str().into()));
        answer.push(("qr_image", qr_image(&url).into()));
        answer.push(("otpauth_url", url.into()));
    }
    session.set(
        PENDING,
        Json::object([
            ("expires", pending.expires.into()),
            ("role", pending.role.into()),
            ("secret", secret.into()),
            ("stage", stage.into()),
            ("token", pending.token.into()),
            ("username", pending.username.into()),
        ]),
    );
    let answer = answer
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let saved = app.sessions.save(session, issuing.at, arrival);
    let issues = saved.as_ref().and_then(|saved| saved.issue.clone());
    app.operators
        .note_issued(&username, issuing, issues.as_slice())
        .await;
    with_cookies(
        JsonReply::ok(Json::Object(answer)),
        saved.map(|saved| saved.set_cookie),
    )
}

/// `POST /api/auth/mfa/verify`
pub async fn verify(
    State(app): State<AppState>,
    Extension(session_use): Extension<SessionUse>,
    caller: Caller,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, ErrorResponse> {
    session_use.note();
    let mut session = app.sessions.open(&headers, app.clock.now().as_second());
    let pending = pending_login(session.get(PENDING), session.issue())
        .ok_or_else(|| JsonReply::error(StatusCode::UNAUTHORIZED, "mfa_pending").into_response())?;
    let body = body.of_anybody(|bounds| bounds.body).lenient().await?;
    let answer = code_answer(&body)?;
    let from = LoginFrom {
        address: &caller.enrollment_address(),
        limit_key: caller.limit_key(),
    };
    match app.logins.verify(&pending, &answer, from).await {
        Ok(login) => Ok(logged_in(&app, session, login, &browser).await),
        Err(VerifyError::Expired) => {
            session.take(PENDING);
            Err(with_cookies(
                JsonReply::error(StatusCode::UNAUTHORIZED, "expired"),
                app.sessions
                    .save(session, app.clock.now().as_second(), browser.arrival)
                    .map(|saved| saved.set_cookie),
            )
            .into())
        }
        Err(error) => Err(error.into()),
    }
}
