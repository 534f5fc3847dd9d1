//! The folder of scenarios.

use std::path::{Path, PathBuf};

use super::{
    model::{ModelError, Scenario},
    yaml::Fault,
};

/// A scenario file, and what reading it gave.
#[derive(Debug)]
pub struct Entry {
    /// `<area>/<name>`.
    pub name: String,
    pub path: PathBuf,
    /// The scenario, or why it cannot be read.
    pub scenario: Result<Scenario, ReadError>,
}

/// Why a scenario file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl ReadError {
    /// Everything that is wrong.
    pub fn faults(&self) -> Vec<Fault> {
        match self {
            Self::Io(error) => vec![Fault {
                line: 0,
                column: 0,
                reason: error.to_string(),
            }],
            Self::Model(ModelError(faults)) => faults.clone(),
        }
    }
}

impl Entry {
    /// The folder that the scenario's own files are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// All scenarios under a folder, sorted by name.
///
/// # Errors
/// If the folder itself cannot be read; a bad file is an entry with an error.
pub fn load(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for area in std::fs::read_dir(folder)? {
        let area = area?;
        if !area.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(area.path())? {
            let path = file?.path();
            let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
            if let (true, Some(stem)) = (is_yaml, path.file_stem()) {
                let name = format!(
                    "{}/{}",
                    area.file_name().to_string_lossy(),
                    stem.to_string_lossy()
                );
                entries.push(open(&name, path));
            }
        }
    }
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

/// One scenario by name.
pub fn find(folder: &Path, name: &str) -> Entry {
    open(name, folder.join(format!("{name}.yaml")))
}

fn open(name: &str, path: PathBuf) -> Entry {
    let scenario = std::fs::read_to_string(&path)
        .map_err(ReadError::from)
        .and_then(|text| Ok(Scenario::read(name, &text)?));
    Entry {
        name: name.to_owned(),
        path,
        scenario,
    }
}
