//! The scenario's time, from step to step.

use jiff::Timestamp;

use super::model::{Action, Step};

/// What this machine's clock shows, for servers whose clock cannot be set.
#[allow(
    clippy::disallowed_methods,
    reason = "a server that is not in this process has the real time, and nobody can give it another"
)]
pub fn real_time() -> Timestamp {
    Timestamp::now()
}

/// Where a run stands in the scenario's time.
#[derive(Clone, Copy, Debug)]
pub struct ScenarioClock {
    started_at_us: i64,
    at_us: i64,
}

impl ScenarioClock {
    /// The start.
    pub fn new(started_at_us: i64) -> Self {
        Self {
            started_at_us,
            at_us: 0,
        }
    }

    /// Moves on to a step: to its own time if it has one, after a wait by as much as it waits, never back.
    pub fn advance(&mut self, step: &Step) {
        let own = match (step.at_us, &step.action) {
            (Some(at_us), _) => at_us,
            (None, Action::Wait { microseconds }) => self.at_us.saturating_add(*microseconds),
            (None, _) => self.at_us,
        };
        self.at_us = self.at_us.max(own);
    }

    /// Microseconds since the start.
    pub fn at_us(&self) -> i64 {
        self.at_us
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.started_at_us.saturating_add(self.at_us)).unwrap_or_default()
    }
}
