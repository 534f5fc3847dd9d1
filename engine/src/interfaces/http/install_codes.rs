//! `/api/admin/enrollment-codes` and below.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;

use super::{
    compat::{body, body::RawBody, query::first, reply::JsonReply},
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::install_codes::{install_code_filter, new_install_code},
    domain::{install_codes::InstallCode, json::Json},
    services::StoreError,
};

/// A code as every listing shows it.
pub(crate) fn listed(code: InstallCode) -> Json {
    Json::object([
        ("id", code.id.into()),
        ("code", code.code.into()),
        ("expires_at", code.expires_at.into()),
        ("created_by_user_id", code.created_by_user_id.into()),
        ("used_at", code.used_at.into()),
        ("used_by_guid", code.used_by_guid.into()),
        ("max_uses", code.max_uses.into()),
        ("use_count", code.use_count.into()),
        ("last_used_at", code.last_used_at.into()),
    ])
}

/// `GET /api/admin/enrollment-codes`
pub async fn list(
    State(app): State<AppState>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<JsonReply, StoreError> {
    let filter = install_code_filter(first(query.as_deref(), "status").as_deref());
    let codes = app.install_codes.list(filter).await?;
    Ok(JsonReply::ok(Json::object([(
        "codes",
        Json::list(codes.into_iter().map(listed)),
    )])))
}

/// `POST /api/admin/enrollment-codes`
pub async fn create(
    State(app): State<AppState>,
    Admin(operator): Admin,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.limit(body::SMALL).forced().await?;
    let wish = new_install_code(&body)?;
    let code = app.install_codes.create(wish, &operator.decider().id).await?;
    Ok(JsonReply::ok(Json::object([
        ("id", code.id.into()),
        ("code", code.code.into()),
        ("expires_at", code.expires_at.into()),
        ("max_uses", code.max_uses.into()),
        ("use_count", code.use_count.into()),
        ("last_used_at", code.last_used_at.into()),
    ])))
}

/// `DELETE /api/admin/enrollment-codes/{id}`
pub async fn delete(
    State(app): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<JsonReply, StoreError> {
    Ok(if app.install_codes.delete(&id).await? {
        JsonReply::ok(Json::object([("status", "deleted".into())]))
    } else {
        JsonReply::error(StatusCode::NOT_FOUND, "not_found")
    })
}
