use std::fs;

use super::*;
use crate::integrations::clock::ManualClock;

fn logged(level: LevelFilter, work: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.log");
    let clock = ManualClock::new("2031-05-01T21:59:58.042Z".parse().unwrap());
    let log = EngineLog::new(
        LogFile::new(path.clone(), TimeZone::UTC, Kept::Files(KEPT_FILES)),
        Arc::new(clock),
        None,
    );
    tracing::subscriber::with_default(Registry::default().with(log.with_filter(level)), work);
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn an_entry_has_time_message_and_fields() {
    let text = logged(LevelFilter::INFO, || {
        tracing::info!(repo = "a/b", tries = 2, error = %"gone", "repo-head-lookup failure");
    });
    assert_eq!(
        text,
        "2031-05-01 21:59:58,042-engine-repo-head-lookup failure repo=a/b tries=2 error=gone\n"
    );
}

#[test]
fn fields_alone_are_an_entry() {
    let text = logged(LevelFilter::INFO, || tracing::info!(valid = true));
    assert_eq!(text, "2031-05-01 21:59:58,042-engine-valid=true\n");
}

#[test]
fn no_text_begins_an_entry_of_its_own() {
    let text = logged(LevelFilter::INFO, || {
        let name = "x\r\n2031-05-01 00:00:00,000-engine-forged\u{1b}[2J\u{85}\u{2028}ä\\";
        tracing::warn!(name, "enrolled {name}");
    });
    assert_eq!(text.lines().count(), 1);
    assert!(
        text.contains("enrolled x\\r\\n2031-05-01 00:00:00,000-engine-forged\\u{1b}[2J\\u{85}\\u{2028}ä\\"),
        "{text}"
    );
    assert!(!text.trim_end().contains(char::is_control));
}

fn messages(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines.map(|line| line.split_once("-engine-").unwrap().1).collect()
}

#[test]
fn what_is_logged_within_a_scope_bears_it() {
    let text = logged(LevelFilter::INFO, || {
        let outer = tracing::info_span!("request", agent_context = "SYSTEM");
        outer.in_scope(|| {
            tracing::info!("outer");
            tracing::info_span!("part", other = 1).in_scope(|| tracing::warn!(agent_context = "X", "inner"));
        });
        tracing::info!("outside");
    });
    let messages = messages(&text);
    assert_eq!(
        messages,
        [
            "[CONTEXT-SYSTEM] outer",
            "[CONTEXT-SYSTEM] inner agent_context=X",
            "outside"
        ]
    );
}

#[test]
fn equal_lines_within_a_second_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.log");
    let clock = Arc::new(ManualClock::new("2031-05-01T21:59:58Z".parse().unwrap()));
    let log = EngineLog::new(
        LogFile::new(path.clone(), TimeZone::UTC, Kept::Files(KEPT_FILES)),
        clock.clone(),
        None,
    );
    tracing::subscriber::with_default(Registry::default().with(log), || {
        for _ in 0..1000 {
            tracing::warn!("refused one");
            tracing::warn!("refused other");
        }
        tracing::info!("once");
        clock.set("2031-05-01T21:59:59.500Z".parse().unwrap());
        tracing::warn!("refused one");
    });
    let text = fs::read_to_string(path).unwrap();
    let messages = messages(&text);
    assert_eq!(
        messages,
        [
            "refused one",
            "refused other",
            "once",
            "999 more times within a second: refused one",
            "999 more times within a second: refused other",
            "refused one",
        ]
    );
}

#[test]
fn debug_entries_appear_only_when_asked_for() {
    let work = || tracing::debug!("detail");
    assert_eq!(logged(LevelFilter::INFO, work), "");
    assert!(logged(LevelFilter::DEBUG, work).contains("-engine-detail"));
}

#[test]
fn a_second_start_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("BOREALIS_ROOT".to_owned(), folder.path().display().to_string())].into();
    let settings = Settings::from_map(&variables, folder.path()).unwrap();
    let clock = Arc::new(ManualClock::new("2031-05-01T12:00:00Z".parse().unwrap()));
    start(&settings, clock.clone());
    start(&settings, clock);
    tracing::info!("once only");
    let text = fs::read_to_string(folder.path().join("Logs/Server/engine.log")).unwrap();
    assert_eq!(text.matches("once only").count(), 1);
}

#[test]
fn the_json_of_an_entry_has_its_parts_and_keeps_every_text() {
    let entry = Entry {
        scope: Some("SYSTEM".to_owned()),
        message: "named \"x\"\n\u{1b}".to_owned(),
        fields: vec![("ip", "192.0.2.7".to_owned())],
    };
    let now = "2031-05-01T21:59:58.042Z".parse().unwrap();
    assert_eq!(
        entry.json(now, Level::WARN),
        "{\"time\": \"2031-05-01T21:59:58.042Z\", \"level\": \"warn\", \"message\": \"named \\\"x\\\"\\n\\u001b\", \
         \"context\": \"SYSTEM\", \"fields\": {\"ip\": \"192.0.2.7\"}}"
    );
    let long = Entry {
        message: "x".repeat(100_000),
        ..Entry::default()
    };
    assert!(long.json(now, Level::INFO).len() < 17_000);
    assert_eq!(
        entry::repeated(now, Level::INFO, "again", 7),
        "{\"time\": \"2031-05-01T21:59:58.042Z\", \"level\": \"info\", \"message\": \"again\", \"repeated\": 7}"
    );
}
