//! What is measured of the running server, by name: the one list of it.
//!
//! Every layer calls these functions where the thing happens. They go through the `metrics` facade, as log lines go
//! through `tracing`: where nobody has installed a recorder (`integrations/recorder.rs` does, when metrics are served) they
//! do nothing. The values of labels come from the server's own short lists, never from a caller, so their number is
//! bounded.

use std::{ffi::OsStr, fmt, path::Path, time::Duration};

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::job_runs::status;

const REQUESTS: &str = "borealis_http_requests_total";
const REQUEST_SECONDS: &str = "borealis_http_request_duration_seconds";
const RESPONSE_BYTES: &str = "borealis_http_response_bytes_total";
const SOCKETS: &str = "borealis_sockets";
const SOCKET_BYTES: &str = "borealis_socket_bytes_waiting";
const UNDELIVERED: &str = "borealis_undelivered_work";
const PLAYBOOKS: &str = "borealis_server_playbooks";
const RUNS: &str = "borealis_runs_ended_total";
const DATABASE_SECONDS: &str = "borealis_database_wait_seconds";
const DATABASE_WAITING: &str = "borealis_database_waiting";
const DATABASE_BUSY: &str = "borealis_database_busy_total";
const LOG_LOST: &str = "borealis_log_lines_lost_total";
const LOG_REPEATED: &str = "borealis_log_lines_repeated_total";
const BUILD: &str = "borealis_build_info";

/// The name of every histogram ends so: they hold durations.
pub const SECONDS: &str = "_seconds";

/// Says what each is, for whoever reads them.
pub fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests that were answered, by method, route and status."
    );
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "From the head of a request to the head of its answer."
    );
    describe_counter!(
        RESPONSE_BYTES,
        Unit::Bytes,
        "Bytes of answers' bodies that were handed to connections, by route."
    );
    describe_gauge!(
        SOCKETS,
        "Connections of the channel, by what they showed when they connected."
    );
    describe_gauge!(
        SOCKET_BYTES,
        Unit::Bytes,
        "Bytes that connections have sent and that wait to be handled."
    );
    describe_gauge!(
        UNDELIVERED,
        "Work for agents whose arrival was not acknowledged, by what made it."
    );
    describe_gauge!(
        PLAYBOOKS,
        "Playbooks on the server that wait for their turn, and that run."
    );
    describe_counter!(RUNS, "Runs of scheduled jobs that have ended, by how.");
    describe_histogram!(
        DATABASE_SECONDS,
        Unit::Seconds,
        "How long a request or a task waited until it could read or write."
    );
    describe_gauge!(
        DATABASE_WAITING,
        "Who waits at this moment until the database can be read or written."
    );
    describe_counter!(
        DATABASE_BUSY,
        "Those that gave up waiting for the database, and answered 503 or a database error."
    );
    describe_counter!(
        LOG_LOST,
        "Lines that could not be written to a log, or came faster than they could be."
    );
    describe_counter!(
        LOG_REPEATED,
        "Lines that were counted instead of written, because an equal one came within the second."
    );
    describe_gauge!(BUILD, "Always 1; the label is the server's version.");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // There from the beginning, so that the first one is an increase.
    for end in ENDS {
        counter!(RUNS, "end" => end).absolute(0);
    }
    for log in [Log::Engine, Log::Audit, Log::Access] {
        counter!(LOG_LOST, "log" => log.name()).absolute(0);
    }
    counter!(LOG_REPEATED).absolute(0);
    for access in [Access::Read, Access::Write] {
        counter!(DATABASE_BUSY, "access" => access.name()).absolute(0);
        gauge!(DATABASE_WAITING, "access" => access.name()).set(0.0);
    }
    for state in [WAITING, RUNNING] {
        gauge!(PLAYBOOKS, "state" => state).set(0.0);
    }
}

/// A request was answered. `route` is its template, or one of a few words for what has none.
pub fn request(method: &'static str, route: &str, status: u16, took: Duration) {
    let route = route.to_owned();
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    histogram!(REQUEST_SECONDS, "method" => method, "route" => route).record(took);
}

/// So many bytes of an answer's body were handed to its connection.
pub fn response_bytes(route: &str, bytes: u64) {
    counter!(RESPONSE_BYTES, "route" => route.to_owned()).increment(bytes);
}

/// The connections of the channel at this moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SocketCounts {
    pub agents: usize,
    pub operators: usize,
    pub anonymous: usize,
    /// Bytes that they have sent and that wait to be handled.
    pub waiting_bytes: usize,
}

pub fn sockets(counts: SocketCounts) {
    for (kind, count) in [
        ("agent", counts.agents),
        ("operator", counts.operators),
        ("anonymous", counts.anonymous),
    ] {
        gauge!(SOCKETS, "kind" => kind).set(as_float(count));
    }
    gauge!(SOCKET_BYTES).set(as_float(counts.waiting_bytes));
}

/// Work whose arrival was not acknowledged; `None` where that cannot be found out now.
pub fn undelivered(of_jobs: Option<usize>, of_quick_runs: Option<usize>) {
    for (kind, count) in [("job", of_jobs), ("quick_run", of_quick_runs)] {
        gauge!(UNDELIVERED, "kind" => kind).set(count.map_or(f64::NAN, as_float));
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of what is in memory are far below 2^53"
)]
fn as_float(count: usize) -> f64 {
    count as f64
}

const WAITING: &str = "waiting";
const RUNNING: &str = "running";

/// A playbook on the server waits for its turn until this is dropped.
pub fn playbook_waits() -> Raised {
    Raised::new(gauge!(PLAYBOOKS, "state" => WAITING))
}

/// A playbook on the server runs until this is dropped.
pub fn playbook_runs() -> Raised {
    Raised::new(gauge!(PLAYBOOKS, "state" => RUNNING))
}

/// The ends that the server knows. Agents may report any word.
const ENDS: [&str; 5] = [
    status::SUCCESS,
    status::FAILED,
    status::EXPIRED,
    status::TIMED_OUT,
    "other",
];

/// A run of a job has ended with this status.
pub fn run_ended(status: &str) {
    let end = ENDS.into_iter().find(|known| *known == status).unwrap_or("other");
    counter!(RUNS, "end" => end).increment(1);
}

/// What somebody waits for the database for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Somebody waits for the database until this is dropped.
pub fn database_waits(access: Access) -> Raised {
    Raised::new(gauge!(DATABASE_WAITING, "access" => access.name()))
}

/// Somebody waited for the database; `in_vain` where it was not to be had.
pub fn database_waited(access: Access, waited: Duration, in_vain: bool) {
    histogram!(DATABASE_SECONDS, "access" => access.name()).record(waited);
    if in_vain {
        counter!(DATABASE_BUSY, "access" => access.name()).increment(1);
    }
}

/// The server's logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Log {
    Engine,
    Audit,
    Access,
}

impl Log {
    /// The one that is kept in this file.
    pub fn kept_in(file: &Path) -> Self {
        match file.file_stem().and_then(OsStr::to_str) {
            Some("audit") => Self::Audit,
            Some("access") => Self::Access,
            _ => Self::Engine,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Audit => "audit",
            Self::Access => "access",
        }
    }
}

/// A line was lost.
pub fn log_line_lost(log: Log) {
    counter!(LOG_LOST, "log" => log.name()).increment(1);
}

/// A line was counted instead of written.
pub fn log_line_repeated() {
    counter!(LOG_REPEATED).increment(1);
}

/// Raises a gauge by one for as long as it lives, however what it counts ends.
#[must_use]
pub struct Raised(Gauge);

impl fmt::Debug for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Raised").finish_non_exhaustive()
    }
}

impl Raised {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
