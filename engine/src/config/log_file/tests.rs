//! Long because each way in which a disk, a clock or another process fails a log has a test.

use std::cell::RefCell;

use jiff::tz::Offset;

use super::*;
use crate::{domain::clock::Clock as _, integrations::clock::ManualClock};

/// Two hours east of Greenwich.
fn log(folder: &Path) -> LogFile {
    let zone = TimeZone::fixed(Offset::from_seconds(2 * 3600).unwrap());
    let path = folder.join("Logs/Server/engine.log");
    LogFile {
        tell: |text| TOLD.with_borrow_mut(|told| told.push(text.to_owned())),
        ..LogFile::new(path, zone, Kept::Files(KEPT_FILES))
    }
}

thread_local! {
    /// What logs of this thread told of themselves.
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn told() -> Vec<String> {
    TOLD.take()
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
    fs::write(log.path_of(SetAside::parse("2023-11-15").unwrap()), "older\n").unwrap();
    log.append(time("2023-11-20T00:00:00Z"), "new");
    let read = |day: &str| fs::read_to_string(log.path_of(SetAside::parse(day).unwrap())).unwrap();
    assert_eq!([read("2023-11-15"), read("2023-11-15.1")], ["older\n", "old\n"]);
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
    assert!(!log.path_of(SetAside::parse("2031-01-04").unwrap()).exists());
    assert!(log.path_of(SetAside::parse("2031-01-05").unwrap()).exists());
}

#[test]
fn where_days_are_kept_their_number_of_files_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile {
        full: 10,
        kept: Kept::Days(3),
        ..log(folder.path())
    };
    for day in 1..=5 {
        for _ in 0..40 {
            log.append(time(&format!("2031-01-0{day}T10:00:00Z")), "an entry");
        }
    }
    let of_day = |day: &str| {
        fs::read_dir(log.path().parent().unwrap())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .contains(day)
            })
            .count()
    };
    assert_eq!(
        ["2031-01-01", "2031-01-02", "2031-01-03", "2031-01-04"].map(of_day),
        [0, 40, 40, 40]
    );
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

#[test]
fn a_file_that_is_moved_or_deleted_under_a_running_server_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let now = time("2031-01-01T10:00:00Z");
    log.append(now, "first");
    let moved = log.path().with_file_name("moved");
    fs::rename(log.path(), &moved).unwrap();
    log.append(now, "second");
    assert_eq!(fs::read_to_string(&moved).unwrap(), "first\n");
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "second\n");
    fs::remove_file(log.path()).unwrap();
    log.append(now, "third");
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "third\n");
    fs::remove_dir_all(folder.path().join("Logs")).unwrap();
    log.append(now, "fourth");
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "fourth\n");
}

#[test]
fn a_full_file_is_set_aside_under_a_number_and_thirty_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile {
        full: 20,
        ..log(folder.path())
    };
    let day = |number: &str| log.path_of(SetAside::parse(number).unwrap());
    let morning = time("2031-01-01T10:00:00Z");
    // Two entries of nine bytes fill a file.
    for number in 0..70 {
        log.append(morning, &format!("entry {number:02}"));
    }
    assert_eq!(
        fs::read_to_string(day("2031-01-01.34")).unwrap(),
        "entry 66\nentry 67\n"
    );
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "entry 68\nentry 69\n");
    assert!(day("2031-01-01.5").exists());
    assert!(!day("2031-01-01.4").exists());
    log.append(time("2031-01-02T10:00:00Z"), "another day");
    assert_eq!(
        fs::read_to_string(day("2031-01-01")).unwrap(),
        "entry 68\nentry 69\n"
    );
    assert!(!day("2031-01-01.5").exists());
    let count = fs::read_dir(log.path().parent().unwrap()).unwrap().count();
    assert_eq!(count, KEPT_FILES + 1);
    // An entry that is longer than a file stands alone.
    log.append(time("2031-01-02T10:00:00Z"), &"long ".repeat(9));
    assert_eq!(fs::read_to_string(day("2031-01-02.1")).unwrap(), "another day\n");
}

/// A log that is kept by days, with a file for each of the 366 days before `2031-06-01` and that day.
fn year(folder: &Path) -> LogFile {
    let log = year_log(folder);
    let today = time("2031-06-01T10:00:00Z");
    for day in (0..=366).rev() {
        log.append(today - std::time::Duration::from_secs(day * 86_400), "entry");
    }
    log
}

fn year_log(folder: &Path) -> LogFile {
    LogFile {
        kept: Kept::Days(365),
        ..log(folder)
    }
}

/// The names of the files that were set aside, without the log's own, from the oldest.
fn names(log: &LogFile) -> Vec<String> {
    let prefix = format!("{}.", log.path().file_name().unwrap().to_str().unwrap());
    let mut names: Vec<_> = fs::read_dir(log.path().parent().unwrap())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix(&prefix).map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_clock_that_is_wrong_for_a_while_removes_no_trail() {
    let folder = tempfile::tempdir().unwrap();
    let log = year(folder.path());
    let before = names(&log);
    assert_eq!(before.len(), 365);
    // Four hundred days ahead, over two midnights, and back.
    for wrong in [
        "2032-07-05T10:00:00Z",
        "2032-07-06T10:00:00Z",
        "2032-07-07T10:00:00Z",
    ] {
        log.append(time(wrong), "ahead");
    }
    log.append(time("2031-06-01T11:00:00Z"), "right again");
    let after = names(&log);
    // What a pause of thirty days and two midnights make old.
    assert_eq!(before.iter().filter(|name| !after.contains(name)).count(), 32);
    assert!(after.contains(&"2031-06-01".to_owned()), "{after:?}");
    assert!(after.contains(&"2030-08-01".to_owned()), "{after:?}");
}

#[test]
fn a_reading_far_ahead_removes_nothing_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = year(folder.path());
    let mut before = names(&log);
    assert!(told().is_empty());
    log.append(time("2032-07-05T10:00:00Z"), "ahead");
    before.push("2031-06-01".to_owned());
    assert_eq!(names(&log), before);
    let said = told();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("no entry between 2031-06-01 and 2032-07-05"),
        "{said:?}"
    );
    // Neither the same process nor another says it again.
    log.append(time("2032-07-05T10:00:01Z"), "ahead");
    let file = File::options().append(true).open(log.path()).unwrap();
    let then = time("2032-07-05T10:00:01Z").as_second().unsigned_abs();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(then))
        .unwrap();
    year_log(folder.path()).append(time("2032-07-05T10:00:02Z"), "ahead");
    log.append(time("2032-07-06T10:00:00Z"), "ahead");
    assert!(told().is_empty());
}

#[test]
fn a_day_whose_clock_was_behind_for_a_while_is_kept_as_that_day() {
    let folder = tempfile::tempdir().unwrap();
    let log = year(folder.path());
    for reading in [
        "2030-04-27T10:00:00Z",
        "2031-06-01T11:00:00Z",
        "2031-06-02T11:00:00Z",
    ] {
        log.append(time(reading), reading);
    }
    let day = log.path_of(SetAside::parse("2031-06-01").unwrap());
    assert_eq!(
        fs::read_to_string(day).unwrap(),
        "entry\n2030-04-27T10:00:00Z\n2031-06-01T11:00:00Z\n"
    );
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "2031-06-02T11:00:00Z\n");
}

#[test]
fn an_old_file_that_cannot_be_removed_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile {
        kept: Kept::Days(3),
        ..log(folder.path())
    };
    let aside = |day: &str| log.path_of(SetAside::parse(day).unwrap());
    fs::create_dir_all(aside("2020-01-01")).unwrap();
    fs::write(aside("2020-01-02"), "").unwrap();
    log.append(time("2031-01-01T10:00:00Z"), "written");
    log.append(time("2031-01-02T10:00:00Z"), "the next day");
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "the next day\n");
    assert!(aside("2020-01-01").exists());
    assert!(!aside("2020-01-02").exists());
    let said = told();
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("a wrong clock may say"), "{said:?}");
    assert!(said[1].contains("engine.log.2020-01-01: "), "{said:?}");
}

#[test]
fn a_folder_in_the_place_of_a_day_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let aside = |day: &str| log.path_of(SetAside::parse(day).unwrap());
    fs::create_dir_all(aside("2031-01-01")).unwrap();
    log.append(time("2031-01-01T10:00:00Z"), "first");
    log.append(time("2031-01-02T10:00:00Z"), "second");
    assert_eq!(fs::read_to_string(aside("2031-01-01.1")).unwrap(), "first\n");
    assert_eq!(fs::read_to_string(log.path()).unwrap(), "second\n");
}

#[test]
fn a_line_after_a_fragment_begins_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    fs::create_dir_all(log.path().parent().unwrap()).unwrap();
    fs::write(log.path(), "whole\ncut sho").unwrap();
    log.append(time("2001-01-01T10:00:00Z"), "next");
    log.append(time("2001-01-01T10:00:00Z"), "last");
    assert_eq!(
        fs::read_to_string(log.path()).unwrap(),
        "whole\ncut sho\nnext\nlast\n"
    );
}

#[test]
fn a_write_that_fails_in_the_middle_leaves_whole_lines() {
    use std::os::unix::fs::FileExt as _;

    let folder = tempfile::tempdir().unwrap();
    let log = LogFile {
        full: u64::MAX,
        ..log(folder.path())
    };
    let now = time("2001-01-01T10:00:00Z");
    log.append(now, "first");
    // No disk is filled: the file is as long, with a hole, as its file system lets one be, but for ten bytes.
    let file = File::options().write(true).open(log.path()).unwrap();
    let (mut longest, mut too_long) = (6, i64::MAX as u64 + 1);
    while too_long - longest > 1 {
        let length = longest + (too_long - longest) / 2;
        match file.set_len(length) {
            Ok(()) => longest = length,
            Err(_) => too_long = length,
        }
    }
    let length = longest - 10;
    file.set_len(length).unwrap();
    file.write_at(b"\n", length - 1).unwrap();
    log.append(now, "more than ten bytes");
    assert_eq!(file.metadata().unwrap().len(), length);
    log.append(now, "fits");
    assert_eq!(file.metadata().unwrap().len(), length + 5);
}

#[test]
fn each_outage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let now = time("2001-01-01T10:00:00Z");
    for _ in 0..2 {
        fs::write(folder.path().join("Logs"), "a file").unwrap();
        log.append(now, "lost");
        log.append(now, "lost");
        assert_eq!(told().len(), 1);
        fs::remove_file(folder.path().join("Logs")).unwrap();
        log.append(now, "written");
        assert!(told().is_empty());
        fs::remove_dir_all(folder.path().join("Logs")).unwrap();
    }
}

#[test]
fn no_file_is_renamed_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::write(&from, "from").unwrap();
    fs::write(&to, "to").unwrap();
    let refused = places::rename_new(&from, &to).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&to).unwrap(), "to");
    fs::remove_file(&to).unwrap();
    places::rename_new(&from, &to).unwrap();
    assert_eq!(fs::read_to_string(&to).unwrap(), "from");
}

#[test]
fn a_log_with_long_pauses_ages_by_a_month_for_each() {
    let day = |text: &str| SetAside::parse(text).unwrap();
    let files = ["2030-01-01", "2030-06-01", "2030-06-02", "2031-01-01"].map(day);
    let old = |today: &str, days| Sorted::on(today.parse().unwrap(), Kept::Days(days), files.to_vec()).old;
    assert_eq!(
        old("2031-01-02", 30),
        [day("2030-01-01"), day("2030-06-01"), day("2030-06-02")]
    );
    assert_eq!(old("2031-01-02", 32), [day("2030-01-01")]);
    assert_eq!(old("2031-01-02", 62), []);
    assert_eq!(old("2039-01-01", 61), []);
}

#[test]
fn no_day_is_lost_where_several_processes_end_it_at_once() {
    const DAYS: i64 = 100;
    const PROCESSES: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let midnight = std::sync::Barrier::new(PROCESSES);
    std::thread::scope(|threads| {
        for _ in 0..PROCESSES {
            threads.spawn(|| {
                let log = LogFile {
                    kept: Kept::Days(1000),
                    ..log(folder.path())
                };
                // Before the time of the file system, which dates what another process wrote.
                for day in 0..DAYS {
                    let noon = Timestamp::from_second(1_000_000_000 + day * 86_400).unwrap();
                    midnight.wait();
                    log.append(noon, "entry");
                }
            });
        }
    });
    let lines: usize = fs::read_dir(folder.path().join("Logs/Server"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap().lines().count())
        .sum();
    assert_eq!(lines, PROCESSES * usize::try_from(DAYS).unwrap());
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_folder() {
    use std::os::unix::fs::chown;

    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    if !rustix::process::geteuid().is_root() {
        println!("not tried: only root may give files away");
        return;
    }
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let log = log(folder.path());
    let owner = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    log.append(time("2031-01-01T10:00:00Z"), "first");
    log.append(time("2031-01-02T10:00:00Z"), "second");
    let aside = log.path_of(SetAside::parse("2031-01-01").unwrap());
    for path in [
        &folder.path().join("Logs"),
        &folder.path().join("Logs/Server"),
        log.path(),
        &aside,
    ] {
        assert_eq!(owner(path), (NOBODY, NOBODY), "{}", path.display());
    }
    // What is there keeps its owner.
    chown(log.path(), Some(1), Some(1)).unwrap();
    log.append(time("2031-01-02T10:00:00Z"), "third");
    assert_eq!(owner(log.path()), (1, 1));
}
