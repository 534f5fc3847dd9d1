//! A text file with one file for each local day, or several where a day fills more than one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

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

/// A log file that is renamed to `<name>.YYYY-MM-DD`, the day it was written, at the first entry of another local
/// day, and to `<name>.YYYY-MM-DD.N` when it is full before. A file that somebody renames or deletes is made anew with
/// the next entry.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    zone: TimeZone,
    full: u64,
    kept: Kept,
    open: Mutex<Option<OpenFile>>,
    failure_reported: AtomicBool,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    day: Date,
    size: u64,
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

    /// Appends `line`, or several with a line break between each two, to the file of the day of `now`. The first failure is reported on
    /// standard error; no failure reaches the caller.
    pub fn append(&self, now: Timestamp, line: &str) {
        let Err(error) = self.try_append(now, line) else {
            return;
        };
        measures::log_line_lost(Log::kept_in(&self.path));
        if !self.failure_reported.swap(true, Ordering::Relaxed) {
            // Nobody is left to hear of a failure here.
            let _ = writeln!(
                io::stderr().lock(),
                "borealis-engine: cannot write the log {}: {error}; the server goes on without it",
                self.path.display()
            );
        }
    }

    fn try_append(&self, now: Timestamp, line: &str) -> io::Result<()> {
        let today = self.zone.to_datetime(now).date();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = format!("{line}\n");
        let length = entry.len() as u64;
        let mut current = match open.take() {
            Some(current) if current.day == today && self.is_in_place(&current)? => {
                if current.size > 0 && current.size + length > self.full {
                    self.set_aside_full(today)?;
                    self.begin(today, None)?
                } else {
                    current
                }
            }
            former => self.begin(today, former.as_ref())?,
        };
        // One write for each entry: entries of two processes do not mix.
        current.file.write_all(entry.as_bytes())?;
        current.size += length;
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

    /// Opens the file of `today`; what another day left there is set aside first.
    fn begin(&self, today: Date, former: Option<&OpenFile>) -> io::Result<OpenFile> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        if let Some(day) = self.day_of_present_file(former)?
            && day < today
        {
            self.set_aside(day)?;
        }
        // Also files that could not be removed before, or that another process set aside.
        self.remove_old(today)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        let size = file.metadata()?.len();
        Ok(OpenFile {
            file,
            day: today,
            size,
        })
    }

    /// The day that the present file belongs to: the one it was opened on, or that of its last entry if another
    /// process wrote it.
    fn day_of_present_file(&self, former: Option<&OpenFile>) -> io::Result<Option<Date>> {
        if let Some(former) = former
            && self.is_in_place(former)?
        {
            return Ok(Some(former.day));
        }
        let found = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let changed = Timestamp::try_from(found.modified()?).map_err(io::Error::other)?;
        Ok(Some(self.zone.to_datetime(changed).date()))
    }

    fn set_aside(&self, day: Date) -> io::Result<()> {
        let aside = self.path_of(SetAside { day, number: None });
        if !aside.exists() {
            return fs::rename(&self.path, aside);
        }
        // Another process began this day's file: nothing of it may be lost.
        let mut target = OpenOptions::new().append(true).open(&aside)?;
        io::copy(&mut File::open(&self.path)?, &mut target)?;
        fs::remove_file(&self.path)
    }

    /// Sets a full file of `day` aside under the next number.
    fn set_aside_full(&self, day: Date) -> io::Result<()> {
        let numbers = self.set_aside_files()?.into_iter().filter_map(|file| match file {
            SetAside {
                day: of,
                number: Some(number),
            } if of == day => Some(number),
            _ => None,
        });
        let number = Some(numbers.max().unwrap_or(0).saturating_add(1));
        fs::rename(&self.path, self.path_of(SetAside { day, number }))
    }

    fn path_of(&self, file: SetAside) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!(".{}", file.day));
        if let Some(number) = file.number {
            path.push(format!(".{number}"));
        }
        PathBuf::from(path)
    }

    fn remove_old(&self, today: Date) -> io::Result<()> {
        let mut files = self.set_aside_files()?;
        let old = match self.kept {
            Kept::Files(count) => {
                files.sort_unstable_by_key(|file| std::cmp::Reverse(file.age()));
                files.split_off(count.min(files.len()))
            }
            Kept::Days(days) => {
                let first = today.saturating_sub(Span::new().days(days));
                files.retain(|file| file.day < first);
                files
            }
        };
        for file in old {
            fs::remove_file(self.path_of(file))?;
        }
        Ok(())
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

/// A file that was set aside, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct SetAside {
    day: Date,
    /// Of a file that was full; the day's last one has none.
    number: Option<u32>,
}

impl SetAside {
    /// Reads what follows the log's own name; `None` for strangers.
    fn parse(text: &str) -> Option<Self> {
        let (day, number) = match text.split_once('.') {
            Some((day, number)) => (day, Some(number)),
            None => (text, None),
        };
        let file = Self {
            day: day.parse().ok()?,
            number: number.map(str::parse).transpose().ok()?,
        };
        // `01` is not how this program writes a number.
        let written = match file.number {
            Some(number) => format!("{}.{number}", file.day),
            None => file.day.to_string(),
        };
        (written == text).then_some(file)
    }

    /// Grows from the oldest to the newest.
    fn age(self) -> (Date, u32) {
        (self.day, self.number.unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
