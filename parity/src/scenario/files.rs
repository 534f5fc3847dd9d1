//! The files that a scenario names, with their contents.

use std::path::Path;

use super::model::{Action, FileSource, Scenario};

/// A file that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FileError {
    /// The path beside the scenario.
    pub path: String,
    pub source: std::io::Error,
}

/// The contents of one source; `folder` is the scenario's own.
///
/// # Errors
/// If a file beside the scenario cannot be read.
pub fn contents(source: &FileSource, folder: &Path) -> Result<Vec<u8>, FileError> {
    match source {
        FileSource::Text(text) => Ok(text.as_bytes().to_vec()),
        FileSource::Bytes(bytes) => Ok(bytes.clone()),
        FileSource::Repeat(unit, times) => Ok(unit.repeat(*times).into_bytes()),
        FileSource::Beside(path) => std::fs::read(folder.join(path)).map_err(|source| FileError {
            path: path.clone(),
            source,
        }),
    }
}

/// Whether a relative path stays in the folder that it is relative to.
pub fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\\')
        && Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// All files before the start.
///
/// # Errors
/// If one cannot be read.
pub fn before_start(scenario: &Scenario, folder: &Path) -> Result<Vec<(String, Vec<u8>)>, FileError> {
    scenario
        .files
        .iter()
        .map(|(path, source)| Ok((path.clone(), contents(source, folder)?)))
        .collect()
}

/// Every source in the scenario: before the start and in steps.
pub fn sources(scenario: &Scenario) -> impl Iterator<Item = &FileSource> {
    let in_steps = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::File { source, .. } => Some(source),
        _ => None,
    });
    scenario.files.iter().map(|(_, source)| source).chain(in_steps)
}
