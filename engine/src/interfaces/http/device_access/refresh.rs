//! `POST /api/agent/token/refresh`.

use axum::{extract::State, response::ErrorResponse};

use crate::{
    builders::device_access::refresh::refresh_request,
    domain::json::Json,
    interfaces::http::{
        compat::{
            body::{self, RawBody},
            reply::JsonReply,
        },
        device_access::dpop::Proof,
        state::AppState,
    },
    services::device_access::tokens::LIFETIME_SECONDS,
};

/// `POST /api/agent/token/refresh`
pub async fn refresh(
    State(app): State<AppState>,
    Proof(proof): Proof,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body
        .limit(body::SMALL)
        .of_anybody(|bounds| bounds.body)
        .forced()
        .await?;
    let request = refresh_request(&body)?;
    let access_token = app.refresh.refresh(&request, proof.as_ref()).await?;
    Ok(JsonReply::ok(Json::object([
        ("access_token", access_token.into()),
        ("expires_in", LIFETIME_SECONDS.into()),
        ("token_type", "Bearer".into()),
    ])))
}
