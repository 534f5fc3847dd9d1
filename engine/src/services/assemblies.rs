//! Scripts and playbooks on disk: finding, reading and decoding them. Nothing is kept in memory; every call reads.

use std::{io, path::PathBuf};

use crate::{
    domain::{
        assembly::{
            document::{LoadedDocument, load},
            location::{Island, IslandPath},
        },
        mask::shown,
    },
    integrations::assembly_files::AssemblyFiles,
};

/// Reads assemblies.
#[derive(Clone, Debug)]
pub struct AssemblyLibrary {
    files: AssemblyFiles,
}

impl AssemblyLibrary {
    pub fn new(files: AssemblyFiles) -> Self {
        Self { files }
    }

    /// The document at a path, with the type it has where it names none; `None` where there is no such file.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub async fn load(
        &self,
        island: Island,
        path: &IslandPath,
        default_kind: &str,
    ) -> io::Result<Option<LoadedDocument>> {
        let Some(bytes) = self.files.read(island, path).await? else {
            return Ok(None);
        };
        let loaded = load(path.file_name(), &bytes, default_kind);
        if loaded.damaged {
            tracing::warn!(
                "the assembly {}/{} is no readable document",
                island.folder(),
                shown(&path.text())
            );
        }
        Ok(Some(loaded))
    }

    /// Where a path lies on disk.
    pub fn place(&self, island: Island, path: &IslandPath) -> PathBuf {
        self.files.place(island, path)
    }
}
