//! The time of a run: the scenario's own where the server's clock can be set, else what the clocks of this world show.

use std::time::Duration;

use jiff::Timestamp;

use crate::scenario::{
    clock::{ScenarioClock, real_time},
    model::{Action, Step},
};

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

#[allow(
    clippy::disallowed_methods,
    reason = "the server's clock is the real one, so waiting takes its time"
)]
async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}
