//! `POST /api/agent/token/refresh`.

use axum::{extract::State, response::ErrorResponse};
use serde::Serialize;

use crate::{
    builders::device_access::refresh::refresh_request,
    interfaces::http::{
        compat::{
            body::{RawBody, SmallOfAnybody},
            reply::Answer,
        },
        device_access::dpop::Proof,
        state::AppState,
    },
    services::device_access::tokens::LIFETIME_SECONDS,
};

/// A new access token.
#[derive(Serialize)]
pub struct AccessToken {
    access_token: String,
    expires_in: i64,
    token_type: &'static str,
}

/// `POST /api/agent/token/refresh`
pub async fn refresh(
    State(app): State<AppState>,
    Proof(proof): Proof,
    body: RawBody<SmallOfAnybody>,
) -> Result<Answer<AccessToken>, ErrorResponse> {
    let body = body.forced().await?;
    let request = refresh_request(&body)?;
    let access_token = app.refresh.refresh(&request, proof.as_ref()).await?;
    Ok(Answer::ok(AccessToken {
        access_token,
        expires_in: LIFETIME_SECONDS,
        token_type: "Bearer",
    }))
}
