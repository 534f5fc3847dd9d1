//! Log lines about what was refused, few enough that nobody fills the log with them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::peer::{Client, logged_id};
use crate::{
    domain::{clock::Clock, mask::shown},
    services::realtime::Identity,
};

/// Log lines about refused events and connections within [`WINDOW`]; further ones are counted only.
const MOST_LOGGED: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// What was refused lately.
#[derive(Debug)]
pub(super) struct Refusals {
    clock: Arc<dyn Clock>,
    recent: Mutex<Recent>,
}

/// How many refusals were logged in the present window.
#[derive(Debug, Default)]
struct Recent {
    since: Duration,
    count: u32,
}

impl Refusals {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            recent: Mutex::default(),
        }
    }

    /// Writes that an event was refused, unless many were.
    pub(super) fn log_event(&self, client: &Client, event: &str) {
        self.log(|| {
            let identity = client.peer.principal.identity();
            let hint = match identity {
                Identity::Operator(_) if event == "ansible_playbook_run" => {
                    Some("playbooks are run over HTTP, where they are signed and recorded")
                }
                _ => None,
            };
            tracing::warn!(
                event,
                by = %shown(&who(identity)),
                sid = %logged_id(client),
                ip = %client.peer.handshake.address,
                hint,
                "socket.io event refused"
            );
        });
    }

    /// Writes that something was refused, unless much was.
    pub(super) fn log(&self, log: impl FnOnce()) {
        let now = self.clock.monotonic();
        let number = {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if now.saturating_sub(recent.since) >= WINDOW {
                *recent = Recent { since: now, count: 0 };
            }
            recent.count = recent.count.saturating_add(1);
            recent.count
        };
        if number <= MOST_LOGGED {
            log();
        }
        if number == MOST_LOGGED {
            tracing::warn!("socket.io further refusals are not logged for a while");
        }
    }
}

/// Whom a connection belongs to, for the log.
fn who(identity: &Identity) -> String {
    match identity {
        Identity::Anonymous => "nobody".to_owned(),
        Identity::Operator(credential) => format!("operator {}", credential.username),
        Identity::Device(claims) => format!("device {}", claims.guid()),
    }
}
