//! The server's log: `Logs/Server/engine.log` under the root, and the terminal.

use std::{
    collections::HashMap,
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{Timestamp, tz::TimeZone};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

mod entry;

use self::entry::Entry;
use super::{
    audit_log::{self, AuditLog, is_audit},
    log_file::{KEPT_FILES, Kept, LogFile},
    observing::LogFormat,
    settings::Settings,
};
use crate::domain::{clock::Clock, measures};

/// The field of a span that names the scope of everything that is logged within it. The text must be made of letters,
/// digits, `_` and `-`.
pub const CONTEXT_FIELD: &str = "agent_context";

/// Sends the log of this process, dependencies' included, to the file under the root and to standard error. Once it
/// runs, a further call changes nothing.
pub fn start(settings: &Settings, clock: Arc<dyn Clock>) {
    begin(settings, clock, Some(settings.observing.log_format));
}

/// The same for a command that speaks to a person itself: nothing on standard error.
pub fn start_in_file(settings: &Settings, clock: Arc<dyn Clock>) {
    begin(settings, clock, None);
}

fn begin(settings: &Settings, clock: Arc<dyn Clock>, terminal: Option<LogFormat>) {
    let level = if settings.debug {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    let folder = settings.root.join("Logs").join("Server");
    let file = |name, kept| LogFile::new(folder.join(name), TimeZone::system(), kept);
    let audit = AuditLog::new(
        file("audit.log", Kept::Days(audit_log::KEPT_DAYS)),
        Arc::clone(&clock),
    );
    let log = EngineLog::new(file("engine.log", Kept::Files(KEPT_FILES)), clock, terminal);
    // Fails only where a log runs already, and must not run twice.
    let _ = Registry::default()
        .with(log.with_filter(level))
        .with(audit.with_filter(LevelFilter::INFO))
        .try_init();
}

/// Writes each event to a [`LogFile`], and to standard error if wanted.
#[derive(Debug)]
pub struct EngineLog {
    file: LogFile,
    repeated: Mutex<Repeated>,
    clock: Arc<dyn Clock>,
    /// How lines are written to standard error, where they are.
    terminal: Option<LogFormat>,
    colours: bool,
}

impl EngineLog {
    /// A log into `file`, with the time of `clock`; with `terminal` also on standard error.
    pub fn new(file: LogFile, clock: Arc<dyn Clock>, terminal: Option<LogFormat>) -> Self {
        Self {
            file,
            repeated: Mutex::default(),
            clock,
            terminal,
            colours: io::stderr().is_terminal(),
        }
    }

    /// Writes a line; `json` makes the one of programs.
    fn write(&self, now: Timestamp, level: Level, message: &str, json: impl FnOnce() -> String) {
        let time = stamp(now, self.file.zone());
        match self.terminal {
            None => {}
            Some(LogFormat::Text) => self.show(&time, level, message),
            Some(LogFormat::Json) => print(&json()),
        }
        self.file.append(now, &format!("{time}-engine-{message}"));
    }

    fn show(&self, time: &str, level: Level, message: &str) {
        let (begin, end) = match level {
            _ if !self.colours => ("", ""),
            Level::ERROR => ("\u{1b}[31m", "\u{1b}[0m"),
            Level::WARN => ("\u{1b}[33m", "\u{1b}[0m"),
            _ => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        print(&format!("{time} {begin}{level:5}{end} {message}"));
    }
}

fn print(line: &str) {
    // A terminal that is gone stops nothing.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for EngineLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut scope = ScopeText::default();
        attributes.record(&mut scope);
        if let (Some(scope), Some(span)) = (scope.0, context.span(id)) {
            span.extensions_mut().insert(Scope(scope));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if is_audit(event.metadata()) {
            return;
        }
        let entry = Entry::of(event, scope_of(event, &context));
        let message = entry.text();
        let now = self.clock.now();
        let level = *event.metadata().level();
        let (counted, is_new) = {
            let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
            (
                repeated.end_second(now.as_second()),
                repeated.is_new(level, &message),
            )
        };
        for (level, message, count) in counted {
            self.write(
                now,
                level,
                &format!("{count} more times within a second: {message}"),
                || entry::repeated(now, level, &message, count),
            );
        }
        if is_new {
            self.write(now, level, &message, || entry.json(now, level));
        } else {
            measures::log_line_repeated();
        }
    }
}

/// Lines of one second that are compared with later ones; further ones are written without being remembered.
const REMEMBERED: usize = 256;

/// The lines of the present second, and how often each came again: a flood of one line must not fill the disk.
#[derive(Debug, Default)]
struct Repeated {
    second: i64,
    lines: HashMap<String, (Level, u64)>,
}

impl Repeated {
    /// In another second than before, the lines that came again, with how often.
    fn end_second(&mut self, second: i64) -> Vec<(Level, String, u64)> {
        if second == self.second {
            return Vec::new();
        }
        self.second = second;
        let mut counted: Vec<_> = self
            .lines
            .drain()
            .filter(|(_, (_, count))| *count > 0)
            .map(|(message, (level, count))| (level, message, count))
            .collect();
        counted.sort_unstable_by(|one, other| one.1.cmp(&other.1));
        counted
    }

    /// Whether the line is the first of its kind; it is counted otherwise.
    fn is_new(&mut self, level: Level, message: &str) -> bool {
        if let Some((_, count)) = self.lines.get_mut(message) {
            *count += 1;
            return false;
        }
        if self.lines.len() < REMEMBERED {
            self.lines.insert(message.to_owned(), (level, 0));
        }
        true
    }
}

/// The scope of a span, kept beside it.
struct Scope(String);

/// The innermost scope around an event.
fn scope_of<S: Subscriber + for<'a> LookupSpan<'a>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> Option<String> {
    context
        .event_scope(event)?
        .find_map(|span| span.extensions().get::<Scope>().map(|scope| scope.0.clone()))
}

/// Reads [`CONTEXT_FIELD`].
#[derive(Default)]
struct ScopeText(Option<String>);

impl Visit for ScopeText {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == CONTEXT_FIELD {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
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

/// Sends what this thread logs to a file of its own, for tests.
#[cfg(test)]
pub(crate) mod capture {
    use std::{
        fs,
        sync::{
            OnceLock,
            atomic::{AtomicI64, Ordering},
        },
        time::Duration,
    };

    use tracing::{Dispatch, subscriber::DefaultGuard};

    use super::*;
    use crate::domain::clock::{Sleep, Working};

    /// Logs of this thread until it is dropped.
    pub(crate) struct Captured {
        folder: tempfile::TempDir,
        _guard: DefaultGuard,
    }

    /// Wants every line. While one listener alone is known, a line that a thread without any reaches first counts as
    /// unwanted by all; this one sees to it that there is another.
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();

    pub(crate) fn capture() -> Captured {
        ANOTHER.get_or_init(|| Dispatch::new(Registry::default()));
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SteppingClock(AtomicI64::new(1_900_000_000)));
        let file = LogFile::new(
            folder.path().join("engine.log"),
            TimeZone::UTC,
            Kept::Files(KEPT_FILES),
        );
        let log = EngineLog::new(file, clock, None).with_filter(LevelFilter::INFO);
        Captured {
            _guard: tracing::subscriber::set_default(Registry::default().with(log)),
            folder,
        }
    }

    /// Passes a second with each reading, so that equal lines are not counted as repeats.
    #[derive(Debug)]
    struct SteppingClock(AtomicI64);

    impl Clock for SteppingClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep_until(&self, _: Duration) -> Sleep<'_> {
            Box::pin(std::future::pending())
        }

        fn working(&self) -> Working {
            Working::uncounted()
        }
    }

    impl Captured {
        /// The messages that came so far.
        pub(crate) fn messages(&self) -> Vec<String> {
            fs::read_to_string(self.folder.path().join("engine.log"))
                .unwrap_or_default()
                .lines()
                .map(|line| line.split_once("-engine-").unwrap().1.to_owned())
                .collect()
        }
    }
}

#[cfg(test)]
mod tests;
