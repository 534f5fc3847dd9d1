//! The server's log: `Logs/Server/engine.log` under the root, and the terminal.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
};

use jiff::{Timestamp, tz::TimeZone};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::{log_file::LogFile, settings::Settings};
use crate::domain::clock::Clock;

/// Sends the log of this process, dependencies' included, to the file under the root and to standard error. Once it
/// runs, a further call changes nothing.
pub fn start(settings: &Settings, clock: Arc<dyn Clock>) {
    let level = if settings.debug {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    let file = LogFile::new(
        settings.root.join("Logs").join("Server").join("engine.log"),
        TimeZone::system(),
    );
    // Fails only where a log runs already, and must not run twice.
    let _ = Registry::default()
        .with(EngineLog::new(file, clock, true).with_filter(level))
        .try_init();
}

/// Writes each event to a [`LogFile`], and to standard error if wanted.
#[derive(Debug)]
pub struct EngineLog {
    file: LogFile,
    clock: Arc<dyn Clock>,
    terminal: bool,
    colours: bool,
}

impl EngineLog {
    /// A log into `file`, with the time of `clock`; with `terminal` also on standard error.
    pub fn new(file: LogFile, clock: Arc<dyn Clock>, terminal: bool) -> Self {
        Self {
            file,
            clock,
            terminal,
            colours: io::stderr().is_terminal(),
        }
    }

    fn show(&self, time: &str, level: Level, message: &str) {
        let (begin, end) = match level {
            _ if !self.colours => ("", ""),
            Level::ERROR => ("\u{1b}[31m", "\u{1b}[0m"),
            Level::WARN => ("\u{1b}[33m", "\u{1b}[0m"),
            _ => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        // A terminal that is gone stops nothing.
        let line = format!("{time} {begin}{level:5}{end} {message}\n");
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

impl<S: Subscriber> Layer<S> for EngineLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = EventText::default();
        event.record(&mut text);
        let message = text.finish();
        let now = self.clock.now();
        let time = stamp(now, self.file.zone());
        if self.terminal {
            self.show(&time, *event.metadata().level(), &message);
        }
        self.file.append(now, &format!("{time}-engine-{message}"));
    }
}

/// `YYYY-MM-DD HH:MM:SS,mmm`, local.
fn stamp(now: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(now);
    format!(
        "{} {:02}:{:02}:{:02},{:03}",
        local.date(),
        local.hour(),
        local.minute(),
        local.second(),
        local.millisecond()
    )
}

/// The message first, then the fields as `key=value`.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl EventText {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // What `log` records carry about their place in the source.
        if field.name().starts_with("log.") {
            return;
        }
        // Writing to a String does not fail; a value whose own formatting fails is left as far as it went.
        let _ = if field.name() == "message" {
            self.message.write_fmt(value)
        } else {
            write!(self.fields, " {}={value}", field.name())
        };
    }

    fn finish(mut self) -> String {
        if self.message.is_empty() {
            self.fields = self.fields.trim_start().to_owned();
        }
        escape(&(self.message + &self.fields))
    }
}

impl Visit for EventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// Writes control characters and line separators as escapes, so that no text from outside begins an entry of its
/// own or steers a terminal (ENR-17).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::integrations::clock::ManualClock;

    fn logged(level: LevelFilter, work: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        let clock = ManualClock::new("2031-05-01T21:59:58.042Z".parse().unwrap());
        let log = EngineLog::new(LogFile::new(path.clone(), TimeZone::UTC), Arc::new(clock), false);
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
            text.contains(
                "enrolled x\\r\\n2031-05-01 00:00:00,000-engine-forged\\u{1b}[2J\\u{85}\\u{2028}ä\\"
            ),
            "{text}"
        );
        assert!(!text.trim_end().contains(char::is_control));
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
}
