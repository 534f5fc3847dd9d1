//! Logins that wait for a code: what a login answers then, and `POST /api/auth/mfa/verify`.

use axum::{Extension, extract::State, response::ErrorResponse};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::{
    builders::operators::mfa::{PendingLogin, Stage, code_answer, pending_login},
    domain::json::Json,
    interfaces::http::{
        browser::ClientBrowser,
        compat::{
            body::{self, RawBody},
            forwarded::Caller,
            reply::Answer,
            session::{Arrival, Session},
        },
        guards::SessionUse,
        operators::login::{LoginAnswer, logged_in},
        qr_image::qr_image,
        state::AppState,
    },
    services::operators::{login::LoginFrom, mfa::VerifyError},
};

/// The session's member that holds a pending login.
const PENDING: &str = "mfa_pending";

/// What a login waits for.
#[derive(Serialize)]
pub struct CodeRequired {
    stage: &'static str,
    pending_token: String,
    username: String,
    role: String,
    #[serde(flatten)]
    setup: Option<CodeSetup>,
}

/// What an authenticator app is set up with.
#[derive(Serialize)]
struct CodeSetup {
    secret: String,
    qr_image: Option<String>,
    otpauth_url: String,
}

/// The answer to a login that has to show a code. The client keeps the pending login in its session.
pub(in crate::interfaces::http) async fn code_required(
    app: &AppState,
    mut session: Session,
    pending: PendingLogin,
    arrival: Arrival,
) -> Answer<LoginAnswer> {
    let issuing = pending.issuing;
    let username = pending.username.clone();
    let (stage, secret) = match pending.stage {
        Stage::Verify => ("verify", None),
        Stage::Setup { secret } => ("setup", Some(secret)),
    };
    let answer = CodeRequired {
        stage,
        pending_token: pending.token.clone(),
        username: pending.username.clone(),
        role: pending.role.clone(),
        setup: secret.as_ref().map(|secret| {
            let url = app.logins.otpauth_url(&pending.username, secret);
            CodeSetup {
                secret: secret.clone(),
                qr_image: qr_image(&url),
                otpauth_url: url,
            }
        }),
    };
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
    let saved = app.sessions.save(session, issuing.at, arrival);
    let issues = saved.as_ref().and_then(|saved| saved.issue.clone());
    app.operators
        .store_issued(&username, issuing, issues.as_slice())
        .await;
    Answer::ok(LoginAnswer::CodeRequired(answer)).with_cookies(saved.map(|saved| saved.set_cookie))
}

/// `POST /api/auth/mfa/verify`
pub async fn verify(
    State(app): State<AppState>,
    Extension(session_use): Extension<SessionUse>,
    caller: Caller,
    browser: ClientBrowser,
    headers: HeaderMap,
    body: RawBody<body::UsualOfAnybody>,
) -> Result<Answer<LoginAnswer>, ErrorResponse> {
    session_use.note();
    let mut session = app.sessions.open(&headers, app.clock.now().as_second());
    let pending = pending_login(session.get(PENDING), session.issue())
        .ok_or_else(|| Answer::error(StatusCode::UNAUTHORIZED, "mfa_pending"))?;
    let body = body.lenient().await?;
    let answer = code_answer(&body)?;
    let from = LoginFrom {
        address: &caller.enrollment_address(),
        limit_key: caller.limit_key(),
    };
    match app.logins.verify(&pending, &answer, from).await {
        Ok(login) => Ok(logged_in(&app, session, login, &browser).await),
        Err(VerifyError::Expired) => {
            session.take(PENDING);
            let saved = app
                .sessions
                .save(session, app.clock.now().as_second(), browser.arrival);
            Err(Answer::error(StatusCode::UNAUTHORIZED, "expired")
                .with_cookies(saved.map(|saved| saved.set_cookie))
                .into())
        }
        Err(error) => Err(error.into()),
    }
}
