//! A text file with one file for each local day.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// How many files of former days are kept.
pub const KEPT_FILES: usize = 30;

/// A log file that is renamed to `<name>.YYYY-MM-DD`, the day it was written, at the first entry of another local
/// day. The [`KEPT_FILES`] newest of these are kept.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    zone: TimeZone,
    open: Mutex<Option<OpenFile>>,
    failure_told: AtomicBool,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    day: Date,
}

impl LogFile {
    /// The file at `path`, with days as `zone` counts them. Folder and file are made with the first entry.
    pub fn new(path: PathBuf, zone: TimeZone) -> Self {
        Self {
            path,
            zone,
            open: Mutex::new(None),
            failure_told: AtomicBool::new(false),
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

    /// Appends `line`, which must hold no line break, to the file of the day of `now`. The first failure is told on
    /// standard error; no failure reaches the caller.
    pub fn append(&self, now: Timestamp, line: &str) {
        let Err(error) = self.try_append(now, line) else {
            return;
        };
        if !self.failure_told.swap(true, Ordering::Relaxed) {
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
        let mut current = match open.take() {
            Some(current) if current.day == today => current,
            former => self.begin(today, former.as_ref())?,
        };
        // One write for each entry: entries of two processes do not mix.
        current.file.write_all(format!("{line}\n").as_bytes())?;
        *open = Some(current);
        Ok(())
    }

    /// Opens the file of `today`; what another day left there is set aside first.
    fn begin(&self, today: Date, former: Option<&OpenFile>) -> io::Result<OpenFile> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        if let Some(day) = self.day_of_present_file(former)?
            && day < today
        {
            self.set_aside(day)?;
        }
        // Also files that could not be removed before, or that another process set aside.
        self.remove_old()?;
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        Ok(OpenFile { file, day: today })
    }

    /// The day that the present file belongs to: the one it was opened on, or that of its last entry if another
    /// process wrote it.
    fn day_of_present_file(&self, former: Option<&OpenFile>) -> io::Result<Option<Date>> {
        let found = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(former) = former {
            let own = former.file.metadata()?;
            if (own.dev(), own.ino()) == (found.dev(), found.ino()) {
                return Ok(Some(former.day));
            }
        }
        let changed = Timestamp::try_from(found.modified()?).map_err(io::Error::other)?;
        Ok(Some(self.zone.to_datetime(changed).date()))
    }

    fn set_aside(&self, day: Date) -> io::Result<()> {
        let aside = self.path_of(day);
        if !aside.exists() {
            return fs::rename(&self.path, aside);
        }
        // Another process began this day's file: nothing of it may be lost.
        let mut target = OpenOptions::new().append(true).open(&aside)?;
        io::copy(&mut File::open(&self.path)?, &mut target)?;
        fs::remove_file(&self.path)
    }

    fn path_of(&self, day: Date) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!(".{day}"));
        PathBuf::from(path)
    }

    fn remove_old(&self) -> io::Result<()> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(());
        };
        let prefix = format!("{}.", name.to_string_lossy());
        let mut days = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let day = name
                .to_str()
                .and_then(|name| name.strip_prefix(&prefix))
                .and_then(|day| day.parse::<Date>().ok().filter(|date| date.to_string() == day));
            days.extend(day);
        }
        days.sort_unstable_by(|one, other| other.cmp(one));
        for day in days.into_iter().skip(KEPT_FILES) {
            fs::remove_file(self.path_of(day))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;
    use crate::{domain::clock::Clock as _, integrations::clock::ManualClock};

    /// Two hours east of Greenwich.
    fn log(folder: &Path) -> LogFile {
        let zone = TimeZone::fixed(Offset::from_seconds(2 * 3600).unwrap());
        LogFile::new(folder.join("Logs/Server/engine.log"), zone)
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_file_ends_at_local_midnight_and_bears_the_day_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let clock = ManualClock::new(time("2031-05-01T21:59:58Z"));
        log.append(clock.now(), "before midnight");
        clock.set(time("2031-05-01T22:00:00Z"));
        log.append(clock.now(), "after midnight");
        log.append(clock.now(), "later");
        let read = |name: &str| fs::read_to_string(folder.path().join("Logs/Server").join(name)).unwrap();
        assert_eq!(read("engine.log.2031-05-01"), "before midnight\n");
        assert_eq!(read("engine.log"), "after midnight\nlater\n");
    }

    #[test]
    fn a_file_of_an_earlier_run_is_set_aside_under_its_own_day() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        fs::create_dir_all(log.path().parent().unwrap()).unwrap();
        fs::write(log.path(), "old\n").unwrap();
        let old = File::options().append(true).open(log.path()).unwrap();
        old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000))
            .unwrap();
        fs::write(log.path_of("2023-11-15".parse().unwrap()), "older\n").unwrap();
        log.append(time("2023-11-20T00:00:00Z"), "new");
        let aside = log.path_of("2023-11-15".parse().unwrap());
        assert_eq!(fs::read_to_string(aside).unwrap(), "older\nold\n");
        assert_eq!(fs::read_to_string(log.path()).unwrap(), "new\n");
    }

    #[test]
    fn thirty_old_files_are_kept_and_strangers_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let start = time("2031-01-01T10:00:00Z");
        let clock = ManualClock::new(start);
        fs::create_dir_all(log.path().parent().unwrap()).unwrap();
        let stranger = log.path().with_file_name("engine.log.keep");
        fs::write(&stranger, "").unwrap();
        for day in 0..35 {
            clock.set(start + std::time::Duration::from_secs(day * 86_400));
            log.append(clock.now(), "entry");
        }
        let count = fs::read_dir(log.path().parent().unwrap()).unwrap().count();
        assert_eq!(count, KEPT_FILES + 2);
        assert!(stranger.exists());
        assert!(!log.path_of("2031-01-04".parse().unwrap()).exists());
        assert!(log.path_of("2031-01-05".parse().unwrap()).exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Logs"), "a file").unwrap();
        let log = log(folder.path());
        log.append(time("2031-01-01T10:00:00Z"), "lost");
        fs::remove_file(folder.path().join("Logs")).unwrap();
        log.append(time("2031-01-01T10:00:01Z"), "written");
        assert_eq!(fs::read_to_string(log.path()).unwrap(), "written\n");
    }
}
