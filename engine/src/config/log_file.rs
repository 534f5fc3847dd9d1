//! A text file with one file for each local day, or several where a day fills more than one.

mod places;
mod set_aside;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use self::set_aside::{SetAside, Sorted};
use crate::domain::measures::{self, Log};

/// How many files of the server's log are kept beside the present one.
pub const KEPT_FILES: usize = 30;

/// Which of the files are kept that were set aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// So many, the newest.
    Files(usize),
    /// Those of so many days before the present one.
    Days(u16),
}
/// Bytes after which a file is full.
const FULL: u64 = 100 * 1024 * 1024;

/// A log file that is renamed to `<name>.YYYY-MM-DD`, the latest day it was written, at the first entry of another local
/// day, and to `<name>.YYYY-MM-DD.N` when it is full before, or there is one of that name. A file that somebody renames or deletes is made anew with
/// the next entry.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    zone: TimeZone,
    full: u64,
    kept: Kept,
    open: Mutex<Option<OpenFile>>,
    /// In this outage.
    failure_reported: AtomicBool,
    /// That files of other days stay where they are.
    disorder_reported: AtomicBool,
    /// Where failures of the log itself are told: nobody is left to hear of one here.
    tell: fn(&str),
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    written: Written,
    size: u64,
    /// Whether the next entry has to end what is there.
    within_a_line: bool,
}

/// The days of a file's entries.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// That of the last one.
    last: Date,
    /// The latest, which is another while the clock is behind.
    latest: Date,
}

fn tell_on_standard_error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "borealis-engine: {text}");
}

impl LogFile {
    /// The file at `path`, with days as `zone` counts them. Folder and file are made with the first entry.
    pub fn new(path: PathBuf, zone: TimeZone, kept: Kept) -> Self {
        Self {
            path,
            zone,
            full: FULL,
            kept,
            open: Mutex::new(None),
            failure_reported: AtomicBool::new(false),
            disorder_reported: AtomicBool::new(false),
            tell: tell_on_standard_error,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The zone whose midnight ends a file.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Appends `line`, or several with a line break between each two, to the file of the day of `now`. The first failure
    /// of each outage is reported on standard error; no failure reaches the caller.
    pub fn append(&self, now: Timestamp, line: &str) {
        let Err(error) = self.try_append(now, line) else {
            self.failure_reported.store(false, Ordering::Relaxed);
            return;
        };
        measures::log_line_lost(Log::kept_in(&self.path));
        if !self.failure_reported.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            (self.tell)(&format!(
                "cannot write the log {path}: {error}; the server goes on without it"
            ));
        }
    }

    fn try_append(&self, now: Timestamp, line: &str) -> io::Result<()> {
        let today = self.zone.to_datetime(now).date();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = format!("{line}\n");
        let mut current = match open.take() {
            Some(current) if current.written.last == today && self.is_in_place(&current)? => {
                if current.size > 0 && current.size + entry.len() as u64 > self.full {
                    self.set_aside_numbered(current.written.latest)?;
                    self.begin(today, None)?
                } else {
                    current
                }
            }
            former => self.begin(today, former.as_ref())?,
        };
        if current.within_a_line {
            entry.insert(0, '\n');
        }
        places::write_whole(&mut current.file, entry.as_bytes())?;
        current.size += entry.len() as u64;
        current.within_a_line = false;
        *open = Some(current);
        Ok(())
    }

    /// Whether the file that is open is still the one at the path: somebody may have moved or deleted it.
    fn is_in_place(&self, current: &OpenFile) -> io::Result<bool> {
        let found = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let own = current.file.metadata()?;
        Ok((own.dev(), own.ino()) == (found.dev(), found.ino()))
    }

    /// Opens the file of `today`; what another day left there is set aside first, as far as that is possible.
    fn begin(&self, today: Date, former: Option<&OpenFile>) -> io::Result<OpenFile> {
        if let Some(folder) = self.path.parent() {
            places::make_folders(folder)?;
        }
        let (latest, set_aside) = match self.days_of_present_file(former)? {
            // Where the clock was behind and is right again, the day has not ended.
            Some(written) if written.last < today && written.latest != today => {
                (today, self.set_aside(written.latest, former))
            }
            Some(written) => (written.latest.max(today), Ok(())),
            None => (today, Ok(())),
        };
        let (file, made) = places::open(&self.path)?;
        let size = file.metadata()?.len();
        // Also files that could not be removed before, or that another process set aside.
        let removed = self.remove_old(today, made);
        self.report_disorder(set_aside.and(removed));
        Ok(OpenFile {
            file,
            written: Written { last: today, latest },
            size,
            within_a_line: places::ends_within_a_line(&self.path),
        })
    }

    /// Files of other days that stay where they are keep no line from being written.
    fn report_disorder(&self, done: io::Result<()>) {
        let Err(error) = done else {
            self.disorder_reported.store(false, Ordering::Relaxed);
            return;
        };
        if !self.disorder_reported.swap(true, Ordering::Relaxed) {
            let path = self.path.display();
            (self.tell)(&format!(
                "cannot set files of the log {path} aside, or remove old ones: {error}; the log goes on"
            ));
        }
    }

    /// The days of the present file: those it was written on, or that of its last entry if another process wrote it.
    fn days_of_present_file(&self, former: Option<&OpenFile>) -> io::Result<Option<Written>> {
        if let Some(former) = former
            && self.is_in_place(former)?
        {
            return Ok(Some(former.written));
        }
        let found = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let changed = Timestamp::try_from(found.modified()?).map_err(io::Error::other)?;
        let day = self.zone.to_datetime(changed).date();
        Ok(Some(Written {
            last: day,
            latest: day,
        }))
    }

    fn set_aside(&self, day: Date, former: Option<&OpenFile>) -> io::Result<()> {
        let aside = self.path_of(SetAside { day, number: None });
        match places::rename_new(&self.path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Another process has just done it, and begins the next file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => return done.map_err(|error| naming(&aside, &error)),
        }
        // Or it has begun the next file already, which stays. Else this day was set aside before. What others write
        // meanwhile would be lost if the one was copied into the other.
        let is_still_here = self
            .days_of_present_file(former)?
            .is_some_and(|written| written.latest == day);
        if is_still_here {
            self.set_aside_numbered(day)?;
        }
        Ok(())
    }

    /// Sets a file of `day` aside under the next number: one that is full, or a second one that ends the day.
    fn set_aside_numbered(&self, day: Date) -> io::Result<()> {
        let numbers = self.set_aside_files()?.into_iter().filter_map(|file| match file {
            SetAside {
                day: of,
                number: Some(number),
            } if of == day => Some(number),
            _ => None,
        });
        let mut next = numbers.max().unwrap_or(0);
        loop {
            next = next.saturating_add(1);
            let number = Some(next);
            match places::rename_new(&self.path, &self.path_of(SetAside { day, number })) {
                // Another process took the number, or the whole file.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && next < u32::MAX => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                done => return done,
            }
        }
    }

    fn path_of(&self, file: SetAside) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!(".{}", file.day));
        if let Some(number) = file.number {
            path.push(format!(".{number}"));
        }
        PathBuf::from(path)
    }

    /// Removes what is old, as far as that is possible. Says it where files are kept because a day is doubted, once for
    /// each file that is `made`.
    fn remove_old(&self, today: Date, made: bool) -> io::Result<()> {
        let sorted = Sorted::on(today, self.kept, self.set_aside_files()?);
        if let Some(newest) = sorted.doubted_since
            && made
        {
            let path = self.path.display();
            (self.tell)(&format!(
                "the log {path} had no entry between {newest} and {today}, which a wrong clock may say: old files are \
                 kept until there are newer ones"
            ));
        }
        let mut done = Ok(());
        for file in sorted.old {
            let path = self.path_of(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => done = Err(naming(&path, &error)),
                _ => {}
            }
        }
        done
    }

    fn set_aside_files(&self) -> io::Result<Vec<SetAside>> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(Vec::new());
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            files.extend(
                name.to_str()
                    .and_then(|name| name.strip_prefix(&prefix))
                    .and_then(SetAside::parse),
            );
        }
        Ok(files)
    }
}

/// An error that says which file it is about.
fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
