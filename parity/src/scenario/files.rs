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
        FileSource::Link(_) => Ok(Vec::new()),
        FileSource::Mode(source, _) => contents(source, folder),
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

/// Whether the target of a link at `path`, which is relative to the link's own folder, stays below the root of both.
pub fn link_stays_inside(path: &str, to: &str) -> bool {
    let mut depth = Path::new(path).components().count().saturating_sub(1);
    !to.is_empty()
        && Path::new(to).components().all(|part| match part {
            std::path::Component::Normal(_) => {
                depth += 1;
                true
            }
            std::path::Component::ParentDir => match depth.checked_sub(1) {
                Some(above) => {
                    depth = above;
                    true
                }
                None => false,
            },
            std::path::Component::CurDir => true,
            _ => false,
        })
}

/// All files before the start, links apart.
///
/// # Errors
/// If one cannot be read.
pub fn before_start(scenario: &Scenario, folder: &Path) -> Result<Vec<(String, Vec<u8>)>, FileError> {
    scenario
        .files
        .iter()
        .filter(|(_, source)| !matches!(source, FileSource::Link(_)))
        .map(|(path, source)| Ok((path.clone(), contents(source, folder)?)))
        .collect()
}

/// The contents of all files that steps write.
///
/// # Errors
/// If one cannot be read.
pub fn in_steps(scenario: &Scenario, folder: &Path) -> Result<Vec<Vec<u8>>, FileError> {
    let written = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::File { source, .. } => Some(contents(source, folder)),
        _ => None,
    });
    written.collect()
}

/// Every source in the scenario, without its mode: before the start and in steps.
pub fn sources(scenario: &Scenario) -> impl Iterator<Item = &FileSource> {
    let in_steps = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::File { source, .. } => Some(source),
        _ => None,
    });
    let placed = scenario.files.iter().map(|(_, source)| match source {
        FileSource::Mode(source, _) => source,
        source => source,
    });
    placed.chain(in_steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_lead_anywhere_below_the_root() {
        for (path, to, inside) in [
            ("Assemblies/Scripts/link", "../../outside/x", true),
            ("Assemblies/Scripts/link", "../../../outside/x", false),
            ("link", "x", true),
            ("link", "..", false),
            ("a/link", "./../x/../../y", false),
            ("link", "/etc/passwd", false),
            ("link", "", false),
        ] {
            assert_eq!(link_stays_inside(path, to), inside, "{path} -> {to}");
        }
    }
}
