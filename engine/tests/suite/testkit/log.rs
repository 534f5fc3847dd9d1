//! The log of a server that runs on the test's own thread.

use std::{path::Path, sync::Arc};

use borealis_engine::{
    config::{
        log_file::{KEPT_FILES, Kept, LogFile},
        logging::EngineLog,
        observing::LogFormat,
    },
    domain::clock::Clock,
};
use jiff::tz::TimeZone;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{Layer as _, Registry, filter::LevelFilter, layer::SubscriberExt as _};

/// Sends what this thread logs to a file, as long as the guard lives.
pub(crate) fn log_into(
    file: &Path,
    clock: Arc<dyn Clock>,
    with_levels: bool,
    level: LevelFilter,
) -> DefaultGuard {
    let file = LogFile::new(file.to_owned(), TimeZone::UTC, Kept::Files(KEPT_FILES));
    let log = EngineLog::new(file, clock, with_levels.then_some(LogFormat::Text)).with_filter(level);
    tracing::subscriber::set_default(Registry::default().with(log))
}
