//! `/api/device_list_views` and below.

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        path::row_id,
        reply::{Answer, Status},
    },
    errors::database_error,
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{
    builders::device_views::{device_view_change, new_device_view},
    domain::{device_views::DeviceView, json::Json},
    services::device_views::DeviceViewError,
};

/// A view as every answer shows it.
#[derive(Debug, Serialize)]
pub struct ListedView {
    id: i64,
    name: String,
    columns: Json,
    filters: Json,
    created_at: Json,
    updated_at: Json,
}

impl From<DeviceView> for ListedView {
    fn from(view: DeviceView) -> Self {
        Self {
            id: view.id,
            columns: view.columns(),
            filters: view.filters(),
            name: view.name,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

/// All views.
#[derive(Debug, Serialize)]
pub struct ViewList {
    views: Vec<ListedView>,
}

/// `GET /api/device_list_views`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
) -> Result<Answer<ViewList>, ErrorResponse> {
    let views = app.device_views.list().await.map_err(database_error)?;
    Ok(Answer::ok(ViewList {
        views: views.into_iter().map(Into::into).collect(),
    }))
}

/// `POST /api/device_list_views`
pub async fn create(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<ListedView>, ErrorResponse> {
    let body = body.lenient().await?;
    let view = app.device_views.create(&new_device_view(&body)?).await?;
    Ok(Answer::new(StatusCode::CREATED, view.into()))
}

/// `GET /api/device_list_views/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<ListedView>, DeviceViewError> {
    let view = app.device_views.read(row_id(&id)).await?;
    Ok(Answer::ok(view.into()))
}

/// `PUT /api/device_list_views/{id}`
pub async fn update(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<Answer<ListedView>, ErrorResponse> {
    let body = body.lenient().await?;
    let change = device_view_change(&body)?;
    let view = app.device_views.update(row_id(&id), &change).await?;
    Ok(Answer::ok(view.into()))
}

/// `DELETE /api/device_list_views/{id}`
pub async fn delete(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<Status>, DeviceViewError> {
    app.device_views.delete(row_id(&id)).await?;
    Ok(Answer::status("ok"))
}
