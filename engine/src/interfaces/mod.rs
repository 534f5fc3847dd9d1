//! What the outside calls: HTTP and Socket.IO. Extract, call one service, render; no rules, no SQL.

pub mod http;
pub mod ws;
