//! The answers of the errors of assemblies. What the file system refuses is told in Python's words, as the legacy does.

use std::{io, path::Path};

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{bad_request, database_error, json_failure};
use crate::{
    builders::assemblies::{AssemblyFormError, deprecated::DeprecatedFormError},
    domain::text::python_quoted,
    interfaces::http::compat::reply::Answer,
    services::assemblies::{AssemblyError, Deprecated, DeprecatedError, FileError},
};

fn not_found(word: &str) -> Response {
    Answer::error(StatusCode::NOT_FOUND, word).into_response()
}

fn failed(text: String) -> Response {
    Answer::error(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

impl IntoResponse for AssemblyFormError {
    fn into_response(self) -> Response {
        match self {
            Self::InvalidIsland => bad_request("invalid island"),
            Self::InvalidPath => bad_request("invalid path"),
            Self::PathRequired => bad_request("path required"),
            Self::InvalidKind => bad_request("invalid kind"),
            Self::NewNameRequired => bad_request("new_name required"),
            Self::CannotDeleteRoot => bad_request("cannot delete root"),
            Self::InvalidContent => bad_request("invalid content"),
            Self::InvalidWorkflow => bad_request("invalid content for workflow"),
            Self::Unparsable(fault) => bad_request(&fault),
            Self::WrongType(error) => error.into_response(),
        }
    }
}

impl IntoResponse for AssemblyError {
    fn into_response(self) -> Response {
        match self {
            Self::FileNotFound => not_found("file not found"),
            Self::FolderNotFound => not_found("folder not found"),
            Self::IslandItself => bad_request("invalid path"),
            Self::InvalidDestination => bad_request("invalid destination"),
            Self::Content(error) => error.into_response(),
            Self::Forbidden => Answer::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::File(error) => error.into_response(),
            Self::Store(error) => database_error(error),
        }
    }
}

impl IntoResponse for FileError {
    fn into_response(self) -> Response {
        match self {
            Self::Outside => bad_request("invalid path"),
            Self::NullByte => bad_request("embedded null byte"),
            Self::Missing => not_found("file not found"),
            Self::Exists => Answer::error(StatusCode::CONFLICT, "already exists").into_response(),
            Self::Kept => Answer::error(StatusCode::FORBIDDEN, "forbidden").into_response(),
            Self::Taken(path) => failed(format!(
                "Destination path '{}' already exists",
                path.to_string_lossy()
            )),
            Self::IntoItself { from, to } => failed(format!(
                "Cannot move a directory '{}' into itself '{}'.",
                from.to_string_lossy(),
                to.to_string_lossy()
            )),
            Self::LinkedFolder => failed("Cannot call rmtree on a symbolic link".to_owned()),
            Self::System { path, to, source } => system_failure(&path, to.as_deref(), &source),
        }
    }
}

/// `[Errno 36] File name too long: '/path'`
fn system_failure(path: &Path, to: Option<&Path>, source: &io::Error) -> Response {
    let Some(number) = source.raw_os_error() else {
        return json_failure(source);
    };
    let text = source.to_string();
    let text = text
        .strip_suffix(&format!(" (os error {number})"))
        .unwrap_or(&text);
    let quoted = |path: &Path| python_quoted(&path.to_string_lossy());
    let mut message = format!("[Errno {number}] {text}: {}", quoted(path));
    if let Some(to) = to {
        message.push_str(" -> ");
        message.push_str(&quoted(to));
    }
    tracing::warn!("assemblies: {}", message.escape_debug());
    failed(message)
}

impl IntoResponse for DeprecatedFormError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::MissingContent => "Missing content",
            Self::MissingName => "Missing name",
            Self::InvalidPath => "Invalid path",
            Self::PlaybookAmongScripts => "Ansible playbooks are managed separately from scripts.",
            Self::InvalidNewName => "Invalid new_name",
            Self::InvalidDestination => "Invalid destination",
            Self::WrongType(error) => return error.into_response(),
        })
    }
}

impl IntoResponse for DeprecatedError {
    fn into_response(self) -> Response {
        match self {
            Self::DocumentNotFound(Deprecated::Scripts) => not_found("Script not found"),
            Self::DocumentNotFound(Deprecated::Playbooks) => not_found("Playbook not found"),
            Self::FileNotFound => not_found("File not found"),
            Self::FolderNotFound => not_found("Folder not found"),
            Self::NotUnderScripts => bad_request("Invalid path (must be under 'Scripts')"),
            Self::DeleteTopLevel => bad_request("Cannot delete top-level folder"),
            Self::RenameTopLevel => bad_request("Cannot rename top-level folder"),
            Self::Form(error) => error.into_response(),
            Self::File(error) => error.into_response(),
        }
    }
}
