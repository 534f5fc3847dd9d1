//! Roots to break, and both commands over them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown as change_owner},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use tempfile::TempDir;

use crate::testkit::{
    files::copy,
    process::{self, Started},
};

/// Who has no rights: `nobody`.
const NOBODY: u32 = 65534;

/// Where roots are made: a seed that is whole, and the program where everybody may run it.
pub(crate) struct Ground {
    folder: TempDir,
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn chown(path: &Path, user: u32) {
    change_owner(path, Some(user), Some(user)).unwrap();
}

/// Every file with its length and the time of its last change, and every folder. Nothing is opened: a process that
/// closes a file gives back its own locks on it.
fn everything(folder: &Path, found: &mut BTreeMap<PathBuf, Option<(u64, SystemTime)>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.insert(path.clone(), None);
            everything(&path, found);
        } else {
            found.insert(path, Some((metadata.len(), metadata.modified().unwrap())));
        }
    }
}

fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Option<(u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    everything(folder, &mut found);
    found
}

/// Whether the program is run as [`NOBODY`].
fn as_nobody() -> bool {
    rustix::process::geteuid().is_root()
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        chmod(folder.path(), 0o755);
        let ground = Self { folder };
        // The folder of the build may be closed to others.
        let built = env!("CARGO_BIN_EXE_borealis-engine");
        fs::hard_link(built, ground.program())
            .or_else(|_| fs::copy(built, ground.program()).map(drop))
            .unwrap();
        let seed = ground.folder.path().join("seed");
        fs::create_dir(&seed).unwrap();
        ground.give(&seed);
        process::start(ground.command(&seed, "serve", &[]))
            .serving()
            .stop();
        ground
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("borealis-engine")
    }

    pub(crate) fn is_root(&self) -> bool {
        as_nobody()
    }

    /// Gives everything below to the user that runs the program.
    pub(crate) fn give(&self, path: &Path) {
        if !as_nobody() {
            return;
        }
        chown(path, NOBODY);
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.give(&entry.unwrap().path());
            }
        }
    }

    /// A copy of the seed, broken.
    pub(crate) fn root(&self, make_broken: impl FnOnce(&Path)) -> TempDir {
        let root = tempfile::tempdir_in(self.folder.path()).unwrap();
        copy(&self.folder.path().join("seed"), root.path());
        self.give(root.path());
        make_broken(root.path());
        root
    }

    /// What is broken belongs to the same user again, unless it was made another's.
    fn broken(&self, make_broken: impl FnOnce(&Path)) -> TempDir {
        let root = self.root(make_broken);
        if as_nobody() {
            self.give_what_is_ours(root.path());
        }
        root
    }

    fn give_what_is_ours(&self, path: &Path) {
        use std::os::unix::fs::MetadataExt as _;

        let Ok(found) = fs::symlink_metadata(path) else {
            return;
        };
        if found.uid() == 0 {
            chown(path, NOBODY);
        }
        if found.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.give_what_is_ours(&entry.unwrap().path());
            }
        }
    }

    fn with_variables(command: &mut Command, root: &Path, variables: &[(&str, &str)]) {
        command
            .env_clear()
            .env("BOREALIS_ROOT", root)
            .env("BOREALIS_PORT", "0")
            .env("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9")
            .envs(variables.iter().copied())
            .current_dir("/");
    }

    pub(crate) fn command(&self, root: &Path, command: &str, variables: &[(&str, &str)]) -> Command {
        let mut program = Command::new(self.program());
        program.arg(command);
        Self::with_variables(&mut program, root, variables);
        if as_nobody() {
            program.uid(NOBODY).gid(NOBODY);
        }
        program
    }

    /// Runs both over a root that is broken so.
    pub(crate) fn both(
        &self,
        name: &str,
        variables: &[(&str, &str)],
        make_broken: impl FnOnce(&Path),
    ) -> Both {
        self.both_over(name, &self.broken(make_broken), variables)
    }

    /// Runs both over this root.
    pub(crate) fn both_over(&self, name: &str, root: &TempDir, variables: &[(&str, &str)]) -> Both {
        let before = snapshot(root.path());
        let check = run(self.command(root.path(), "check", variables));
        let after = snapshot(root.path());
        let changed: Vec<_> = before
            .keys()
            .chain(after.keys())
            .filter(|path| before.get(*path) != after.get(*path))
            // In use while somebody else is at work.
            .filter(|path| {
                let in_use = ["-shm", "engine.log"]
                    .iter()
                    .any(|end| path.to_string_lossy().ends_with(end));
                !(in_use && before.contains_key(*path) && after.contains_key(*path))
            })
            .collect();
        assert!(changed.is_empty(), "{name}: check left or changed {changed:?}");
        let both = Both {
            name: name.to_owned(),
            check,
            served: served(self.command(root.path(), "serve", variables)),
        };
        self.free(root.path());
        both
    }

    /// Lets the folder be removed, where the test runs without root's rights.
    fn free(&self, path: &Path) {
        let Ok(found) = fs::symlink_metadata(path) else {
            return;
        };
        if found.is_dir() {
            chmod(path, 0o755);
            for entry in fs::read_dir(path).unwrap() {
                self.free(&entry.unwrap().path());
            }
        }
    }

    /// Whether a test may mount something where nobody else sees it.
    pub(crate) fn can_mount(&self) -> bool {
        let tried = Command::new("unshare")
            .args([
                "-m",
                "sh",
                "-c",
                "mount -t tmpfs none \"$0\" && command -v setpriv",
            ])
            .arg(self.folder.path())
            .output();
        as_nobody() && tried.is_ok_and(|output| output.status.success())
    }

    /// Runs both over a file system of their own that holds a copy of the seed, after `prepare` ran there.
    pub(crate) fn both_mounted(
        &self,
        name: &str,
        options: &str,
        prepare: &str,
        variables: &[(&str, &str)],
    ) -> Both {
        let root = tempfile::tempdir_in(self.folder.path()).unwrap();
        let seed = self.folder.path().join("seed");
        let command = |subcommand: &str| {
            let script = format!(
                "set -e; mount -t tmpfs -o {options} none \"$ROOT\"; cp -a \"$SEED/.\" \"$ROOT\"; {prepare}; \
                 exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$0\" {subcommand}"
            );
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c", &script]).arg(self.program());
            Self::with_variables(&mut command, root.path(), variables);
            command
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .env("ROOT", root.path())
                .env("SEED", &seed);
            command
        };
        Both {
            name: name.to_owned(),
            check: run(command("check")),
            served: served(command("serve")),
        }
    }
}

fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    process::once_it_may_run(|| command.output())
}

/// Exit code and messages, or that it answered.
enum Served {
    Health(u16),
    Ended { code: Option<i32>, errors: String },
}

fn served(command: Command) -> Served {
    match process::start(command) {
        Started::Serving(server) => {
            let health = server.health();
            server.stop();
            Served::Health(health)
        }
        Started::Ended { code, errors } => Served::Ended { code, errors },
    }
}

/// What came of `check` and of `serve`.
#[must_use]
pub(crate) struct Both {
    name: String,
    check: Output,
    served: Served,
}

impl Both {
    fn told(&self) -> String {
        String::from_utf8(self.check.stdout.clone()).unwrap() + &String::from_utf8_lossy(&self.check.stderr)
    }

    /// Both say that it is served, and it is.
    pub(crate) fn serves(self) {
        let told = self.told();
        match &self.served {
            Served::Health(200) => {}
            Served::Health(status) => panic!("{}: /health answered {status}", self.name),
            Served::Ended { code, errors } => panic!("{}: {code:?} {errors}, but check: {told}", self.name),
        }
        assert_eq!(self.check.status.code(), Some(0), "{}: {told}", self.name);
    }

    /// Both refuse, with messages that hold these words.
    pub(crate) fn refused(self, words: &[&str]) {
        self.ends_with(1, words);
    }

    pub(crate) fn ends_with(self, expected: i32, words: &[&str]) {
        let (name, told) = (&self.name, self.told());
        let Served::Ended { code, errors } = &self.served else {
            panic!("{name}: it serves, and check says: {told}");
        };
        assert_eq!(
            (self.check.status.code(), *code),
            (Some(expected), Some(expected)),
            "{name}: check says {told}, serve {errors}"
        );
        for text in [&told, errors] {
            for word in words {
                assert!(text.contains(word), "{name}: {word:?} is not in {text}");
            }
            assert_plain(name, text);
        }
    }

    /// Both come to the same, whatever it is; the problem names this.
    pub(crate) fn agrees(self, words: &[&str]) {
        match self.served {
            Served::Health(_) => self.serves(),
            Served::Ended { .. } => self.refused(words),
        }
    }
}

/// No code of the database, no bytes, no panic.
fn assert_plain(name: &str, text: &str) {
    for ugly in [
        "(code:",
        "[45, 45",
        "panicked",
        "Os {",
        "\u{fffd}",
        "error returned from database",
    ] {
        assert!(!text.contains(ugly), "{name}: {ugly:?} in {text}");
    }
}
