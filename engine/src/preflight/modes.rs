//! Who else on the machine may read the database and the keys.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use super::finding::{Report, Verdict};
use crate::{
    config::settings::Settings,
    integrations::{
        identity,
        private_files::{self, WideFile},
    },
    repositories::sqlite,
};

const SUBJECT: &str = "file modes";

/// The files of the database and the keys.
fn private_files(settings: &Settings) -> Vec<PathBuf> {
    let mut files = sqlite::files_of(&settings.database_path);
    files.extend(identity::private_files(settings));
    files
}

pub(super) fn look(report: &mut Report, settings: &Settings) {
    let user = rustix::process::geteuid();
    let wide = WideFile::among(private_files(settings));
    if wide.is_empty() {
        report.add(
            Verdict::Ok,
            SUBJECT,
            "no other user of this machine may read the database or a key",
        );
    }
    for file in wide {
        let owner = fs::metadata(&file.path).map_or(user.as_raw(), |found| found.uid());
        let mine = user.is_root() || owner == user.as_raw();
        let what_comes = if mine {
            "the start takes that from them".to_owned()
        } else {
            format!(
                "the start cannot change that, because it belongs to user {owner}: `chmod go=` it as that user"
            )
        };
        report.add(
            Verdict::Warning,
            SUBJECT,
            format!(
                "{} may be used by other users of this machine (mode {:04o}); {what_comes}",
                file.path.display(),
                file.mode
            ),
        );
    }
}

/// Takes from other users of the machine what they may do with the database and the keys. Where that fails it is
/// logged, and the start goes on.
pub fn narrow_files(settings: &Settings) {
    private_files::narrow(private_files(settings));
}
