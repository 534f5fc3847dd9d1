//! The routes that `/api/assembly` replaced: they change nothing, and say so once a request is right (ASM-21).

use std::path::PathBuf;

use super::AssemblyService;
use crate::{
    builders::assemblies::deprecated::{DeprecatedFormError, DeprecatedSave},
    domain::assembly::location::{EntryKind, Island, deprecated_place, is_deprecated_script, with_extension},
    integrations::assembly_files::FileError,
};

/// Whose routes are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deprecated {
    /// `/api/scripts`: paths begin at the folder of all islands.
    Scripts,
    /// `/api/ansible`: paths begin at their own.
    Playbooks,
}

/// Why a request of a deprecated route is refused.
#[derive(Debug, thiserror::Error)]
pub enum DeprecatedError {
    /// The script or playbook that was to be loaded is not there.
    #[error("not found")]
    DocumentNotFound(Deprecated),
    #[error("File not found")]
    FileNotFound,
    #[error("Folder not found")]
    FolderNotFound,
    /// A script's path does not begin in its island.
    #[error("Invalid path (must be under 'Scripts')")]
    NotUnderScripts,
    /// An island itself was to be deleted.
    #[error("Cannot delete top-level folder")]
    DeleteTopLevel,
    /// An island itself was to be renamed.
    #[error("Cannot rename top-level folder")]
    RenameTopLevel,
    #[error(transparent)]
    Form(#[from] DeprecatedFormError),
    #[error(transparent)]
    File(FileError),
}

impl AssemblyService {
    /// The folder that a list shows as empty; `None` once there is something to be listed elsewhere.
    ///
    /// # Errors
    /// The playbooks' folder, which is made as in the legacy, cannot be.
    pub async fn deprecated_list(&self, routes: Deprecated) -> Result<Option<PathBuf>, DeprecatedError> {
        let is_new = match routes {
            Deprecated::Scripts => !self.files.has_root().await,
            Deprecated::Playbooks => {
                let made = self.files.make_island(Island::Playbooks).await;
                made.map_err(DeprecatedError::File)?
            }
        };
        Ok(is_new.then(|| self.deprecated_base(routes)))
    }

    /// Looks for what was to be loaded.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub async fn deprecated_load(&self, routes: Deprecated, path: &str) -> Result<(), DeprecatedError> {
        if is_valid(routes, path) && self.has(routes, path, EntryKind::File).await {
            Ok(())
        } else {
            Err(DeprecatedError::DocumentNotFound(routes))
        }
    }

    /// Looks whether something could be saved.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub fn deprecated_save(&self, routes: Deprecated, save: &DeprecatedSave) -> Result<(), DeprecatedError> {
        let DeprecatedSave::At(path) = save else {
            return Ok(());
        };
        let path = match routes {
            Deprecated::Scripts => with_extension(path, ".json"),
            Deprecated::Playbooks => with_extension(path, ".yml"),
        };
        if !is_valid(routes, &path) {
            return Err(DeprecatedError::NotUnderScripts);
        }
        self.check_inside(routes, &path)
    }

    /// Looks for the file that was to be deleted.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub async fn deprecated_delete_file(
        &self,
        routes: Deprecated,
        path: &str,
    ) -> Result<(), DeprecatedError> {
        if is_valid(routes, path) && self.has(routes, path, EntryKind::File).await {
            Ok(())
        } else {
            Err(DeprecatedError::FileNotFound)
        }
    }

    /// Looks for the file that was to have another name.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub async fn deprecated_rename_file(
        &self,
        routes: Deprecated,
        path: &str,
        new_name: Result<(), DeprecatedFormError>,
    ) -> Result<(), DeprecatedError> {
        if !self.has(routes, path, EntryKind::File).await {
            return Err(DeprecatedError::FileNotFound);
        }
        Ok(new_name?)
    }

    /// Looks for the file that was to lie elsewhere, and whether that is a place.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub async fn deprecated_move_file(
        &self,
        routes: Deprecated,
        path: &str,
        new_path: &str,
    ) -> Result<(), DeprecatedError> {
        if !self.has(routes, path, EntryKind::File).await {
            return Err(DeprecatedError::FileNotFound);
        }
        let names_nothing = new_path.trim_start_matches(['/', '\\']).is_empty();
        if names_nothing || !is_valid(routes, new_path) || self.check_inside(routes, new_path).is_err() {
            return Err(DeprecatedFormError::InvalidDestination.into());
        }
        Ok(())
    }

    /// Looks whether a folder could be made.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub fn deprecated_create_folder(&self, routes: Deprecated, path: &str) -> Result<(), DeprecatedError> {
        match routes {
            Deprecated::Scripts if is_valid(routes, path) || path.starts_with('/') => {
                self.check_inside(routes, path)
            }
            Deprecated::Scripts => self.check_inside(routes, &format!("Scripts/{path}")),
            Deprecated::Playbooks => {
                let path = path.replace('\\', "/");
                self.check_inside(routes, path.trim_matches('/'))
            }
        }
    }

    /// Looks for the folder that was to be deleted.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub async fn deprecated_delete_folder(
        &self,
        routes: Deprecated,
        path: &str,
    ) -> Result<(), DeprecatedError> {
        if !is_valid(routes, path) || !self.has(routes, path, EntryKind::Folder).await {
            return Err(DeprecatedError::FolderNotFound);
        }
        if routes == Deprecated::Scripts && path.trim_matches('/') == "Scripts" {
            return Err(DeprecatedError::DeleteTopLevel);
        }
        Ok(())
    }

    /// Looks for the folder that was to have another name.
    ///
    /// # Errors
    /// [`DeprecatedError`]
    pub async fn deprecated_rename_folder(
        &self,
        routes: Deprecated,
        path: &str,
        new_name: Result<(), DeprecatedFormError>,
    ) -> Result<(), DeprecatedError> {
        if !self.has(routes, path, EntryKind::Folder).await {
            return Err(DeprecatedError::FolderNotFound);
        }
        new_name?;
        let is_top_level = match routes {
            Deprecated::Scripts => ["Scripts", "Ansible Playbooks"].contains(&path.trim_matches('/')),
            Deprecated::Playbooks => path.is_empty(),
        };
        if is_top_level {
            return Err(DeprecatedError::RenameTopLevel);
        }
        Ok(())
    }

    fn deprecated_base(&self, routes: Deprecated) -> PathBuf {
        match routes {
            Deprecated::Scripts => self.files.root().to_owned(),
            Deprecated::Playbooks => self.files.folder(Island::Playbooks),
        }
    }

    async fn has(&self, routes: Deprecated, path: &str, kind: EntryKind) -> bool {
        let base = self.deprecated_base(routes);
        self.files.deprecated_exists(base, path, kind).await
    }

    fn check_inside(&self, routes: Deprecated, path: &str) -> Result<(), DeprecatedError> {
        match deprecated_place(&self.deprecated_base(routes), path) {
            Some(_) => Ok(()),
            None => Err(DeprecatedFormError::InvalidPath.into()),
        }
    }
}

/// Whether a path is one of these routes' own, wherever it then leads.
fn is_valid(routes: Deprecated, path: &str) -> bool {
    match routes {
        Deprecated::Scripts => is_deprecated_script(path),
        Deprecated::Playbooks => !path.is_empty(),
    }
}
