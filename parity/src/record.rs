//! Recording: clients talk to a server through a proxy, and what passed becomes a scenario and its snapshot.
//!
//! ```text
//! proxy.rs      bytes pass both ways as they are; a copy of each goes onto the tape
//! tape.rs       the copies, in the order in which they passed, bounded
//! wire.rs       tape -> HTTP exchanges and websocket messages        (websocket.rs)
//! channel.rs    exchanges and messages -> Socket.IO sessions
//! draft.rs      all of it -> steps in order                          (clients.rs: who did what)
//! waits.rs      repeats are left out, events are waited for
//! secrets.rs    passwords become other ones
//! values.rs     what the server made up gets a name                  (made.rs: what clients computed is computed again)
//! plan.rs       what is known beside what passed
//! compose.rs    steps -> a recording, as `parity import` reads it
//! ```

mod certificate;
mod channel;
mod clients;
mod compose;
mod draft;
mod journal;
mod made;
mod plan;
mod proxy;
mod secrets;
mod summary;
mod tape;
mod tls;
mod values;
mod waits;
mod websocket;
mod wire;

pub use compose::{Composed, compose};
pub use journal::Journal;
pub use plan::{Plan, agent_of};
pub use proxy::{Proxy, ProxyError};
pub use summary::Summary;
pub use tape::{Clock, Limits, SystemClock};
pub use tls::{Front, FrontError, Upstream, UpstreamError};

#[cfg(test)]
mod tests;
