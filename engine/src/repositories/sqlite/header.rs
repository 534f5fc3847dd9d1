//! The first bytes of a database file, read before SQLite opens it: opening alone may write.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use crate::repositories::StoreError;

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// How long SQLite's header is.
const HEADER: u64 = 100;
/// Where it stands whether the journal is written ahead: 2 where it is.
const JOURNAL: usize = 18;
/// Where `user_version` stands in it.
const USER_VERSION: usize = 60;
/// Where `application_id` stands in it.
const APPLICATION_ID: usize = 68;

/// Refuses a file whose numbers show that something newer, or something else, made it: this server and the legacy leave
/// both at 0. A file that is not there or is no database is SQLite's to refuse.
pub(super) fn refuse_newer(path: &Path) -> io::Result<Result<(), StoreError>> {
    let header = read(path)?;
    if !header.starts_with(MAGIC) {
        return Ok(Ok(()));
    }
    let number = |place: usize| {
        header
            .get(place..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    match (number(USER_VERSION), number(APPLICATION_ID)) {
        (0, 0) => Ok(Ok(())),
        (user_version, application_id) => Ok(Err(StoreError::Newer {
            user_version,
            application_id,
        })),
    }
}

/// Whether the file is in the journal mode WAL.
pub(super) fn writes_ahead(path: &Path) -> io::Result<bool> {
    let header = read(path)?;
    Ok(header.starts_with(MAGIC) && header.get(JOURNAL) == Some(&2))
}

/// The header; nothing where there is no file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(HEADER).read_to_end(&mut header)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(header)
}
