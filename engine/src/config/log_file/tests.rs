use jiff::tz::Offset;

use super::*;
use crate::{domain::clock::Clock as _, integrations::clock::ManualClock};

/// Two hours east of Greenwich.
fn log(folder: &Path) -> LogFile {
    let zone = TimeZone::fixed(Offset::from_seconds(2 * 3600).unwrap());
    LogFile::new(
        folder.join("Logs/Server/engine.log"),
        zone,
        Kept::Files(KEPT_FILES),
    )
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
    let aside = log.path_of(SetAside::parse("2023-11-15").unwrap());
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
