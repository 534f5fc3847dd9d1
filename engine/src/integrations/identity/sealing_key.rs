//! The key that seals secrets at rest, where no variable gives it: a file with its text form.

use std::path::Path;

use super::{
    IdentityError,
    files::{self, Access},
};
use crate::domain::{
    fernet::FernetKey,
    random::{Random, random_bytes},
};

/// The key, found or made.
pub(super) fn load_or_create(path: &Path, random: &dyn Random) -> Result<FernetKey, IdentityError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let key = FernetKey::from_bytes(random_bytes(random));
    files::write(path, key.to_text().as_bytes(), Access::Private)?;
    tracing::info!("made the key that seals secrets: {}", path.display());
    Ok(key)
}

/// The key, where there is one; changes nothing.
pub(super) fn read(path: &Path) -> Result<Option<FernetKey>, IdentityError> {
    files::read(path)?
        .map(|text| {
            FernetKey::from_text(&text).ok_or_else(|| IdentityError::UnreadableSealingKey {
                path: path.to_owned(),
            })
        })
        .transpose()
}
