//! Connections that cannot be accepted.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::domain::clock::Clock;

/// How often it is logged that the open files have run out.
const EACH: Duration = Duration::from_secs(60);
/// The error numbers of `EMFILE` and `ENFILE`, on every Unix that the server runs on.
const TOO_MANY_OPEN_FILES: [i32; 2] = [24, 23];

/// Says in the log why connections are not accepted: the listener itself only tries again.
#[derive(Clone, Debug)]
pub struct AcceptErrors {
    clock: Arc<dyn Clock>,
    /// How many files may be open; `None` is no limit.
    files: Option<u64>,
    /// When it was last logged, and how often it has happened since.
    last: Arc<Mutex<(Option<Duration>, u64)>>,
}

impl AcceptErrors {
    /// With the time of `clock`; `files` is how many files may be open.
    pub fn new(clock: Arc<dyn Clock>, files: Option<u64>) -> Self {
        Self {
            clock,
            files,
            last: Arc::default(),
        }
    }

    /// Records that a connection was not accepted.
    pub fn note(&self, error: &io::Error) {
        if !error
            .raw_os_error()
            .is_some_and(|number| TOO_MANY_OPEN_FILES.contains(&number))
        {
            tracing::debug!(%error, "a connection was not accepted");
            return;
        }
        let now = self.clock.monotonic();
        let times = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.1 += 1;
            if last.0.is_some_and(|at| now.saturating_sub(at) < EACH) {
                return;
            }
            last.0 = Some(now);
            std::mem::take(&mut last.1)
        };
        let limit = self
            .files
            .map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
        tracing::error!(
            "new connections wait: all files that may be open are open ({limit}; {error}; met {times} times since \
             this was last logged). Raise the limit: LimitNOFILE of the service, or ulimit -n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::logging::capture::capture,
        testkit::{START, clock_at},
    };

    #[test]
    fn running_out_of_open_files_is_logged_once_a_minute_with_the_number() {
        let log = capture();
        let clock = clock_at(START);
        let start = clock.now();
        let errors = AcceptErrors::new(clock.clone(), Some(1024));
        let full = io::Error::from_raw_os_error(24);
        for second in 0..130 {
            clock.set(start + Duration::from_secs(second));
            errors.note(&full);
        }
        errors.note(&io::ErrorKind::ConnectionAborted.into());
        let lines = log.messages();
        assert_eq!(lines.len(), 3, "{lines:?}");
        for (line, times) in lines.iter().zip(["met 1 times", "met 60 times", "met 60 times"]) {
            assert!(line.contains("1024") && line.contains(times), "{line}");
        }
    }
}
