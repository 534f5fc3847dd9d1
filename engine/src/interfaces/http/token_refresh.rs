//! `POST /api/agent/token/refresh`.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};

use super::{
    compat::{body, body::RawBody, reply::JsonReply},
    dpop::Proof,
    state::AppState,
};
use crate::{
    builders::refresh::refresh_request, domain::json::Json, services::access_tokens::LIFETIME_SECONDS,
};

/// `POST /api/agent/token/refresh`
pub async fn refresh(
    State(app): State<AppState>,
    Proof(proof): Proof,
    body: RawBody,
) -> Result<JsonReply, Response> {
    let body = body
        .limit(body::SMALL)
        .of_anybody(|bounds| bounds.body)
        .forced()
        .await
        .map_err(|error| error.into_response())?;
    let request = refresh_request(&body).map_err(|error| error.into_response())?;
    let access_token = app
        .refresh
        .refresh(&request, proof.as_ref())
        .await
        .map_err(|error| error.into_response())?;
    Ok(JsonReply::ok(Json::object([
        ("access_token", access_token.into()),
        ("expires_in", LIFETIME_SECONDS.into()),
        ("token_type", "Bearer".into()),
    ])))
}
