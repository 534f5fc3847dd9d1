//! A load program beside a real server process: measures, and judges nothing but what a soak and a delivery show. Nothing
//! here runs in tests or in CI.

#![allow(clippy::disallowed_methods, reason = "what is measured here is real time")]

mod agents;
mod channel;
mod client;
mod crowd;
mod delivery;
mod enrollment;
mod fleet;
mod growth;
mod health;
mod heartbeat;
mod jobs;
mod latency;
mod lists;
mod operator;
mod page;
mod proxy;
mod pulse;
mod raw;
mod refresh;
mod relay;
mod screenshots;
mod server;
mod siege;
mod soak;
mod start;
mod storm;
pub(crate) mod usage;

use std::{borrow::Cow, path::PathBuf, time::Duration};

pub use channel::{ChannelPlan, Comparison, Row, compare};
pub use delivery::{DeliveryPlan, DeliveryReport, deliver};
pub use growth::{Growth, Point, grow};
pub use latency::Latencies;
pub use lists::{ListPlan, ListReport, ListRow, Round, Shares, Waits, measure_lists};
pub use page::{Measured, Setting, page};
pub use server::{ServerError, ServerProcess};
pub use siege::{Assault, besiege};
pub use soak::{MINUTES_HEAD, Minute, Slopes, SoakPlan, SoakReport, soak};

use crate::socket_io::{CloseReason, ConnectError};

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// From the start of the process to its first answer, and its memory when idle.
    Start,
    /// The route that does nothing, and the same answer of a bare axum server by turns.
    Health,
    /// Devices that ask to join and poll once.
    Enrollment,
    /// Token refreshes over a few connections.
    Refresh,
    /// Heartbeats of many devices over a few connections.
    Heartbeat,
    /// Agents that are connected and report every 30 seconds; then all of them drop and come back at once.
    Agents,
    /// A screenshot of a megabyte to many operators.
    Relay,
    /// Ten screenshots of 50 MB at once to one operator: what the heartbeats of a fleet wait before and meanwhile.
    Screenshots,
    /// A job for each of many agents, all due in the same minute.
    Jobs,
    /// The lists that operators look at in a large installation, while the fleet reports beside them.
    Lists,
    /// The proxy of `parity record`: latency and throughput with and without it.
    Proxy,
    /// What one hostile peer can do, attack by attack, while agents and operators work.
    Siege,
    /// Figures at a tenth of the size and at the whole of it; only where it is named.
    Growth,
    /// A mixed day of agents and operators, compressed: memory, files, journal and log by the minute; only where it is named.
    Soak,
    /// Scripts on their way to agents whose connections are cut, while the server is restarted and killed: does every run
    /// end, and none twice? Only where it is named.
    Delivery,
    /// This project's Socket.IO server and socketioxide under the same load, in one table; only where it is named.
    Channel,
}

impl Load {
    /// As it is called on the command line.
    pub fn name(self) -> String {
        use clap::ValueEnum as _;
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// The server's binary.
    pub engine: PathBuf,
    /// How many devices there are.
    pub devices: usize,
    /// How many connections send requests at the same time.
    pub connections: usize,
    /// How many operators look on.
    pub operators: usize,
    /// How long each measurement goes on.
    pub duration: Duration,
    /// How long the server is left alone after an attack, until its memory is read again.
    pub rest: Duration,
    /// Whether agents are measured over TLS too.
    pub tls: bool,
    /// Of the siege only attacks whose names contain this.
    pub attack: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Figure {
    pub name: Cow<'static, str>,
    pub value: f64,
    pub unit: &'static str,
}

impl Figure {
    fn new(name: impl Into<Cow<'static, str>>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What is to be measured has no such name.
    #[error("nothing of that name is measured; there are: {0}")]
    NothingChosen(String),
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The devices could not be put into the database.
    #[error("the database of the measured server: {0}")]
    Database(#[from] sqlx::Error),
    /// A connection failed.
    #[error("a connection failed: {0}")]
    Connection(#[from] client::ClientError),
    /// The server refused what it should take.
    #[error("{request} was answered with {status}")]
    Refused { request: &'static str, status: u16 },
    /// A client could not connect to the channel.
    #[error("the channel: {0}")]
    Channel(#[from] ConnectError),
    /// A client's connection to the channel ended.
    #[error("the channel was closed: {0}")]
    Closed(#[from] CloseReason),
    /// Something that must come did not.
    #[error("{0} did not come in time")]
    Missing(&'static str),
    /// The proxy that is measured.
    #[error(transparent)]
    Proxy(#[from] crate::record::ProxyError),
    /// A part of the load ended early.
    #[error("a part of the load ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Puts one kind of load on a fresh server.
pub async fn measure(load: Load, plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    match load {
        Load::Start => start::measure(plan).await,
        Load::Health => health::measure(plan).await,
        Load::Enrollment => enrollment::measure(plan).await,
        Load::Refresh => refresh::measure(plan).await,
        Load::Heartbeat => heartbeat::measure(plan).await,
        Load::Agents => agents::measure(plan).await,
        Load::Relay => relay::measure(plan).await,
        Load::Screenshots => screenshots::measure(plan).await,
        Load::Jobs => jobs::measure(plan).await,
        Load::Proxy => proxy::measure(plan).await,
        // They have more to tell than figures: `besiege`, `compare`, `measure_lists`, `soak`, `grow` and `deliver`.
        Load::Siege | Load::Channel | Load::Lists | Load::Soak | Load::Growth | Load::Delivery => {
            Ok(Vec::new())
        }
    }
}
