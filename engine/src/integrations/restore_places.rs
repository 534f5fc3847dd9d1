//! Where a restore puts what a backup holds, and what one that was killed has left there.

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::{
    backup_archive::{ASSEMBLIES, DATABASE},
    identity,
};
use crate::config::settings::Settings;

/// What stands behind the names of files that are made ready, before the time: by a restore, and by a replacement of the
/// certificate.
const READY: [&str; 2] = [".restoring-", ".replacing-"];
/// The form of that time.
const TIME: &[u8] = b"00000000T000000Z";

/// What a backup may hold, by the names that it has there; the database comes last. What a link leads to is replaced, and
/// the link stays.
pub fn places(settings: &Settings, database_alone: bool) -> Vec<(String, PathBuf)> {
    let mut places = Vec::new();
    if !database_alone {
        places.push((ASSEMBLIES.to_owned(), settings.root.join("Assemblies")));
        places.extend(
            identity::all_files(settings)
                .into_iter()
                .map(|file| (file.name, file.path)),
        );
    }
    places.push((DATABASE.to_owned(), settings.database_path.clone()));
    for (_, path) in &mut places {
        if let Ok(target) = fs::canonicalize(&*path) {
            *path = target;
        }
    }
    places
}

/// What was made ready beside those places and is there still: copies of keys and databases, which nobody looks at any
/// more. While a restore is at work, or its plan is there, they are no leftovers.
pub fn leftovers(settings: &Settings) -> Vec<PathBuf> {
    let places = places(settings, false);
    let folders: BTreeSet<_> = places.iter().filter_map(|(_, path)| path.parent()).collect();
    let mut found: Vec<PathBuf> = folders
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| places.iter().any(|(_, place)| is_ready_for(place, path)))
        .collect();
    found.sort();
    found
}

fn is_ready_for(place: &std::path::Path, path: &std::path::Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    let behind = text.strip_prefix(place.as_os_str().as_encoded_bytes());
    behind.is_some_and(|behind| {
        READY
            .iter()
            .filter_map(|word| behind.strip_prefix(word.as_bytes()))
            .any(begins_with_a_time)
    })
}

fn begins_with_a_time(text: &[u8]) -> bool {
    text.len() >= TIME.len()
        && TIME.iter().zip(text).all(|(form, byte)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => form == byte,
        })
}
