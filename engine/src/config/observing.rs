//! What the server shows of itself to those who run it, beside its log.

use std::net::SocketAddr;

use super::reader::Reader;

/// How log lines are written to the terminal: variable `BOREALIS_LOG_FORMAT`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs that collect logs.
    Json,
}

/// Variables `BOREALIS_LOG_FORMAT`, `BOREALIS_ACCESS_LOG` and `BOREALIS_METRICS_ADDR`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ObservingSettings {
    /// How log lines are written to the terminal.
    pub log_format: LogFormat,
    /// Whether each request has its line in the access log.
    pub access_log: bool,
    /// Where metrics are served; nowhere by default.
    pub metrics: Option<SocketAddr>,
}

impl ObservingSettings {
    /// Where metrics are served, where others than this machine can reach it.
    pub fn public_metrics(&self) -> Option<SocketAddr> {
        self.metrics.filter(|address| !address.ip().is_loopback())
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> ObservingSettings {
    ObservingSettings {
        log_format: reader.parsed(
            "BOREALIS_LOG_FORMAT",
            LogFormat::Text,
            "text or json",
            |value| match value.to_ascii_lowercase().as_str() {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            },
        ),
        access_log: reader.switch("BOREALIS_ACCESS_LOG", false),
        metrics: reader.parsed(
            "BOREALIS_METRICS_ADDR",
            None,
            "an address with its port, such as 127.0.0.1:9464 or [::1]:9464",
            |value| value.parse().ok().map(Some),
        ),
    }
}
