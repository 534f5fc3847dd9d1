//! A Socket.IO 5 server over Engine.IO 4, in bounded memory.
//!
//! [`socket_io`] is what most applications want: namespaces, events, acknowledgements, attachments. [`engine_io`] is the
//! layer below: messages over polling or a websocket. An application implements one trait of either layer and gives it to
//! a [`Server`]; `README.md` beside this crate says what is promised and why.
//!
//! [`Server`]: engine_io::Server

#![warn(missing_docs)]

pub mod engine_io;
pub mod environment;
mod json_text;
pub mod long_work;
pub mod settings;
pub mod socket_io;
pub mod testing;

pub use bytes::Bytes;
pub use settings::{Leniency, Limits, Settings};
