//! What tests of a whole server share: starting one, its clock and rows, devices, operators and sockets.

pub(crate) mod agents;
pub(crate) mod answer;
pub(crate) mod browser;
pub(crate) mod enrollment;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod rows;
pub(crate) mod server;
pub(crate) mod socket;

/// When the clock of every server here starts, Unix seconds: 2027-01-15T08:00:00Z.
pub(crate) const START: i64 = 1_800_000_000;
/// The GUID of most tests' device.
pub(crate) const GUID: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
/// Another device's.
pub(crate) const OTHER: &str = "00000000-0000-4000-8000-000000000002";
/// The agent that runs as the system on [`GUID`].
pub(crate) const AGENT: &str = "WIN-1_3F2504E0-4F89-11D3-9A0C-0305E82C3301_SYSTEM";
