//! The bodies and queries of `/api/assembly`.

pub mod deprecated;

use std::path::Path;

use super::text::{WrongType, trimmed_text};
use crate::domain::{
    assembly::{
        document::is_type,
        location::{EntryKind, Island, IslandPath},
    },
    json::{Json, JsonObject},
    json_fault::json_fault,
    json_reader::{read_stored_text, read_text},
};

/// Why a request says nothing that could be done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AssemblyFormError {
    /// The island is none that is known.
    #[error("invalid island")]
    InvalidIsland,
    /// A path leads out of the island.
    #[error("invalid path")]
    InvalidPath,
    /// What is to be made has no name.
    #[error("path required")]
    PathRequired,
    /// It is neither a file nor a folder.
    #[error("invalid kind")]
    InvalidKind,
    /// What is to be renamed has no new name.
    #[error("new_name required")]
    NewNameRequired,
    /// The island itself was to be deleted.
    #[error("cannot delete root")]
    CannotDeleteRoot,
    /// What a script or playbook is to be is no document (ASM-10).
    #[error("invalid content")]
    InvalidContent,
    /// What a workflow is to be is no object.
    #[error("invalid content for workflow")]
    InvalidWorkflow,
    /// What a workflow is to be is no JSON, in Python's words.
    #[error("{0}")]
    Unparsable(String),
    /// A field of another type, that has no word of its own.
    #[error("invalid payload")]
    WrongType(#[from] WrongType),
}

/// A path of an island.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssemblyPath {
    pub island: Island,
    /// It may be the island itself, and hold NUL.
    pub path: IslandPath,
}

/// What a file is to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum NewContent {
    Workflow(JsonObject),
    /// A script or playbook, not yet in its normal form, and its type where it names none.
    Document {
        members: JsonObject,
        default_kind: String,
    },
}

/// A file or folder that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAssembly {
    pub island: Island,
    /// Not the island itself.
    pub path: IslandPath,
    /// `None` for a folder.
    pub content: Option<NewContent>,
}

/// A file that is to hold something else.
#[derive(Clone, Debug, PartialEq)]
pub struct AssemblyChange {
    pub island: Island,
    pub path: IslandPath,
    /// Or why it can hold no such thing, which is said where the file is there.
    pub content: Result<NewContent, AssemblyFormError>,
}

/// A file or folder that is to have another name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssemblyRename {
    pub at: AssemblyPath,
    pub kind: EntryKind,
    /// Trimmed, not empty.
    pub new_name: String,
}

/// A file or folder that is to lie elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssemblyMove {
    pub at: AssemblyPath,
    pub kind: EntryKind,
    /// The new path, or the folder that it goes into; may be the island itself.
    pub to: IslandPath,
}

/// Which island a query names.
///
/// # Errors
/// [`AssemblyFormError::InvalidIsland`]
pub fn island(parameter: Option<&str>) -> Result<Island, AssemblyFormError> {
    Island::parse(parameter.unwrap_or_default()).ok_or(AssemblyFormError::InvalidIsland)
}

/// Which file a query names. Here and below `root` is the folder of all islands.
///
/// # Errors
/// [`AssemblyFormError`]
pub fn queried(
    root: &Path,
    island_name: Option<&str>,
    path: Option<&str>,
) -> Result<AssemblyPath, AssemblyFormError> {
    let island = island(island_name)?;
    let path = path_in(root, island, path.unwrap_or_default())?;
    Ok(AssemblyPath { island, path })
}

/// Reads what is to be made.
///
/// # Errors
/// [`AssemblyFormError`]
pub fn new_assembly(root: &Path, body: &JsonObject) -> Result<NewAssembly, AssemblyFormError> {
    let fields = Fields::read(body)?;
    let hint = trimmed_text(body, "type")?;
    let at = fields.at(root)?;
    if at.path.is_root() {
        return Err(AssemblyFormError::PathRequired);
    }
    let content = match fields.kind()? {
        EntryKind::Folder => None,
        EntryKind::File => Some(created(at.island, hint, body.get("content"))?),
    };
    Ok(NewAssembly {
        island: at.island,
        path: at.path,
        content,
    })
}

/// What a new file holds; whatever is no object counts as an empty one. Half a character in a text that is JSON all the
/// same costs nobody the document that the file had.
fn created(island: Island, hint: &str, content: Option<&Json>) -> Result<NewContent, AssemblyFormError> {
    let parsed = match content {
        Some(Json::Text(text)) => match read_text(text) {
            Err(_) if read_stored_text(text).is_ok() => {
                return Err(match island {
                    Island::Workflows => AssemblyFormError::InvalidWorkflow,
                    Island::Scripts | Island::Playbooks => AssemblyFormError::InvalidContent,
                });
            }
            read => read.ok(),
        },
        other => other.cloned(),
    };
    let members = match parsed {
        Some(Json::Object(members)) => members,
        _ => JsonObject::new(),
    };
    let default_kind = match island {
        Island::Workflows => return Ok(NewContent::Workflow(members)),
        Island::Playbooks => "ansible".to_owned(),
        Island::Scripts => known_kind(hint),
    };
    Ok(NewContent::Document {
        members,
        default_kind,
    })
}

fn known_kind(word: &str) -> String {
    let word = word.to_lowercase();
    if is_type(&word) {
        word
    } else {
        "powershell".to_owned()
    }
}

/// Reads what a file is to hold instead.
///
/// # Errors
/// [`AssemblyFormError`]
pub fn assembly_change(root: &Path, body: &JsonObject) -> Result<AssemblyChange, AssemblyFormError> {
    let AssemblyPath { island, path } = Fields::of_file(body)?.at(root)?;
    let content = body.get("content");
    Ok(AssemblyChange {
        island,
        path,
        content: if island == Island::Workflows {
            workflow(content).map(NewContent::Workflow)
        } else {
            edited(island, content)
        },
    })
}

fn workflow(content: Option<&Json>) -> Result<JsonObject, AssemblyFormError> {
    let parsed = match content {
        Some(Json::Text(text)) => read_text(text).map_err(|_| match json_fault(text) {
            Some(fault) => AssemblyFormError::Unparsable(fault),
            // Too deep, say: JSON that is not taken.
            None => AssemblyFormError::InvalidWorkflow,
        })?,
        other => other.cloned().unwrap_or_default(),
    };
    match parsed {
        Json::Object(members) => Ok(members),
        _ => Err(AssemblyFormError::InvalidWorkflow),
    }
}

/// A document that takes another's place must be one: nothing of the old one is kept (ASM-10).
fn edited(island: Island, content: Option<&Json>) -> Result<NewContent, AssemblyFormError> {
    let parsed = match content {
        Some(Json::Text(text)) => read_text(text).ok(),
        other => other.cloned(),
    };
    let Some(Json::Object(members)) = parsed else {
        return Err(AssemblyFormError::InvalidContent);
    };
    let named = trimmed_text(&members, "type").map_err(|WrongType| AssemblyFormError::InvalidContent);
    let default_kind = match island {
        Island::Playbooks => "ansible".to_owned(),
        Island::Workflows | Island::Scripts => known_kind(named?),
    };
    Ok(NewContent::Document {
        members,
        default_kind,
    })
}

/// Reads what is to have which name.
///
/// # Errors
/// [`AssemblyFormError`]
pub fn assembly_rename(root: &Path, body: &JsonObject) -> Result<AssemblyRename, AssemblyFormError> {
    let new_name = trimmed_text(body, "new_name").map_err(|WrongType| AssemblyFormError::NewNameRequired);
    let fields = Fields::read(body)?;
    let new_name = new_name?;
    trimmed_text(body, "type")?;
    if new_name.is_empty() {
        return Err(AssemblyFormError::NewNameRequired);
    }
    let at = fields.at(root)?;
    Ok(AssemblyRename {
        at,
        kind: fields.kind()?,
        new_name: new_name.to_owned(),
    })
}

/// Reads what is to lie where.
///
/// # Errors
/// [`AssemblyFormError`]
pub fn assembly_move(root: &Path, body: &JsonObject) -> Result<AssemblyMove, AssemblyFormError> {
    let fields = Fields::read(body)?;
    let new_path = trimmed_text(body, "new_path").map_err(|WrongType| AssemblyFormError::InvalidPath)?;
    let at = fields.at(root)?;
    let to = path_in(root, at.island, new_path)?;
    Ok(AssemblyMove {
        at,
        // Whatever is no folder is a file here.
        kind: fields.kind().unwrap_or(EntryKind::File),
        to,
    })
}

/// Reads what is to be deleted.
///
/// # Errors
/// [`AssemblyFormError`]
pub fn assembly_deletion(
    root: &Path,
    body: &JsonObject,
) -> Result<(AssemblyPath, EntryKind), AssemblyFormError> {
    let fields = Fields::read(body)?;
    let at = fields.at(root)?;
    if at.path.is_root() {
        return Err(AssemblyFormError::CannotDeleteRoot);
    }
    Ok((at, fields.kind()?))
}

/// The fields that most bodies have, trimmed. One of another type is an error of its own, before any other.
struct Fields<'a> {
    island: &'a str,
    path: &'a str,
    kind: &'a str,
}

impl<'a> Fields<'a> {
    fn read(body: &'a JsonObject) -> Result<Self, AssemblyFormError> {
        let kind = trimmed_text(body, "kind").map_err(|WrongType| AssemblyFormError::InvalidKind);
        let fields = Self::of_file(body)?;
        Ok(Self {
            kind: kind?,
            ..fields
        })
    }

    /// Of a route that only files are for.
    fn of_file(body: &'a JsonObject) -> Result<Self, AssemblyFormError> {
        Ok(Self {
            island: trimmed_text(body, "island").map_err(|WrongType| AssemblyFormError::InvalidIsland)?,
            path: trimmed_text(body, "path").map_err(|WrongType| AssemblyFormError::InvalidPath)?,
            kind: "",
        })
    }

    fn at(&self, root: &Path) -> Result<AssemblyPath, AssemblyFormError> {
        let island = island(Some(self.island))?;
        let path = path_in(root, island, self.path)?;
        Ok(AssemblyPath { island, path })
    }

    fn kind(&self) -> Result<EntryKind, AssemblyFormError> {
        match self.kind.to_lowercase().as_str() {
            "file" => Ok(EntryKind::File),
            "folder" => Ok(EntryKind::Folder),
            _ => Err(AssemblyFormError::InvalidKind),
        }
    }
}

fn path_in(root: &Path, island: Island, text: &str) -> Result<IslandPath, AssemblyFormError> {
    IslandPath::resolve(root, island, text).ok_or(AssemblyFormError::InvalidPath)
}

#[cfg(test)]
mod tests;
