//! The root folder of a server that parity starts: what lies there before the start, and what the server left.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;
use rustix::fs::{StatVfs, StatVfsMountFlags};
use serde_json::json;
use tempfile::TempDir;

use super::{Beginning, database, files};
use crate::{
    scenario::model::FileSource,
    transcript::{Body, Keys, Left, LeftFile},
};

/// The page of the web client that the recordings were made with.
const INDEX: &str = "<!doctype html><title>Borealis</title><div id=\"root\"></div>\n";
/// Its only script.
const SCRIPT: &str = "console.log(\"borealis\");\n";
/// Where the web client lies under the root, unless a target says otherwise.
pub const WEB: &str = "Data/web-interface/build";
/// How long the path of the root folder is, as in the recordings: where a server names its folder, answers are as long
/// as theirs.
const ROOT_LENGTH: usize = 53;
/// The root's name in the folder that is removed with it.
const ROOT: &str = "root";
/// What that folder's name begins with.
const PREFIX: &str = "parity-";
/// So many letters of its name keep several runs apart.
const FEWEST_RANDOM: usize = 8;
/// Where Linux keeps files in memory. A server waits for the disk some twenty times a scenario, for the sake of a root that
/// lasts as long as the scenario.
const MEMORY: &str = "/dev/shm";
/// So many bytes must be free there; containers often have less. A scenario's root needs a few millions.
const FREE_MEMORY: u64 = 256 << 20;
/// Who may read and write a file that is placed.
const USUAL_MODE: u32 = 0o644;
/// Where temporary files lie if nothing else is said, and if the folder that is said has too long a path.
const USUAL_FOLDER: &str = "/tmp";
/// The file of the key that signs access tokens.
const TOKEN_KEY: &str = "borealis-jwt-ed25519.key";
/// The file of the key that seals stored secrets.
const SEALING_KEY: &str = "server_secret.key";

/// Why a target does not run, or cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which one, under the root.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// A path that leads out of the root.
    #[error("{0} is no path under the root")]
    Outside(String),
    /// The database.
    #[error("the database cannot be read: {0}")]
    Database(String),
    /// The scenario's environment.
    #[error("settings: {0}")]
    Settings(String),
    /// It says why.
    #[error("the server does not start: {0}")]
    Start(String),
    /// It cannot be reached.
    #[error("{reason}; {cure}")]
    Unreachable {
        /// Why.
        reason: String,
        /// What to do.
        cure: &'static str,
    },
    /// Something that this kind of target cannot do.
    #[error("{0}")]
    Cannot(&'static str),
}

/// What a root begins as.
#[derive(Clone, Debug)]
pub struct Template {
    /// A folder that it is a copy of.
    pub folder: PathBuf,
    /// What of it is linked to instead, by paths in it: large, and changed by nobody.
    pub linked: Vec<String>,
}

/// A root folder, which is removed with the value.
#[derive(Debug)]
pub struct Root {
    folder: Option<TempDir>,
    path: PathBuf,
    /// Files that were copied here, which the server has not made.
    copied: BTreeMap<String, LeftFile>,
}

impl Root {
    /// A fresh folder with what stands there before the start; `web` is where the web client lies in it, `template` what
    /// it begins as; `lasts` says that it is to be kept.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn prepare(
        beginning: Beginning<'_>,
        web: &str,
        template: Option<&Template>,
        time: Timestamp,
        lasts: bool,
    ) -> Result<Self, TargetError> {
        let parent = if !lasts && in_memory_fits() {
            PathBuf::from(MEMORY)
        } else {
            std::env::temp_dir()
        };
        let folder = temporary_folder(&parent)?;
        let path = folder.path().join(ROOT);
        let mut root = Self {
            folder: Some(folder),
            path: path.clone(),
            copied: BTreeMap::new(),
        };
        write(&path, ".", None, time)?;
        if let Some(template) = template {
            copy(template, &path).map_err(|(path, source)| TargetError::File { path, source })?;
            root.copied = files::under(&path, Path::new(""))
                .map_err(|(path, source)| TargetError::File { path, source })?;
        }
        let web = path.join(web);
        write(&web, "index.html", Some(INDEX.as_bytes()), time)?;
        write(&web, "assets/app.js", Some(SCRIPT.as_bytes()), time)?;
        for (path, bytes) in beginning.files {
            root.place_file(path, bytes, time)?;
        }
        for (path, source) in &beginning.scenario.files {
            place(&root.path, path, source)?;
        }
        Ok(root)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder beside it, for what is no part of it.
    pub fn beside(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Leaves the folder where it is.
    pub fn keep(&mut self) -> PathBuf {
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
        self.path.clone()
    }

    /// Every table and every file as they are now.
    ///
    /// # Errors
    /// If the database or a file cannot be read.
    pub async fn left(&self, database: &Path) -> Result<Left, TargetError> {
        let unreadable = |source: sqlx::Error| TargetError::Database(source.to_string());
        let tables = database::tables(database).await.map_err(unreadable)?;
        let mut files = files::under(&self.path, database)
            .map_err(|(path, source)| TargetError::File { path, source })?;
        files.retain(|name, file| self.copied.get(name) != Some(file));
        for (name, file) in &mut files {
            // Its bytes follow the version of SQLite, what stands in it does not.
            if file.is_database {
                let tables = database::tables(&self.path.join(name))
                    .await
                    .map_err(unreadable)?;
                file.content = Some(Body::Json(json!(tables)));
            }
        }
        Ok(Left { tables, files })
    }

    /// Adds the keys that lie here now to those that are known. One that cannot be read is none: whoever signs with it
    /// shows that.
    pub fn add_keys(&self, keys: &mut Keys) {
        for path in files::all(&self.path).unwrap_or_default() {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if ![TOKEN_KEY, SEALING_KEY].contains(&name) {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            if name == SEALING_KEY {
                add(&mut keys.own_sealing_keys, text);
            } else if let Ok(key) = SigningKey::from_pkcs8_pem(&text) {
                add(&mut keys.token_keys, key.verifying_key());
            }
        }
    }

    /// Writes a file, stamped with `time`.
    ///
    /// # Errors
    /// If the path leads out of the root or cannot be written.
    pub fn place_file(&self, path: &str, bytes: &[u8], time: Timestamp) -> Result<(), TargetError> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside || path.is_empty() {
            return Err(TargetError::Outside(path.to_owned()));
        }
        write(&self.path, path, Some(bytes), time)
    }
}

/// Whether roots may lie in memory: nobody says that temporary files belong elsewhere, and there is room for files that may
/// be programs.
fn in_memory_fits() -> bool {
    let room = |state: StatVfs| {
        let programs = !state.f_flag.contains(StatVfsMountFlags::NOEXEC);
        programs && state.f_bavail.saturating_mul(state.f_frsize) >= FREE_MEMORY
    };
    std::env::temp_dir() == Path::new(USUAL_FOLDER) && rustix::fs::statvfs(MEMORY).is_ok_and(room)
}

/// A fresh folder in `parent`, named so that the root in it has a path of its length.
fn temporary_folder(parent: &Path) -> Result<TempDir, TargetError> {
    let length = |parent: &Path| parent.join(PREFIX).join(ROOT).as_os_str().len();
    let parents = [parent, Path::new(USUAL_FOLDER)];
    let fits = |parent: &&&Path| length(parent) + FEWEST_RANDOM <= ROOT_LENGTH;
    let parent = parents.iter().find(fits).unwrap_or(&parent);
    tempfile::Builder::new()
        .prefix(PREFIX)
        .rand_bytes(ROOT_LENGTH.saturating_sub(length(parent)).max(FEWEST_RANDOM))
        .tempdir_in(parent)
        .map_err(|source| TargetError::File {
            path: format!("a temporary folder in {}", parent.display()),
            source,
        })
}

/// Adds what is not there yet.
fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// Copies a folder with all that is in it; links stay links.
fn copy(template: &Template, to: &Path) -> Result<(), files::Unreadable> {
    let from = template.folder.as_path();
    let is_linked = |path: &Path| template.linked.iter().any(|linked| path.starts_with(linked));
    for linked in &template.linked {
        let target = to.join(linked);
        let make = |parent: &Path| std::fs::create_dir_all(parent);
        let made = target.parent().map_or(Ok(()), make);
        made.and_then(|()| std::path::absolute(from.join(linked)))
            .and_then(|source| std::os::unix::fs::symlink(source, &target))
            .map_err(|error| (linked.clone(), error))?;
    }
    for source in files::all(from)? {
        let wrong = |error| (source.display().to_string(), error);
        let inner = source.strip_prefix(from).unwrap_or(&source);
        if is_linked(inner) {
            continue;
        }
        let target = to.join(inner);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(wrong)?;
        }
        if source.is_symlink() {
            std::fs::read_link(&source)
                .and_then(|link| std::os::unix::fs::symlink(link, &target))
                .map_err(wrong)?;
        } else {
            std::fs::copy(&source, &target).map_err(wrong)?;
        }
    }
    Ok(())
}

/// Makes a link, or gives a file that was written its mode.
fn place(root: &Path, path: &str, source: &FileSource) -> Result<(), TargetError> {
    let target = root.join(path);
    let placed = match source {
        FileSource::Link(to) => target
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::os::unix::fs::symlink(to, &target)),
        FileSource::Mode(_, mode) => {
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(*mode))
        }
        _ => Ok(()),
    };
    placed.map_err(|source| TargetError::File {
        path: path.to_owned(),
        source,
    })
}

fn write(folder: &Path, path: &str, bytes: Option<&[u8]>, time: Timestamp) -> Result<(), TargetError> {
    let target = folder.join(path);
    let wrong = |source| TargetError::File {
        path: path.to_owned(),
        source,
    };
    let Some(bytes) = bytes else {
        return std::fs::create_dir_all(folder).map_err(wrong);
    };
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(wrong)?;
    }
    let is_new = !target.exists();
    std::fs::write(&target, bytes).map_err(wrong)?;
    if is_new {
        // As where it was recorded, whatever files are usually made for by whoever runs this.
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(USUAL_MODE)).map_err(wrong)?;
    }
    let since_epoch = Duration::from_micros(u64::try_from(time.as_microsecond()).unwrap_or(0));
    let file = std::fs::File::options()
        .write(true)
        .open(&target)
        .map_err(wrong)?;
    file.set_modified(SystemTime::UNIX_EPOCH + since_epoch)
        .map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::model::Scenario;

    #[test]
    fn the_roots_path_is_of_one_length_wherever_temporary_files_lie() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let long = parent.path().join("a".repeat(ROOT_LENGTH));
        std::fs::create_dir(&long).unwrap();
        for parent in [Path::new("/tmp"), Path::new("/tmp/"), parent.path(), &long] {
            let folder = temporary_folder(parent).unwrap();
            let root = folder.path().join(ROOT);
            assert_eq!(root.as_os_str().len(), ROOT_LENGTH, "{}", root.display());
        }
    }

    #[tokio::test]
    async fn what_was_copied_and_left_alone_is_not_what_the_server_left() {
        let checkout = tempfile::tempdir().unwrap();
        std::fs::create_dir(checkout.path().join("code")).unwrap();
        for (path, text) in [("code/server.py", "x"), ("settings.json", "{}")] {
            std::fs::write(checkout.path().join(path), text).unwrap();
        }
        std::os::unix::fs::symlink("server.py", checkout.path().join("code/main.py")).unwrap();
        std::fs::create_dir_all(checkout.path().join("code/.venv/bin")).unwrap();
        std::fs::write(checkout.path().join("code/.venv/bin/python"), "p").unwrap();
        let template = Template {
            folder: checkout.path().to_owned(),
            linked: vec!["code/.venv".to_owned()],
        };
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n  - get: /\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let beginning = Beginning {
            scenario: &scenario,
            files: &[("a.txt".to_owned(), b"a".to_vec())],
            github: "",
        };
        let root = Root::prepare(beginning, WEB, Some(&template), Timestamp::UNIX_EPOCH, false).unwrap();
        std::fs::write(root.path().join("settings.json"), "{\"changed\": 1}").unwrap();
        let database = root.path().join("database.db");
        std::fs::write(&database, "").unwrap();
        let left = root.left(&database).await.unwrap();
        let names: Vec<_> = left.files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "Data/web-interface/build/assets/app.js",
                "Data/web-interface/build/index.html",
                "a.txt",
                "settings.json"
            ]
        );
        assert!(root.path().join("code/main.py").is_symlink());
        assert!(root.path().join("code/.venv").is_symlink());
        let linked = std::fs::read_to_string(root.path().join("code/.venv/bin/python"));
        assert_eq!(linked.unwrap(), "p");
        assert!(matches!(
            root.place_file("../x", b"", Timestamp::UNIX_EPOCH),
            Err(TargetError::Outside(_))
        ));
    }
}
