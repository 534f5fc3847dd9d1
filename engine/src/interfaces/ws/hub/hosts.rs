//! Which sessions are those of a host's device, remembered for a moment: a minute full of jobs asks for a thousand
//! hosts in a row, and each answer from scratch would look at every session.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Hub;
use crate::{
    interfaces::ws::session::Session,
    repositories::Store,
    services::realtime::{Identity, Rights},
};

/// How long an answer is believed while no session comes or goes. A device that is renamed meanwhile is found under
/// its new name at the next tick.
const BELIEVED: Duration = Duration::from_secs(1);

/// The sessions by the host names of their devices, as they were at a moment.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the sessions that came and went.
    changes: u64,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    since: Duration,
    hosts: HashMap<String, Vec<Arc<Session>>>,
}

impl HostIndex {
    /// A session came or went: what was known is not the whole any more.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.changes = state.changes.wrapping_add(1);
        state.known = None;
    }

    fn find(&self, host: &str, now: Duration) -> Option<Vec<Arc<Session>>> {
        let state = self.state();
        let known = state.known.as_ref()?;
        (now.saturating_sub(known.since) < BELIEVED)
            .then(|| known.hosts.get(&name_of(host)).cloned().unwrap_or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host names are compared as agents compare them.
pub(super) fn name_of(host: &str) -> String {
    host.trim().to_lowercase()
}

impl<S: Store> Hub<S> {
    /// The sessions of the device of this name; whether they still have their rights is not looked at.
    pub(super) async fn of_host(&self, host: &str) -> Vec<Arc<Session>> {
        let now = self.access().monotonic();
        if let Some(sessions) = self.hosts.find(host, now) {
            return sessions;
        }
        let changes = self.hosts.state().changes;
        let mut hosts: HashMap<String, Vec<Arc<Session>>> = HashMap::new();
        for session in self.all() {
            if matches!(session.standing.identity(), Identity::Device(_))
                && let Rights::Device {
                    hostname: Some(own), ..
                } = self.access().rights(&session.standing).await
            {
                hosts.entry(name_of(&own)).or_default().push(session);
            }
        }
        let sessions = hosts.get(&name_of(host)).cloned().unwrap_or_default();
        let mut state = self.hosts.state();
        if state.changes == changes {
            state.known = Some(Known { since: now, hosts });
        }
        sessions
    }
}
