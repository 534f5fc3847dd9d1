//! The keys that may have sealed what is stored: one from a variable, and files with a key's text form.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{IdentityError, files};
use crate::{
    config::settings::Settings,
    domain::{
        fernet::FernetKey,
        random::{Random, random_bytes},
    },
};

/// Where a key comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// `BOREALIS_SECRET_KEY`.
    Variable,
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => formatter.write_str("BOREALIS_SECRET_KEY"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// A key, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundKey {
    /// Where it comes from.
    pub source: KeySource,
    pub key: FernetKey,
}

/// Every key that is there, each once, in the order in which they are looked for; changes nothing. A file that holds no
/// key counts only where no variable gives one: the legacy server does not look at it then.
///
/// # Errors
/// A file cannot be read or holds something else.
pub fn find(settings: &Settings) -> Result<Vec<FoundKey>, IdentityError> {
    let mut found: Vec<FoundKey> = settings
        .sealing_key
        .iter()
        .map(|key| FoundKey {
            source: KeySource::Variable,
            key: key.clone(),
        })
        .collect();
    for path in settings.sealing_key_files() {
        let key = match read(&path) {
            Ok(Some(key)) => key,
            Ok(None) => continue,
            Err(_) if settings.sealing_key.is_some() => continue,
            Err(error) => return Err(error),
        };
        if !found.iter().any(|one| one.key == key) {
            found.push(FoundKey {
                source: KeySource::File(path),
                key,
            });
        }
    }
    Ok(found)
}

/// Makes a key where a root folder without any keeps it.
///
/// # Errors
/// The file cannot be written.
pub fn make(settings: &Settings, random: &dyn Random) -> Result<FoundKey, IdentityError> {
    let path = settings.new_sealing_key_file();
    let key = FernetKey::from_bytes(random_bytes(random));
    files::write(&path, key.to_text().as_bytes())?;
    tracing::info!("made the key that seals secrets: {}", path.display());
    Ok(FoundKey {
        source: KeySource::File(path),
        key,
    })
}

fn read(path: &Path) -> Result<Option<FernetKey>, IdentityError> {
    files::read(path)?
        .map(|text| {
            FernetKey::from_text(&text).ok_or_else(|| IdentityError::UnreadableSealingKey {
                path: path.to_owned(),
            })
        })
        .transpose()
}
