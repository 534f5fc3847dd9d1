//! Scripts, workflows and playbooks on disk. Every call looks at the disk: people change files by hand.
//!
//! Long because it is one service with every operation on a file.

mod deprecated;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::{Timestamp, tz::TimeZone};

pub use self::deprecated::{Deprecated, DeprecatedError};
use super::{Environment, audit};
pub use crate::integrations::assembly_files::FileError;
use crate::{
    builders::assemblies::{
        AssemblyChange, AssemblyFormError, AssemblyMove, AssemblyPath, AssemblyRename, NewAssembly,
        NewContent,
    },
    config::settings::AccessPolicy,
    domain::{
        assembly::{
            document::{Document, Heading, LoadedDocument, listed, load, normalize, parse},
            location::{
                EntryKind, Island, IslandPath, document_name, edited_name, is_json, renamed_file,
                renamed_folder, stem,
            },
            workflow,
        },
        json::{Json, JsonObject},
        json_text::indented_text,
        mask::shown,
        scheduled_jobs::uses_stored_credential,
    },
    integrations::assembly_files::{AssemblyFiles, Found, Kept, Known, Rewrite},
    repositories::{Store, StoreError},
    services::scheduled_jobs::JobAuthor,
};

/// Reads assemblies for whoever runs them.
#[derive(Clone, Debug)]
pub struct AssemblyLibrary {
    files: AssemblyFiles,
}

impl AssemblyLibrary {
    pub fn new(files: AssemblyFiles) -> Self {
        Self { files }
    }

    /// The document at a path, with the type it has where it names none; `None` where there is no such file, or a link
    /// leads out of the island (ASM-4).
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub async fn load(
        &self,
        island: Island,
        path: &IslandPath,
        default_kind: &str,
    ) -> io::Result<Option<LoadedDocument>> {
        match self.load_checked(island, path, default_kind).await {
            Err(FileError::Outside) => Ok(None),
            Err(FileError::System { source, .. }) => Err(source),
            loaded => loaded.map_err(io::Error::other),
        }
    }

    /// As [`AssemblyLibrary::load`], but a link that leads out of the island is told apart.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn load_checked(
        &self,
        island: Island,
        path: &IslandPath,
        default_kind: &str,
    ) -> Result<Option<LoadedDocument>, FileError> {
        let Some(bytes) = self.files.read(island, path).await? else {
            return Ok(None);
        };
        let loaded = load(path.file_name(), &bytes, default_kind);
        if loaded.damaged {
            tracing::warn!(
                island = island.folder(),
                path = %shown(&path.text()),
                "an assembly is no readable document"
            );
        }
        Ok(Some(loaded))
    }

    /// The folder of all islands, by which paths are read.
    pub fn root(&self) -> &Path {
        self.files.root()
    }

    /// Where a path lies on disk.
    pub fn place(&self, island: Island, path: &IslandPath) -> PathBuf {
        self.files.place(island, path)
    }
}

/// Why assemblies are not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// There is no such file.
    #[error("file not found")]
    FileNotFound,
    /// There is no such folder.
    #[error("folder not found")]
    FolderNotFound,
    /// What was to be renamed or moved is the island itself (ASM-3).
    #[error("the island itself cannot be changed")]
    IslandItself,
    /// A new name is none.
    #[error("invalid destination")]
    InvalidDestination,
    /// What the file is to hold is nothing that it could.
    #[error(transparent)]
    Content(#[from] AssemblyFormError),
    /// The caller may not write this: a run that logs in with a stored credential may have it.
    #[error("forbidden")]
    Forbidden,
    #[error(transparent)]
    File(FileError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AssemblyError {
    /// Why an island itself is neither renamed nor moved: it is no file, and no folder of its own (ASM-3).
    fn of_the_island(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::FileNotFound,
            EntryKind::Folder => Self::IslandItself,
        }
    }

    fn of(kind: EntryKind) -> impl Fn(FileError) -> Self {
        move |error| match (error, kind) {
            (FileError::Missing, EntryKind::File) => Self::FileNotFound,
            (FileError::Missing, EntryKind::Folder) => Self::FolderNotFound,
            (FileError::Kept, _) => Self::Forbidden,
            (error, _) => Self::File(error),
        }
    }
}

/// What a list shows of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum About {
    Workflow {
        tab_name: String,
    },
    /// A script or playbook.
    Document(Heading),
}

/// A file of an island.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedAssembly {
    pub file_name: String,
    pub path: String,
    pub about: About,
    /// When it was changed: the server's local time, without its zone.
    pub last_edited: String,
    /// The same in seconds.
    pub last_edited_epoch: f64,
}

/// What lies in an island.
#[derive(Clone, Debug, PartialEq)]
pub struct AssemblyListing {
    /// The island's folder.
    pub root: PathBuf,
    pub folders: Vec<String>,
    /// What was changed last first.
    pub items: Vec<ListedAssembly>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadedAssembly {
    /// Its JSON as it is.
    Workflow(Json),
    /// A script or playbook.
    Document {
        path: IslandPath,
        document: Box<Document>,
    },
}

/// Shows and changes assemblies.
#[derive(Debug)]
pub struct AssemblyService {
    files: AssemblyFiles,
    library: AssemblyLibrary,
    store: Arc<dyn Store>,
    environment: Environment,
    policy: AccessPolicy,
    zone: TimeZone,
    /// What lists show of files that have not changed, of each island.
    known: [Arc<Known<About>>; 3],
}

impl AssemblyService {
    /// Over these files. A strict `policy` asks `store` which of them jobs with stored credentials run; `zone` is the
    /// server's own.
    pub fn new(
        files: AssemblyFiles,
        store: Arc<dyn Store>,
        environment: Environment,
        policy: AccessPolicy,
        zone: TimeZone,
    ) -> Self {
        Self {
            library: AssemblyLibrary::new(files.clone()),
            files,
            store,
            environment,
            policy,
            zone,
            known: Default::default(),
        }
    }

    /// The folder of all islands, by which paths are read.
    pub fn root(&self) -> &Path {
        self.files.root()
    }

    /// What is done before anything is asked.
    pub async fn prepare(&self) {
        self.files.remove_unfinished().await;
    }

    /// What lies in an island; its folder is made where it is not there.
    ///
    /// # Errors
    /// [`AssemblyError`]
    pub async fn list(&self, island: Island) -> Result<AssemblyListing, AssemblyError> {
        let is_listed = move |name: &str| is_listed(island, name);
        let describe = move |name: &str, bytes: &[u8]| {
            if island == Island::Workflows {
                About::Workflow {
                    tab_name: workflow::tab_name(&parse(bytes).unwrap_or_default()),
                }
            } else {
                About::Document(listed(island, name, bytes))
            }
        };
        let [workflows, scripts, playbooks] = &self.known;
        let known = match island {
            Island::Workflows => workflows,
            Island::Scripts => scripts,
            Island::Playbooks => playbooks,
        };
        let listing = self
            .files
            .list(island, is_listed, describe, Arc::clone(known))
            .await;
        let mut listing = listing.map_err(AssemblyError::of(EntryKind::Folder))?;
        listing.files.sort_by(|one, other| {
            let newest_first = other.modified.cmp(&one.modified);
            newest_first.then_with(|| one.path.cmp(&other.path))
        });
        Ok(AssemblyListing {
            root: self.files.folder(island),
            folders: listing.folders,
            items: listing.files.into_iter().map(|found| self.item(found)).collect(),
        })
    }

    fn item(&self, found: Found<About>) -> ListedAssembly {
        let (seconds, nanoseconds) = found.modified;
        // Python counts in microseconds here.
        let microseconds = seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanoseconds.saturating_add(500) / 1000);
        let changed = Timestamp::from_microsecond(microseconds).unwrap_or_default();
        ListedAssembly {
            file_name: found.file_name,
            path: found.path,
            about: found.about,
            last_edited: changed
                .to_zoned_datetime(self.zone.clone())
                .strftime("%Y-%m-%dT%H:%M:%S")
                .to_string(),
            #[allow(
                clippy::cast_precision_loss,
                reason = "the legacy's number, which is no more precise"
            )]
            last_edited_epoch: seconds as f64 + 1e-9 * nanoseconds as f64,
        }
    }

    /// A file. What cannot be read as JSON shows as empty.
    ///
    /// # Errors
    /// [`AssemblyError`]
    pub async fn load(&self, at: &AssemblyPath) -> Result<LoadedAssembly, AssemblyError> {
        let failed = AssemblyError::of(EntryKind::File);
        if at.island == Island::Workflows {
            let bytes = self.files.read(at.island, &at.path).await.map_err(failed)?;
            let bytes = bytes.ok_or(AssemblyError::FileNotFound)?;
            let workflow = parse(&bytes).unwrap_or_else(|| Json::Object(JsonObject::new()));
            return Ok(LoadedAssembly::Workflow(workflow));
        }
        let loaded = self
            .library
            .load_checked(at.island, &at.path, default_kind(at.island))
            .await
            .map_err(failed)?
            .ok_or(AssemblyError::FileNotFound)?;
        Ok(LoadedAssembly::Document {
            path: at.path.clone(),
            document: Box::new(loaded.document),
        })
    }

    /// Makes a folder, or stores a new file and says where; one that is there is replaced (ASM-9).
    ///
    /// # Errors
    /// [`AssemblyError`]; nothing was written then.
    pub async fn create(
        &self,
        author: &JobAuthor,
        new: NewAssembly,
    ) -> Result<Option<IslandPath>, AssemblyError> {
        let NewAssembly {
            island,
            path,
            content,
        } = new;
        let kept = self.kept(author, island).await?;
        let Some(content) = content else {
            let made = self.files.make_folder(island, path.clone()).await;
            made.map_err(AssemblyError::of(EntryKind::Folder))?;
            changed("assembly.folder_created", island, &path);
            return Ok(None);
        };
        let path = path
            .renamed(document_name(path.file_name()))
            .ok_or(AssemblyError::IslandItself)?;
        let base_name = stem(path.file_name());
        let text = match content {
            NewContent::Workflow(members) => {
                indented_text(&Json::Object(workflow::seeded(members, base_name)))
            }
            NewContent::Document {
                members,
                default_kind,
            } => indented_text(&normalize(&members, &default_kind, base_name).stored()),
        };
        let stored = self
            .files
            .store(island, path.clone(), text, self.now(), kept)
            .await;
        stored.map_err(AssemblyError::of(EntryKind::File))?;
        changed("assembly.created", island, &path);
        Ok(Some(path))
    }

    /// Replaces a file's content and says where it lies now: a text becomes a document (ASM-18).
    ///
    /// # Errors
    /// [`AssemblyError`]; nothing was written then.
    pub async fn edit(
        &self,
        author: &JobAuthor,
        change: AssemblyChange,
    ) -> Result<IslandPath, AssemblyError> {
        let AssemblyChange {
            island,
            path,
            content,
        } = change;
        let there = self.files.find(island, path.clone(), EntryKind::File).await;
        there.map_err(AssemblyError::of(EntryKind::File))?;
        let content = content?;
        let kept = self.kept(author, island).await?;
        let name = edited_name(path.file_name());
        let edited = path.renamed(name.clone()).ok_or(AssemblyError::FileNotFound)?;
        let text = match content {
            NewContent::Workflow(members) => indented_text(&Json::Object(members)),
            NewContent::Document {
                members,
                default_kind,
            } => indented_text(&normalize(&members, &default_kind, stem(&name)).stored()),
        };
        let now = self.now();
        let replaced = self.files.replace(island, path, name, text, now, kept).await;
        replaced.map_err(AssemblyError::of(EntryKind::File))?;
        changed("assembly.changed", island, &edited);
        Ok(edited)
    }

    /// Gives a file or folder another name in its folder and says where it lies now.
    ///
    /// # Errors
    /// [`AssemblyError`]; nothing was changed then.
    pub async fn rename(
        &self,
        author: &JobAuthor,
        rename: AssemblyRename,
    ) -> Result<IslandPath, AssemblyError> {
        let AssemblyRename { at, kind, new_name } = rename;
        let AssemblyPath { island, path } = at;
        if path.is_root() {
            return Err(AssemblyError::of_the_island(kind));
        }
        let kept = self.kept(author, island).await?;
        let there = self.files.find(island, path.clone(), kind).await;
        there.map_err(AssemblyError::of(kind))?;
        let name = match kind {
            EntryKind::File => renamed_file(path.file_name(), &new_name),
            EntryKind::Folder => renamed_folder(self.root(), island, &path, &new_name),
        };
        let name = name.ok_or(AssemblyError::InvalidDestination)?;
        let renamed = path.renamed(name.clone()).ok_or(AssemblyError::IslandItself)?;
        let rewrite: Option<(Box<Rewrite>, SystemTime)> = (island == Island::Workflows).then(|| {
            let base_name = stem(&name).to_owned();
            let rewrite: Box<Rewrite> = Box::new(move |bytes: &[u8]| match parse(bytes) {
                Some(Json::Object(members)) => Some(indented_text(&Json::Object(workflow::renamed(
                    members, &base_name,
                )))),
                // What is no workflow stays as it is (ASM-12).
                _ => None,
            });
            (rewrite, self.now())
        });
        let done = self.files.rename(island, path, kind, name, rewrite, kept).await;
        done.map_err(AssemblyError::of(kind))?;
        changed("assembly.renamed", island, &renamed);
        Ok(renamed)
    }

    /// Moves a file or folder to a path, or into the folder that is there.
    ///
    /// # Errors
    /// [`AssemblyError`]; nothing was moved then, the folders above the target may be there.
    pub async fn relocate(&self, author: &JobAuthor, wanted: AssemblyMove) -> Result<(), AssemblyError> {
        let AssemblyMove { at, kind, to } = wanted;
        let AssemblyPath { island, path } = at;
        if path.is_root() {
            return Err(AssemblyError::of_the_island(kind));
        }
        let kept = self.kept(author, island).await?;
        let done = self.files.relocate(island, path, kind, to.clone(), kept).await;
        done.map_err(AssemblyError::of(kind))?;
        changed("assembly.moved", island, &to);
        Ok(())
    }

    /// Deletes a file, or a folder with all that is in it.
    ///
    /// # Errors
    /// [`AssemblyError`]; a folder may then be gone in part.
    pub async fn delete(
        &self,
        author: &JobAuthor,
        at: AssemblyPath,
        kind: EntryKind,
    ) -> Result<(), AssemblyError> {
        let AssemblyPath { island, path } = at;
        let kept = self.kept(author, island).await?;
        let done = self.files.delete(island, path.clone(), kind, kept).await;
        done.map_err(AssemblyError::of(kind))?;
        changed("assembly.deleted", island, &path);
        Ok(())
    }

    /// The scripts that this operator may not write: whoever may use no stored credential must not write what a job
    /// with one runs, nor any playbook.
    async fn kept(&self, author: &JobAuthor, island: Island) -> Result<Kept, AssemblyError> {
        if author.may_use_credentials || self.policy == AccessPolicy::Legacy {
            return Ok(Kept::default());
        }
        match island {
            Island::Workflows => Ok(Kept::default()),
            Island::Playbooks => {
                tracing::warn!(by = %shown(&author.name), "refused: playbooks are the admins'");
                Err(AssemblyError::Forbidden)
            }
            Island::Scripts => {
                let jobs = self.store.view().await?.list_jobs().await?;
                let with_credentials = jobs
                    .iter()
                    .filter(|job| uses_stored_credential(&job.execution_context, job.credential_id));
                Ok(Kept(
                    with_credentials
                        .flat_map(|job| job.script_paths(self.root()))
                        .collect(),
                ))
            }
        }
    }

    /// When a file is changed: what the clock shows, so that lists have changes in their order.
    fn now(&self) -> SystemTime {
        let microseconds = self.environment.clock.now().as_microsecond();
        SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
    }
}

fn changed(what: &'static str, island: Island, path: &IslandPath) {
    audit::changed(what, format_args!("{}/{}", island.folder(), path.text()));
}

/// The type of a document that names none.
fn default_kind(island: Island) -> &'static str {
    match island {
        Island::Playbooks => "ansible",
        Island::Workflows | Island::Scripts => "powershell",
    }
}

/// Whether lists show a file.
fn is_listed(island: Island, name: &str) -> bool {
    let ends_in = |endings: &[&str]| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    is_json(name)
        || match island {
            Island::Workflows => false,
            Island::Scripts => ends_in(&["ps1", "bat", "sh"]),
            Island::Playbooks => ends_in(&["yml"]),
        }
}
