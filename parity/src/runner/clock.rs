//! The time of a run: the scenario's own where the server's clock can be set, else what the clocks of this world show.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use regex::Regex;

use crate::{
    scenario::{
        clock::{ScenarioClock, real_time},
        model::{Action, Step},
    },
    transcript::LeftFile,
};

const SECOND_US: i64 = 1_000_000;
/// A time in a file's name is of the run if it is as near as this.
const NEAR_US: i64 = 3600 * SECOND_US;
/// How servers write times into names of files.
const FORM: &str = "%Y%m%dT%H%M%SZ";

static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b\d{8}T\d{6}Z").ok());

/// Where a run stands in time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// It is set from step to step.
    Set {
        clock: ScenarioClock,
        started_at_us: i64,
    },
    /// It runs.
    Real {
        /// Unix time, in microseconds, on the server's clock.
        started_at_us: i64,
        /// How far the server's clock is ahead.
        ahead_us: i64,
    },
}

impl Clock {
    pub(super) fn set(started_at_us: i64) -> Self {
        Self::Set {
            clock: ScenarioClock::new(started_at_us),
            started_at_us,
        }
    }

    pub(super) fn real(ahead_us: i64) -> Self {
        Self::Real {
            started_at_us: real_time().as_microsecond().saturating_add(ahead_us),
            ahead_us,
        }
    }

    /// A clock that runs, from a moment on that has the same fraction of a second as this one: so what a server rounds to
    /// whole seconds is rounded as it was there.
    pub(super) async fn at_the_fraction_of(moment_us: i64, ahead_us: i64) -> Self {
        let now = real_time().as_microsecond().saturating_add(ahead_us);
        let wait = (moment_us - now).rem_euclid(SECOND_US);
        sleep(Duration::from_micros(u64::try_from(wait).unwrap_or(0))).await;
        Self::real(ahead_us)
    }

    pub(super) fn is_real(&self) -> bool {
        matches!(self, Self::Real { .. })
    }

    /// Unix time, in microseconds, at which the run began.
    pub(super) fn started_at_us(&self) -> i64 {
        match self {
            Self::Set { started_at_us, .. } | Self::Real { started_at_us, .. } => *started_at_us,
        }
    }

    /// Microseconds since then.
    pub(super) fn at_us(&self) -> i64 {
        match self {
            Self::Set { clock, .. } => clock.at_us(),
            Self::Real {
                started_at_us,
                ahead_us,
            } => real_time().as_microsecond().saturating_add(*ahead_us) - started_at_us,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.started_at_us().saturating_add(self.at_us())).unwrap_or_default()
    }

    /// Moves on to a step: a clock that can be set is, for another one a wait takes its time.
    pub(super) async fn advance(&mut self, step: &Step) {
        match self {
            Self::Set { clock, .. } => clock.advance(step),
            Self::Real { .. } => {
                if let Action::Wait { microseconds } = step.action {
                    sleep(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))).await;
                }
            }
        }
    }
}

/// The files that a run left which began at `run_us`, by the names that they would have if it had begun at `began_us`:
/// only times of that run in them move.
pub(crate) fn retimed(
    files: BTreeMap<String, LeftFile>,
    run_us: i64,
    began_us: i64,
) -> BTreeMap<String, LeftFile> {
    let renamed = files
        .into_iter()
        .map(|(name, file)| (retimed_name(&name, run_us, began_us), file));
    renamed.collect()
}

fn retimed_name(name: &str, run_us: i64, began_us: i64) -> String {
    let Some(pattern) = STAMP.as_ref() else {
        return name.to_owned();
    };
    let stamp = |found: &regex::Captures<'_>| {
        let text = found.get(0).map_or("", |text| text.as_str());
        let at = DateTime::strptime(FORM, text)
            .ok()
            .and_then(|civil| TimeZone::UTC.to_timestamp(civil).ok());
        let offset = at.map(|at| at.as_microsecond() - run_us);
        let near = offset.filter(|offset| offset.abs() < NEAR_US);
        // What a server writes at its start it writes at the beginning.
        let moved = near.and_then(|offset| Timestamp::from_microsecond(began_us + offset.max(0)).ok());
        moved.map_or_else(|| text.to_owned(), |moved| moved.strftime(FORM).to_string())
    };
    pattern.replace_all(name, stamp).into_owned()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the server's clock is the real one, so waiting takes its time"
)]
pub(super) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_as_they_would_be_at_another_time() {
        let run: Timestamp = "2026-11-29T20:43:24.5Z".parse().unwrap();
        let other: Timestamp = "2026-11-28T10:00:00.5Z".parse().unwrap();
        for (name, moved) in [
            (
                "database.db.before-20261129T204326Z",
                "database.db.before-20261128T100002Z",
            ),
            (
                "database.db.before-20261129T204322Z",
                "database.db.before-20261128T100000Z",
            ),
            ("old.before-20251129T204326Z", "old.before-20251129T204326Z"),
            ("plain.txt", "plain.txt"),
        ] {
            let name = retimed_name(name, run.as_microsecond(), other.as_microsecond());
            assert_eq!(name, moved);
        }
    }
}
