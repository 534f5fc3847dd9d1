//! Keeps what is measured, and writes it down for Prometheus.
//!
//! The recorder is the process's, as its log is: whichever engine begins first installs it, and several engines in one
//! process count together.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use crate::domain::measures;

/// Upper bounds of the classes of every duration, in seconds: from one request alone to the longest deadline.
const BOUNDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

static INSTALLED: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();

/// What was measured so far.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl std::fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Measures from now on.
    ///
    /// # Errors
    /// Something else of this process measures already.
    pub fn install() -> Result<Self, String> {
        let installed = INSTALLED.get_or_init(|| {
            let handle = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix(measures::SECONDS.to_owned()), &BOUNDS)
                .and_then(PrometheusBuilder::install_recorder)
                .map_err(|error| error.to_string())?;
            measures::describe();
            Collector::default().describe();
            Ok(handle)
        });
        installed.clone().map(Self)
    }

    /// Everything, in Prometheus' text form.
    pub fn text(&self) -> String {
        // Memory, processor time and open files of the process, as they are now.
        Collector::default().collect();
        self.0.render()
    }

    /// Puts measured durations into their classes. Until then each is kept by itself, so this has to be done also where
    /// nobody reads.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}
