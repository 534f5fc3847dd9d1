//! `/api/assembly` and below.

pub mod deprecated;

use axum::{
    extract::{RawQuery, State},
    response::{ErrorResponse, IntoResponse, Response},
};
use serde::Serialize;

use super::{
    compat::{
        body::{Files, RawBody},
        query::first,
        reply::{Answer, Status},
    },
    guards::{JobCaller, OperatorIfStrict},
    set_apart::shared::SharedAnswer,
    state::AppState,
};
use crate::{
    builders::assemblies::{
        assembly_change, assembly_deletion, assembly_move, assembly_rename, island, new_assembly, queried,
    },
    domain::{
        assembly::{document::Heading, location::IslandPath},
        json::Json,
    },
    services::assemblies::{About, AssemblyListing, ListedAssembly, LoadedAssembly},
};

/// A file of an island; what it has of the rest depends on what it is.
#[derive(Debug, Serialize)]
struct Item {
    file_name: String,
    rel_path: String,
    #[serde(rename = "type")]
    kind: String,
    last_edited: String,
    last_edited_epoch: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tab_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl From<ListedAssembly> for Item {
    fn from(listed: ListedAssembly) -> Self {
        let item = |kind: String| Self {
            file_name: listed.file_name,
            rel_path: listed.path,
            kind,
            last_edited: listed.last_edited,
            last_edited_epoch: listed.last_edited_epoch,
            tab_name: None,
            name: None,
            category: None,
            description: None,
        };
        match listed.about {
            About::Workflow { tab_name } => Self {
                tab_name: Some(tab_name),
                ..item("workflow".to_owned())
            },
            About::Document(Heading {
                name,
                description,
                category,
                kind,
            }) => Self {
                name: Some(name),
                category: Some(category),
                description: Some(description),
                ..item(kind)
            },
        }
    }
}

/// What lies in an island.
#[derive(Debug, Serialize)]
pub struct AssemblyList {
    root: String,
    items: Vec<Item>,
    folders: Vec<String>,
}

impl From<AssemblyListing> for AssemblyList {
    fn from(listing: AssemblyListing) -> Self {
        Self {
            root: listing.root.to_string_lossy().into_owned(),
            items: listing.items.into_iter().map(Into::into).collect(),
            folders: listing.folders,
        }
    }
}

/// A script or playbook.
#[derive(Debug, Serialize)]
pub struct LoadedDocument {
    file_name: String,
    rel_path: String,
    #[serde(rename = "type")]
    kind: String,
    assembly: Json,
    content: String,
}

/// A file: a workflow is its JSON, whatever that is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum LoadedFile {
    Workflow(Json),
    Document(LoadedDocument),
}

impl From<LoadedAssembly> for LoadedFile {
    fn from(loaded: LoadedAssembly) -> Self {
        match loaded {
            LoadedAssembly::Workflow(workflow) => Self::Workflow(workflow),
            LoadedAssembly::Document { path, document } => {
                let assembly = document.shown();
                let document = *document;
                Self::Document(LoadedDocument {
                    file_name: path.file_name().to_owned(),
                    rel_path: path.text(),
                    assembly,
                    kind: document.kind,
                    content: document.script,
                })
            }
        }
    }
}

/// Where a file lies now.
#[derive(Debug, Serialize)]
pub struct Stored {
    status: &'static str,
    rel_path: String,
}

fn stored(path: &IslandPath) -> Answer<Stored> {
    Answer::ok(Stored {
        status: "ok",
        rel_path: path.text(),
    })
}

/// `GET /api/assembly/list`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> Result<SharedAnswer<Result<Answer<AssemblyList>, ErrorResponse>>, ErrorResponse> {
    let island = island(first(query.as_deref(), "island").as_deref())?;
    let lists = app.shared_lists.clone();
    let making = async move { Ok(Answer::ok(app.assemblies.list(island).await?.into())) };
    Ok(lists.answer(island.folder(), making).await)
}

/// `GET /api/assembly/load`
pub async fn load(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> Result<Answer<LoadedFile>, ErrorResponse> {
    let parameter = |name| first(query.as_deref(), name);
    let root = app.assemblies.root();
    let at = queried(root, parameter("island").as_deref(), parameter("path").as_deref())?;
    Ok(Answer::ok(app.assemblies.load(&at).await?.into()))
}

/// `POST /api/assembly/create`
pub async fn create(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody<Files>,
) -> Result<Response, ErrorResponse> {
    let body = body.lenient().await?;
    let new = new_assembly(app.assemblies.root(), &body)?;
    let made = app.assemblies.create(&author, new).await?;
    Ok(match made {
        Some(path) => stored(&path).into_response(),
        None => Answer::status("ok").into_response(),
    })
}

/// `POST /api/assembly/edit`
pub async fn edit(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody<Files>,
) -> Result<Answer<Stored>, ErrorResponse> {
    let body = body.lenient().await?;
    let change = assembly_change(app.assemblies.root(), &body)?;
    let edited = app.assemblies.edit(&author, change).await?;
    Ok(stored(&edited))
}

/// `POST /api/assembly/rename`
pub async fn rename(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody,
) -> Result<Answer<Stored>, ErrorResponse> {
    let body = body.lenient().await?;
    let rename = assembly_rename(app.assemblies.root(), &body)?;
    let renamed = app.assemblies.rename(&author, rename).await?;
    Ok(stored(&renamed))
}

/// `POST /api/assembly/move`
pub async fn relocate(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    let wanted = assembly_move(app.assemblies.root(), &body)?;
    app.assemblies.relocate(&author, wanted).await?;
    Ok(Answer::status("ok"))
}

/// `POST /api/assembly/delete`
pub async fn delete(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    let (at, kind) = assembly_deletion(app.assemblies.root(), &body)?;
    app.assemblies.delete(&author, at, kind).await?;
    Ok(Answer::status("ok"))
}
