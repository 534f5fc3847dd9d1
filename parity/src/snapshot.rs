//! Snapshots: the legacy's normalised behaviour, one readable file a scenario, guarded by a list of digests.
//!
//! Long because each thing that can be wrong with a file has its message.

use crate::normalize::{Normalized, sha256_hex};
use crate::scenario::{emit::requests_digest, model::Scenario};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io, io::BufRead as _, io::BufReader};

mod blocks;
mod layout;

pub(crate) use layout::line;

/// The format that this program writes and reads.
pub const FORMAT: u32 = 3;
const FIRST_LINE: &str = "parity snapshot, format ";
const DIGESTS: &str = "DIGESTS";

/// Where a snapshot came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The server that was recorded.
    pub server: String,
    pub revision: String,
    /// SHA-256 of the recording that the snapshot was made from.
    pub recording_sha256: String,
    /// What the scenario did that the legacy answered: [`crate::scenario::emit::requests_digest`].
    pub requests_sha256: String,
}

/// One scenario's recorded behaviour.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Where it came from.
    pub provenance: Provenance,
    /// What was seen.
    pub normalized: Normalized,
    /// The scenario's steps, in their order.
    pub recorded: Vec<StepTime>,
}

/// A step as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// Its name then, for people.
    pub name: String,
    /// When it was over, in microseconds since the start; nothing where it took no time of its own.
    pub at_us: Option<i64>,
}

/// Why a snapshot or the list of digests cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file could not be read or written.
    #[error("{path}: {source}. Check that the folder exists and that you may use it")]
    Io {
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the list is gone.
    #[error(
        "{path}: it is in DIGESTS, and not there. Restore it from version control, or remove its line from DIGESTS"
    )]
    Gone { path: PathBuf },
    /// Made by an older program.
    #[error("{path}: format {found} is too old, this parity reads {FORMAT}. Record the snapshots again")]
    TooOld { path: PathBuf, found: u32 },
    /// Made by a newer program.
    #[error(
        "{path}: format {found} is too new, this parity reads {FORMAT}. Use the parity that wrote it, or a newer one"
    )]
    TooNew { path: PathBuf, found: u32 },
    /// Not a snapshot, or a damaged one.
    #[error(
        "{path}: unreadable: {reason}. Restore the file from version control or record the snapshot again"
    )]
    Unreadable { path: PathBuf, reason: String },
    /// The scenario does something else than what was recorded.
    #[error(
        "{path}: it shows what the legacy answered to other requests: the scenario was edited since. Restore the \
         scenario from version control, or record it again and import the recording"
    )]
    OtherRequests {
        /// The file.
        path: PathBuf,
    },
    /// The content is not what the digest says.
    #[error(
        "{path}: its digest is {found}, but {expected} was noted. Restore the file from version control; if the change \
         is meant, record the snapshot again, which notes the new digest"
    )]
    DigestMismatch {
        path: PathBuf,
        /// The digest that was noted.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
}

/// The file of a scenario's snapshot.
#[must_use]
pub fn path_of(folder: &Path, scenario: &str) -> PathBuf {
    folder.join(format!("{scenario}.snap"))
}

/// The snapshot as text: a header of `key: value` lines, an empty line, and one block a step.
#[must_use]
pub fn render(snapshot: &Snapshot) -> String {
    let content = blocks::write(&snapshot.normalized, &snapshot.recorded);
    let Provenance {
        server,
        revision,
        recording_sha256,
        requests_sha256,
    } = &snapshot.provenance;
    format!(
        "{FIRST_LINE}{FORMAT}\nscenario: {}\nserver: {server}\nrevision: {revision}\n\
         recording_sha256: {recording_sha256}\nrequests_sha256: {requests_sha256}\ncontent_sha256: {}\n\n{content}",
        snapshot.normalized.scenario,
        sha256_hex(content.as_bytes()),
    )
}

/// Reads a snapshot's text; `path` is for messages.
///
/// # Errors
/// If the format is another one, the text is no snapshot, or the content was changed.
pub fn parse(path: &Path, text: &str) -> Result<Snapshot, SnapshotError> {
    let unreadable = |reason: String| SnapshotError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let first = text.lines().next().unwrap_or_default();
    let found: u32 = first
        .strip_prefix(FIRST_LINE)
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| unreadable(format!("the first line is not `{FIRST_LINE}<number>`")))?;
    if found < FORMAT {
        return Err(SnapshotError::TooOld {
            path: path.to_owned(),
            found,
        });
    }
    if found > FORMAT {
        return Err(SnapshotError::TooNew {
            path: path.to_owned(),
            found,
        });
    }
    let (header, content) = text
        .split_once("\n\n")
        .ok_or_else(|| unreadable("no empty line ends the header".to_owned()))?;
    let fields: BTreeMap<&str, &str> = header
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .collect();
    let field = |name: &str| {
        fields
            .get(name)
            .map(|value| (*value).to_owned())
            .ok_or_else(|| unreadable(format!("`{name}` is missing")))
    };
    let (expected, found) = (field("content_sha256")?, sha256_hex(content.as_bytes()));
    if expected != found {
        return Err(SnapshotError::DigestMismatch {
            path: path.to_owned(),
            expected,
            found,
        });
    }
    let (normalized, recorded) = blocks::read(&field("scenario")?, content).map_err(unreadable)?;
    let provenance = Provenance {
        server: field("server")?,
        revision: field("revision")?,
        recording_sha256: field("recording_sha256")?,
        requests_sha256: field("requests_sha256")?,
    };
    Ok(Snapshot {
        provenance,
        normalized,
        recorded,
    })
}

/// Reads the snapshot of a scenario, and checks that it answers what this scenario does.
///
/// # Errors
/// As [`read`], or if the scenario was edited since.
pub fn read_for(folder: &Path, scenario: &Scenario) -> Result<Snapshot, SnapshotError> {
    let snapshot = read(folder, &scenario.name)?;
    if snapshot.provenance.requests_sha256 == requests_digest(scenario) {
        return Ok(snapshot);
    }
    Err(SnapshotError::OtherRequests {
        path: path_of(folder, &scenario.name),
    })
}

/// Reads one scenario's snapshot.
///
/// # Errors
/// As [`parse`], or if the file cannot be read.
pub fn read(folder: &Path, scenario: &str) -> Result<Snapshot, SnapshotError> {
    let path = path_of(folder, scenario);
    parse(&path, &read_text(&path)?)
}

/// The scenario whose snapshot was made from a recording with this digest, where there is one.
///
/// # Errors
/// If the folder or a snapshot cannot be read.
pub fn of_recording(folder: &Path, digest: &str) -> Result<Option<String>, SnapshotError> {
    if !folder.exists() {
        return Ok(None);
    }
    let line = format!("recording_sha256: {digest}");
    for name in snapshots_in(folder)? {
        let path = folder.join(&name);
        let failed = |source| SnapshotError::Io {
            path: path.clone(),
            source,
        };
        let header = BufReader::new(fs::File::open(&path).map_err(failed)?).lines();
        for found in header {
            let found = found.map_err(failed)?;
            if found == line {
                return Ok(name.strip_suffix(".snap").map(str::to_owned));
            }
            if found.is_empty() {
                break;
            }
        }
    }
    Ok(None)
}

/// The files of one scenario's snapshot, to be written together: itself, and the list of digests with its own.
///
/// # Errors
/// If it would not be read back as it is, or the list of digests cannot be read.
pub fn files(folder: &Path, snapshot: &Snapshot) -> Result<[(PathBuf, String); 2], SnapshotError> {
    let scenario = &snapshot.normalized.scenario;
    let path = path_of(folder, scenario);
    let text = render(snapshot);
    if parse(&path, &text)? != *snapshot {
        return Err(SnapshotError::Unreadable {
            path,
            reason: "what was recorded cannot be written so that it is read back as it was".to_owned(),
        });
    }
    let mut digests = read_digests(folder)?;
    digests.insert(format!("{scenario}.snap"), sha256_hex(text.as_bytes()));
    let list: String = digests
        .iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect();
    Ok([(path, text), (folder.join(DIGESTS), list)])
}

/// Compares every snapshot with the list of digests. Empty means that all are as they were written.
///
/// # Errors
/// If the list itself cannot be read.
pub fn verify_digests(folder: &Path) -> Result<Vec<SnapshotError>, SnapshotError> {
    let digests = read_digests(folder)?;
    let mut names: BTreeSet<String> = digests.keys().cloned().collect();
    names.extend(snapshots_in(folder)?);
    let wrong = names
        .into_iter()
        .filter_map(|name| changed(folder, &name, &digests));
    Ok(wrong.collect())
}

/// Compares the snapshot of one scenario with the list of digests; nothing where there is none or it is as it was written.
///
/// # Errors
/// If the list itself cannot be read.
pub fn verify_digest(folder: &Path, scenario: &str) -> Result<Option<SnapshotError>, SnapshotError> {
    let digests = read_digests(folder)?;
    let name = format!("{scenario}.snap");
    let known = digests.contains_key(&name) || folder.join(&name).exists();
    Ok(known.then(|| changed(folder, &name, &digests)).flatten())
}

/// What is wrong with a snapshot, by the list of digests.
fn changed(folder: &Path, name: &str, digests: &BTreeMap<String, String>) -> Option<SnapshotError> {
    let path = folder.join(name);
    let Some(expected) = digests.get(name).cloned() else {
        let reason = format!("it is not in {DIGESTS}");
        return Some(SnapshotError::Unreadable { path, reason });
    };
    match fs::read(&path).map(|bytes| sha256_hex(&bytes)) {
        Ok(found) if found == expected => None,
        Ok(found) => Some(SnapshotError::DigestMismatch {
            path,
            expected,
            found,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(SnapshotError::Gone { path }),
        Err(source) => Some(SnapshotError::Io { path, source }),
    }
}

/// The snapshots that are there: `<area>/<name>.snap`, sorted.
///
/// # Errors
/// If a folder cannot be read.
pub fn snapshots_in(folder: &Path) -> Result<Vec<String>, SnapshotError> {
    let list = |path: &Path| -> Result<Vec<PathBuf>, SnapshotError> {
        let failed = |source| SnapshotError::Io {
            path: path.to_owned(),
            source,
        };
        fs::read_dir(path)
            .map_err(failed)?
            .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
            .collect()
    };
    let mut names = Vec::new();
    for area in list(folder)?.into_iter().filter(|path| path.is_dir()) {
        for file in list(&area)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "snap"))
        {
            if let Ok(relative) = file.strip_prefix(folder) {
                names.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    names.sort();
    Ok(names)
}

fn read_digests(folder: &Path) -> Result<BTreeMap<String, String>, SnapshotError> {
    let path = folder.join(DIGESTS);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    read_text(&path)?
        .lines()
        .enumerate()
        .map(|(at, line)| {
            line.split_once("  ")
                .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
                .ok_or_else(|| {
                    let reason = format!("line {} is not `<digest>  <file>`", at + 1);
                    SnapshotError::Unreadable {
                        path: path.clone(),
                        reason,
                    }
                })
        })
        .collect()
}

fn read_text(path: &Path) -> Result<String, SnapshotError> {
    fs::read_to_string(path).map_err(|source| SnapshotError::Io {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Snapshot {
        Snapshot {
            provenance: Provenance {
                server: "legacy".to_owned(),
                revision: "6df391f21a63".to_owned(),
                recording_sha256: "00".to_owned(),
                requests_sha256: "01".to_owned(),
            },
            normalized: Normalized {
                scenario: "enrollment/x".to_owned(),
                started_at_us: 5,
                last_step: 1,
                steps: Vec::new(),
            },
            recorded: vec![StepTime {
                name: "login admin".to_owned(),
                at_us: Some(7),
            }],
        }
    }

    #[test]
    fn written_snapshots_are_read_back_and_guarded() {
        let folder = tempfile::tempdir().unwrap();
        let [(path, text), (digests, list)] = files(folder.path(), &sample()).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::write(digests, list).unwrap();
        assert_eq!(read(folder.path(), "enrollment/x").unwrap(), sample());
        assert!(verify_digests(folder.path()).unwrap().is_empty());
        fs::write(&path, "something else").unwrap();
        let wrong = verify_digests(folder.path()).unwrap();
        assert!(matches!(wrong.as_slice(), [SnapshotError::DigestMismatch { .. }]));
        assert!(matches!(
            read(folder.path(), "enrollment/x"),
            Err(SnapshotError::Unreadable { .. })
        ));
        fs::remove_file(&path).unwrap();
        let wrong = verify_digests(folder.path()).unwrap();
        assert!(matches!(wrong.as_slice(), [SnapshotError::Gone { .. }]));
    }

    #[test]
    fn old_new_and_changed_are_told_apart() {
        let text = render(&sample());
        let parse = |text: &str| parse(Path::new("a.snap"), text);
        assert!(matches!(
            parse(&text.replace("format 3", "format 2")),
            Err(SnapshotError::TooOld { .. })
        ));
        assert!(matches!(
            parse(&text.replace("format 3", "format 4")),
            Err(SnapshotError::TooNew { .. })
        ));
        assert!(matches!(
            parse(&text.replace("+0.000005", "+0.000006")),
            Err(SnapshotError::DigestMismatch { .. })
        ));
    }
}
