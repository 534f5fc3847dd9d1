//! `/api/admin/enrollment-codes` and below.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    compat::{
        body::{RawBody, Small},
        query::first,
        reply::{Answer, Status},
    },
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::install_codes::{install_code_filter, new_install_code},
    domain::{install_codes::InstallCode, json::Json},
    services::StoreError,
};

/// A code as every listing shows it.
#[derive(Debug, Serialize)]
pub struct ListedCode {
    id: String,
    code: String,
    expires_at: String,
    created_by_user_id: Option<String>,
    used_at: Option<String>,
    used_by_guid: Option<String>,
    max_uses: Json,
    use_count: Json,
    last_used_at: Option<String>,
}

impl From<InstallCode> for ListedCode {
    fn from(code: InstallCode) -> Self {
        Self {
            id: code.id,
            code: code.code,
            expires_at: code.expires_at,
            created_by_user_id: code.created_by_user_id,
            used_at: code.used_at,
            used_by_guid: code.used_by_guid,
            max_uses: code.max_uses,
            use_count: code.use_count,
            last_used_at: code.last_used_at,
        }
    }
}

/// All codes, or those of a state.
#[derive(Debug, Serialize)]
pub struct CodeList {
    codes: Vec<ListedCode>,
}

impl FromIterator<InstallCode> for CodeList {
    fn from_iter<T: IntoIterator<Item = InstallCode>>(codes: T) -> Self {
        Self {
            codes: codes.into_iter().map(Into::into).collect(),
        }
    }
}

/// A code that was made.
#[derive(Debug, Serialize)]
pub struct NewCode {
    id: String,
    code: String,
    expires_at: String,
    max_uses: Json,
    use_count: Json,
    last_used_at: Option<String>,
}

/// `GET /api/admin/enrollment-codes`
pub async fn list(
    State(app): State<AppState>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<Answer<CodeList>, StoreError> {
    let filter = install_code_filter(first(query.as_deref(), "status").as_deref());
    let codes = app.install_codes.list(filter).await?;
    Ok(Answer::ok(codes.into_iter().collect()))
}

/// `POST /api/admin/enrollment-codes`
pub async fn create(
    State(app): State<AppState>,
    Admin(operator): Admin,
    body: RawBody<Small>,
) -> Result<Answer<NewCode>, ErrorResponse> {
    let body = body.forced().await?;
    let new_code = new_install_code(&body)?;
    let code = app.install_codes.create(new_code, &operator.decider().id).await?;
    Ok(Answer::ok(NewCode {
        id: code.id,
        code: code.code,
        expires_at: code.expires_at,
        max_uses: code.max_uses,
        use_count: code.use_count,
        last_used_at: code.last_used_at,
    }))
}

/// `DELETE /api/admin/enrollment-codes/{id}`
pub async fn delete(
    State(app): State<AppState>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    if app.install_codes.delete(&id).await? {
        Ok(Answer::status("deleted"))
    } else {
        Err(Answer::error(StatusCode::NOT_FOUND, "not_found").into())
    }
}
