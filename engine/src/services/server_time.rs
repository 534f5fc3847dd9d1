//! The server's time and its zone. Short because the clock and the domain do the rest.

use jiff::tz::TimeZone;

use super::Environment;
use crate::domain::server_time::ServerTime;

/// Reads the clock.
#[derive(Debug)]
pub struct ServerTimeService {
    environment: Environment,
    zone: TimeZone,
}

impl ServerTimeService {
    pub fn new(environment: Environment, zone: TimeZone) -> Self {
        Self { environment, zone }
    }

    /// What the clock shows now.
    pub fn now(&self) -> ServerTime {
        let clock = &self.environment.clock;
        ServerTime::new(clock.now(), clock.now(), &self.zone)
    }
}
