//! Who keeps a database locked, asked of the system: looking takes no lock and opens no database.

use std::{fs::File, io, path::Path};

use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use super::{header, temporary::beside};

/// The bytes of the database file that SQLite locks: PENDING, RESERVED and the range SHARED.
const DATABASE: (u64, u64) = (0x4000_0000, 512);
/// The byte of the journal's index (`-shm`) that a writer locks.
const WRITER: (u64, u64) = (120, 1);
/// The byte of it that is locked for as long as somebody has the database open.
const USERS: (u64, u64) = (128, 1);

/// The process that keeps others from writing, and whether there is one. Must not be called while this process has the
/// database open: closing a file gives back all locks that the process has on it.
///
/// # Errors
/// A file cannot be opened.
pub fn locked_by(path: &Path) -> io::Result<Option<Locker>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // With a journal that is written ahead, readers keep nobody from writing. With the other one they do.
    let in_the_way_of = if header::writes_ahead(path)? {
        FlockType::ReadLock
    } else {
        FlockType::WriteLock
    };
    if let Some(locker) = holder(&file, DATABASE, in_the_way_of)? {
        return Ok(Some(locker));
    }
    match File::open(beside(path, "-shm")) {
        Ok(index) => holder(&index, WRITER, FlockType::ReadLock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that has the database open, as far as the system shows one: with a journal that is written ahead, whoever has
/// it open has a lock on the journal's index. Must not be called while this process has the database open.
///
/// # Errors
/// A file cannot be opened.
pub fn opened_by(path: &Path) -> io::Result<Option<Locker>> {
    if let Some(locker) = locked_by(path)? {
        return Ok(Some(locker));
    }
    match File::open(beside(path, "-shm")) {
        Ok(index) => holder(&index, USERS, FlockType::WriteLock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that keeps a database locked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Locker {
    /// Its number, where the system shows it.
    pub process: Option<i32>,
}

fn holder(file: &File, (start, length): (u64, u64), typ: FlockType) -> io::Result<Option<Locker>> {
    let wanted = Flock {
        start,
        length,
        pid: None,
        typ,
        offset_type: FlockOffsetType::Set,
    };
    let found = fcntl_getlk(file, &wanted)?;
    Ok(found.map(|found| Locker {
        process: found.pid.map(|pid| pid.as_raw_nonzero().get()),
    }))
}
