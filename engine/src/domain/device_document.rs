//! The device document: a row of `devices` as JSON, how a report is merged into it, and what of it goes
//! back into columns.
//!
//! The way of every rewrite is [`DeviceRow`] (as stored) → [`DeviceSnapshot`] (normalised) → document (JSON, perhaps
//! [merged](merge::merge) with a report) → [`DeviceUpsert`] (columns).

mod columns;
pub mod merge;
mod row;
mod snapshot;
mod upsert;

pub use columns::{push_list, push_object};
pub use row::DeviceRow;
pub use snapshot::DeviceSnapshot;
pub use upsert::DeviceUpsert;

/// The members of a document that are lists, each in a column of its own name.
pub const LISTS: [&str; 4] = ["memory", "network", "software", "storage"];

#[cfg(test)]
mod tests;
