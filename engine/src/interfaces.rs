//! What the outside calls: HTTP and Socket.IO. Extract, call one service, render; no rules, no SQL.

pub mod events;
pub mod http;
