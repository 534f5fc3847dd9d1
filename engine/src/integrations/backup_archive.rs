//! The archive of a whole server: a tar of the database, the keys and the assemblies, and behind them a list of all with
//! their digests. Without that list, or with anything that it does not say, an archive is not whole.
//!
//! Long because the form is written and read in one place.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::private_files::{FILE_MODE, make_folders, private};

/// The name of the list, which is the archive's last entry.
const LIST: &str = "borealis-backup.json";
/// The version of the archive's form.
const FORMAT: u32 = 1;
/// Why nothing came of it when nobody waits any more.
const STOPPED: &str = "stopped";
/// A longer list is none: a million files need less.
const LONGEST_LIST: u64 = 512 * 1024 * 1024;

/// The name of the database in it.
pub const DATABASE: &str = "database.db";
/// What the names of assemblies begin with.
pub const ASSEMBLIES: &str = "assemblies";

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{what}: {source}")]
    File {
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is none, or not whole, or of another version.
    #[error("{0}")]
    Unusable(String),
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> ArchiveError {
    let what = what.into();
    |source| ArchiveError::File { what, source }
}

fn unusable<T>(text: impl Into<String>) -> Result<T, ArchiveError> {
    Err(ArchiveError::Unusable(text.into()))
}

#[derive(Debug, Deserialize, Serialize)]
struct List {
    format: u32,
    /// The version of the server that wrote it.
    server: String,
    /// By name.
    entries: BTreeMap<String, Listed>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Listed {
    File { bytes: u64, sha256: String },
    Folder,
    Link(String),
}

/// What goes into an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// Its name in the archive; of a folder, what the names of all in it begin with.
    pub name: String,
    pub path: PathBuf,
}

/// What went into an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// How many files.
    pub files: usize,
    /// What holds nothing that could be kept: pipes, sockets, devices.
    pub left_out: Vec<PathBuf>,
}

/// Writes what there is of `sources` into a file. `goes_on` is asked before each entry, and while one is read.
///
/// # Errors
/// Something cannot be read, or the archive not be written; what is in it then is worth nothing.
pub fn write(
    archive: &File,
    sources: &[Source],
    goes_on: impl Fn() -> bool,
) -> Result<Written, ArchiveError> {
    let mut writer = Writer {
        builder: Builder::new(io::BufWriter::new(archive)),
        entries: BTreeMap::new(),
        left_out: Vec::new(),
        goes_on: &goes_on,
    };
    for source in sources {
        // What the settings name may be a link itself; what is below it is kept as it is.
        match fs::metadata(&source.path) {
            Ok(found) if found.is_dir() => writer.folder(&source.name, &source.path)?,
            Ok(found) if found.is_file() => writer.file(&source.name, &source.path)?,
            Ok(_) => writer.left_out.push(source.path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(cannot_read(&source.path))(error)),
        }
    }
    writer.finish()
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// How files are opened: a pipe that has taken a file's place keeps nobody waiting.
#[allow(clippy::cast_possible_wrap, reason = "the form that the system's call takes")]
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// `None` of what was removed since it was listed: assemblies are edited while they are copied.
fn unless_gone<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

struct Writer<'a, W: Write> {
    builder: Builder<W>,
    entries: BTreeMap<String, Listed>,
    left_out: Vec<PathBuf>,
    goes_on: &'a dyn Fn() -> bool,
}

impl<W: Write> Writer<'_, W> {
    fn file(&mut self, name: &str, path: &Path) -> Result<(), ArchiveError> {
        let cannot = || cannot_read(path);
        let file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(NONBLOCK)
            .open(path);
        let Some(file) = unless_gone(file).map_err(failed(cannot()))? else {
            return Ok(());
        };
        let found = file.metadata().map_err(failed(cannot()))?;
        if !found.is_file() {
            self.left_out.push(path.to_owned());
            return Ok(());
        }
        let bytes = found.len();
        let mut header = header(EntryType::Regular, found.permissions().mode(), bytes);
        // A file that grows meanwhile is kept as long as it was; one that shrinks is an error.
        let mut hashing = Hashing::new(Interruptible {
            inner: file.take(bytes),
            goes_on: self.goes_on,
        });
        self.builder
            .append_data(&mut header, name, &mut hashing)
            .map_err(failed(format!("cannot copy {}", path.display())))?;
        let (read, sha256) = hashing.finish();
        if read != bytes {
            return unusable(format!("{} changed while it was read: try again", path.display()));
        }
        self.entries
            .insert(name.to_owned(), Listed::File { bytes, sha256 });
        Ok(())
    }

    fn folder(&mut self, name: &str, path: &Path) -> Result<(), ArchiveError> {
        let cannot = || cannot_read(path);
        let Some(found) = unless_gone(fs::metadata(path)).map_err(failed(cannot()))? else {
            return Ok(());
        };
        let mode = found.permissions().mode();
        self.builder
            .append_data(&mut header(EntryType::Directory, mode, 0), name, io::empty())
            .map_err(failed("cannot write the archive"))?;
        self.entries.insert(name.to_owned(), Listed::Folder);
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        // One that is gone by now is kept as the empty one that it was at last.
        let mut entries = unless_gone(entries)
            .map_err(failed(cannot()))?
            .unwrap_or_default();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if !(self.goes_on)() {
                return unusable(STOPPED);
            }
            let path = entry.path();
            let Ok(below) = entry.file_name().into_string() else {
                return unusable(format!(
                    "the name of {} is not written in UTF-8: rename it",
                    path.display()
                ));
            };
            let name = format!("{name}/{below}");
            let kind = unless_gone(entry.file_type()).map_err(failed(cannot_read(&path)))?;
            let Some(kind) = kind else { continue };
            if kind.is_symlink() {
                self.link(&name, &path)?;
            } else if kind.is_dir() {
                self.folder(&name, &path)?;
            } else if kind.is_file() {
                self.file(&name, &path)?;
            } else {
                // To open a pipe would wait for somebody who writes into it.
                self.left_out.push(path);
            }
        }
        Ok(())
    }

    fn link(&mut self, name: &str, path: &Path) -> Result<(), ArchiveError> {
        let target = unless_gone(fs::read_link(path)).map_err(failed(cannot_read(path)))?;
        let Some(target) = target else { return Ok(()) };
        let Some(text) = target.to_str() else {
            return unusable(format!(
                "{} leads to a name that is not written in UTF-8",
                path.display()
            ));
        };
        self.builder
            .append_link(&mut header(EntryType::Symlink, 0o777, 0), name, &target)
            .map_err(failed("cannot write the archive"))?;
        self.entries
            .insert(name.to_owned(), Listed::Link(text.to_owned()));
        Ok(())
    }

    fn finish(mut self) -> Result<Written, ArchiveError> {
        let files = self
            .entries
            .values()
            .filter(|entry| matches!(entry, Listed::File { .. }));
        let files = files.count();
        let list = List {
            format: FORMAT,
            server: env!("CARGO_PKG_VERSION").to_owned(),
            entries: self.entries,
        };
        let text =
            serde_json::to_vec_pretty(&list).map_err(|error| ArchiveError::Unusable(error.to_string()))?;
        let cannot = || failed("cannot write the archive");
        self.builder
            .append_data(
                &mut header(EntryType::Regular, FILE_MODE, text.len() as u64),
                LIST,
                text.as_slice(),
            )
            .map_err(cannot())?;
        self.builder
            .into_inner()
            .and_then(|mut inner| inner.flush())
            .map_err(cannot())?;
        Ok(Written {
            files,
            left_out: self.left_out,
        })
    }
}

fn header(kind: EntryType, mode: u32, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o777);
    header.set_size(bytes);
    header
}

/// Reads as long as it goes on.
struct Interruptible<'a, R> {
    inner: R,
    goes_on: &'a dyn Fn() -> bool,
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.goes_on)() {
            self.inner.read(buffer)
        } else {
            Err(io::Error::other(STOPPED))
        }
    }
}

struct Hashing<R> {
    inner: R,
    bytes: u64,
    digest: Sha256,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            bytes: 0,
            digest: Sha256::new(),
        }
    }

    fn finish(self) -> (u64, String) {
        let digest = self.digest.finalize();
        (
            self.bytes,
            digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        )
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Where something of an archive is put.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destination {
    /// Nothing is made of it where there is none; it is read all the same.
    pub path: Option<PathBuf>,
    /// Whether it has the mode that it had: assemblies are no secrets. Everything else is for its owner alone.
    pub keeps_mode: bool,
}

/// Puts everything of an archive where `place` says and sees to it that it is whole. `goes_on` is asked before each
/// entry. Only new files and folders are made, and nothing is written through a link.
///
/// # Errors
/// It is not whole, or something in it has no place; what was put somewhere until then is worth nothing.
pub fn extract(
    archive: File,
    place: impl Fn(&str) -> Option<Destination>,
    goes_on: impl Fn() -> bool,
) -> Result<(), ArchiveError> {
    let broken = || failed("the archive cannot be read; it is no backup of a server, or not whole");
    let mut archive = Archive::new(io::BufReader::new(archive));
    let mut found: BTreeMap<String, Listed> = BTreeMap::new();
    let mut links = Vec::new();
    let mut modes = Vec::new();
    let mut list = None;
    for entry in archive.entries().map_err(broken())? {
        if !goes_on() {
            return unusable(STOPPED);
        }
        let entry = entry.map_err(broken())?;
        if list.is_some() {
            return unusable("the archive goes on behind its list of files: it was changed");
        }
        let name = name_of(&entry.path().map_err(broken())?)?;
        if name == LIST {
            list = Some(read_list(entry)?);
            continue;
        }
        let Some(destination) = place(&name) else {
            return unusable(format!(
                "the archive holds {name}, which this version of the server does not know: was it written by a newer one?"
            ));
        };
        let mode = entry.header().mode().map_err(broken())?;
        let listed = match entry.header().entry_type() {
            EntryType::Directory => {
                if let Some(path) = &destination.path {
                    make_folders(path).map_err(failed(cannot_write(path)))?;
                    if destination.keeps_mode {
                        modes.push((path.clone(), mode & 0o777));
                    }
                }
                Listed::Folder
            }
            EntryType::Symlink => {
                let target = entry
                    .link_name()
                    .map_err(broken())?
                    .unwrap_or_default()
                    .into_owned();
                let text = target.to_string_lossy().into_owned();
                links.extend(destination.path.map(|path| (target, path)));
                Listed::Link(text)
            }
            EntryType::Regular => put(entry, &destination, mode)?,
            _ => {
                return unusable(format!(
                    "the archive holds {name}, which is neither file, folder nor link"
                ));
            }
        };
        if found.insert(name.clone(), listed).is_some() {
            return unusable(format!("the archive holds {name} twice"));
        }
    }
    let Some(list) = list else {
        return unusable(
            "the archive has no list of its files: it is no backup of a server, or was cut short",
        );
    };
    compare(&list, &found)?;
    for (target, path) in links {
        symlink(target, &path).map_err(failed(cannot_write(&path)))?;
    }
    // The inner ones first, and all of them last: some may not be written into.
    for (path, mode) in modes.into_iter().rev() {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(&path, permissions).map_err(failed(cannot_write(&path)))?;
    }
    Ok(())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// The name of an entry, if it leads nowhere else.
fn name_of(path: &Path) -> Result<String, ArchiveError> {
    let leads_on = path.components().all(|part| matches!(part, Component::Normal(_)));
    match path.to_str() {
        Some(name) if leads_on => Ok(name.trim_end_matches('/').to_owned()),
        _ => unusable(format!(
            "the archive holds {}, which is no name of a file in it",
            path.display()
        )),
    }
}

fn read_list(entry: impl Read) -> Result<List, ArchiveError> {
    let mut text = Vec::new();
    entry
        .take(LONGEST_LIST)
        .read_to_end(&mut text)
        .map_err(failed("the archive's list cannot be read"))?;
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    match serde_json::from_slice(&text) {
        Ok(Version { format: FORMAT }) => {}
        Ok(Version { format }) => {
            return unusable(format!(
                "the archive has format {format}, and this version of the server reads {FORMAT}: use the version that wrote it"
            ));
        }
        Err(error) => return unusable(format!("the archive's list cannot be read: {error}")),
    }
    serde_json::from_slice(&text)
        .or_else(|error| unusable(format!("the archive's list cannot be read: {error}")))
}

fn put(entry: impl Read, destination: &Destination, mode: u32) -> Result<Listed, ArchiveError> {
    let mut hashing = Hashing::new(entry);
    let Some(path) = &destination.path else {
        io::copy(&mut hashing, &mut io::sink()).map_err(failed("the archive cannot be read"))?;
        let (bytes, sha256) = hashing.finish();
        return Ok(Listed::File { bytes, sha256 });
    };
    let cannot = || failed(cannot_write(path));
    if let Some(folder) = path.parent() {
        make_folders(folder).map_err(failed(cannot_write(folder)))?;
    }
    let mut options = private();
    options.write(true).create_new(true);
    if destination.keeps_mode {
        options.mode(mode & 0o777);
    }
    let mut file = options.open(path).map_err(cannot())?;
    io::copy(&mut hashing, &mut file).map_err(cannot())?;
    if destination.keeps_mode {
        // Whatever the process takes from what it makes.
        let permissions = fs::Permissions::from_mode(mode & 0o777);
        file.set_permissions(permissions).map_err(cannot())?;
    }
    file.sync_all().map_err(cannot())?;
    let (bytes, sha256) = hashing.finish();
    Ok(Listed::File { bytes, sha256 })
}

fn compare(list: &List, found: &BTreeMap<String, Listed>) -> Result<(), ArchiveError> {
    for (name, listed) in &list.entries {
        match found.get(name) {
            Some(there) if there == listed => {}
            Some(_) => {
                return unusable(format!(
                    "{name} in the archive is not what was put there: it is damaged"
                ));
            }
            None => return unusable(format!("{name} is missing in the archive: it is not whole")),
        }
    }
    match found.keys().find(|name| !list.entries.contains_key(*name)) {
        Some(name) => unusable(format!(
            "{name} is in the archive, but not in its list: it was changed"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_since_it_was_listed_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer {
            builder: Builder::new(Vec::new()),
            entries: BTreeMap::new(),
            left_out: Vec::new(),
            goes_on: &|| true,
        };
        let gone = folder.path().join("gone");
        writer.file("file", &gone).unwrap();
        writer.folder("folder", &gone).unwrap();
        writer.link("link", &gone).unwrap();
        assert!(writer.entries.is_empty());
        assert_eq!(writer.finish().unwrap().files, 0);
    }

    #[test]
    fn one_that_nobody_waits_for_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assemblies");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("script"), "text").unwrap();
        let archive = File::create(folder.path().join("all.tar")).unwrap();
        for (path, asked) in [(path.join("script"), 0), (path, 1)] {
            let source = Source {
                name: ASSEMBLIES.to_owned(),
                path,
            };
            let left = std::cell::Cell::new(asked);
            let goes_on = || left.replace(0) > 0;
            let told = write(&archive, &[source], goes_on).unwrap_err();
            let told = format!("{told:?}");
            assert!(told.contains(STOPPED), "{told}");
        }
    }
}
