//! `POST /api/users`.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};

use super::{
    compat::{body::RawBody, reply::JsonReply},
    guards::Admin,
    state::AppState,
};
use crate::{builders::users::new_user, domain::json::Json, repositories::Store};

/// `POST /api/users`
pub async fn create<S: Store>(
    State(app): State<AppState<S>>,
    Admin(caller): Admin,
    body: RawBody,
) -> Result<JsonReply, Response> {
    let body = body.lenient().await.map_err(|error| error.into_response())?;
    let user = new_user(&body).map_err(|error| error.into_response())?;
    app.operators
        .create(&user, &caller)
        .await
        .map_err(|error| error.into_response())?;
    Ok(JsonReply::ok(Json::object([("status", "ok".into())])))
}
