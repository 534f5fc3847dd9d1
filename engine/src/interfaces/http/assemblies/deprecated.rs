//! `/api/scripts` and `/api/ansible` as they were before `/api/assembly`: 410, once a request is right.

use std::path::Path;

use axum::{
    extract::{RawQuery, State},
    response::{ErrorResponse, IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;

use crate::{
    builders::assemblies::deprecated as forms,
    interfaces::http::{
        compat::{
            body::{Files, RawBody},
            query::first,
            reply::{Answer, Failure},
        },
        guards::OperatorIfStrict,
        state::AppState,
    },
    services::assemblies::Deprecated,
};

/// Whose routes they are.
pub trait Source: Send + Sync + 'static {
    const ROUTES: Deprecated;
    /// The island's name in the routes that took their place.
    const ISLAND: &'static str;

    /// The answer of a list as long as there is nothing.
    fn nothing(root: &Path) -> Response;
}

/// `/api/scripts`
#[derive(Debug)]
pub struct Scripts;

/// `/api/ansible`
#[derive(Debug)]
pub struct Playbooks;

/// No scripts.
#[derive(Debug, Serialize)]
struct NoScripts {
    root: String,
    scripts: [(); 0],
    folders: [(); 0],
}

/// No playbooks.
#[derive(Debug, Serialize)]
struct NoPlaybooks {
    root: String,
    items: [(); 0],
    folders: [(); 0],
}

impl Source for Scripts {
    const ROUTES: Deprecated = Deprecated::Scripts;
    const ISLAND: &'static str = "scripts";

    fn nothing(root: &Path) -> Response {
        Answer::ok(NoScripts {
            root: root.to_string_lossy().into_owned(),
            scripts: [],
            folders: [],
        })
        .into_response()
    }
}

impl Source for Playbooks {
    const ROUTES: Deprecated = Deprecated::Playbooks;
    const ISLAND: &'static str = "ansible";

    fn nothing(root: &Path) -> Response {
        Answer::ok(NoPlaybooks {
            root: root.to_string_lossy().into_owned(),
            items: [],
            folders: [],
        })
        .into_response()
    }
}

fn gone(instead: &str) -> Answer<Failure> {
    Answer::error(StatusCode::GONE, format!("deprecated; use {instead}"))
}

/// `GET …/list`
pub async fn list<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
) -> Result<Response, ErrorResponse> {
    Ok(match app.assemblies.deprecated_list(S::ROUTES).await? {
        Some(root) => S::nothing(&root),
        None => gone(&format!("/api/assembly/list?island={}", S::ISLAND)).into_response(),
    })
}

/// `GET …/load`
pub async fn load<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> Result<Answer<Failure>, ErrorResponse> {
    let path = first(query.as_deref(), "path").unwrap_or_default();
    app.assemblies.deprecated_load(S::ROUTES, &path).await?;
    Ok(gone(&format!("/api/assembly/load?island={}&path=...", S::ISLAND)))
}

/// `POST …/save`
pub async fn save<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody<Files>,
) -> Result<Answer<Failure>, ErrorResponse> {
    let save = forms::save(&body.lenient().await?, S::ROUTES == Deprecated::Scripts)?;
    app.assemblies.deprecated_save(S::ROUTES, &save)?;
    Ok(gone("/api/assembly/create or /api/assembly/edit"))
}

/// `POST …/rename_file`
pub async fn rename_file<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Failure>, ErrorResponse> {
    let (path, new_name) = forms::rename_file(&body.lenient().await?, S::ROUTES == Deprecated::Scripts)?;
    app.assemblies
        .deprecated_rename_file(S::ROUTES, &path, new_name)
        .await?;
    Ok(gone("/api/assembly/rename"))
}

/// `POST …/move_file`
pub async fn move_file<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Failure>, ErrorResponse> {
    let (path, new_path) = forms::relocate(&body.lenient().await?)?;
    app.assemblies
        .deprecated_move_file(S::ROUTES, &path, &new_path)
        .await?;
    Ok(gone("/api/assembly/move"))
}

/// `POST …/delete_file`
pub async fn delete_file<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Failure>, ErrorResponse> {
    let path = forms::path(&body.lenient().await?)?;
    app.assemblies.deprecated_delete_file(S::ROUTES, &path).await?;
    Ok(gone("/api/assembly/delete"))
}

/// `POST …/create_folder`
pub async fn create_folder<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Failure>, ErrorResponse> {
    let path = forms::path(&body.lenient().await?)?;
    app.assemblies.deprecated_create_folder(S::ROUTES, &path)?;
    Ok(gone("/api/assembly/create"))
}

/// `POST …/delete_folder`
pub async fn delete_folder<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Failure>, ErrorResponse> {
    let path = forms::path(&body.lenient().await?)?;
    app.assemblies.deprecated_delete_folder(S::ROUTES, &path).await?;
    Ok(gone("/api/assembly/delete"))
}

/// `POST …/rename_folder`
pub async fn rename_folder<S: Source>(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Failure>, ErrorResponse> {
    let (path, new_name) = forms::rename(&body.lenient().await?)?;
    app.assemblies
        .deprecated_rename_folder(S::ROUTES, &path, new_name)
        .await?;
    Ok(gone("/api/assembly/rename"))
}
