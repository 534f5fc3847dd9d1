//! All sessions, and who of them gets which event.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinSet;

use super::{packet::event_frames, session::Session};
use crate::{
    domain::clock::BoxFuture,
    repositories::Store,
    services::{
        realtime::{Audience, Channel, ChannelAccess, Identity, Payload, Rights},
        scheduler::channel::{Eventual, PendingReceipt, Receipt},
    },
};

/// Sessions that may be open; far above any fleet.
const MOST_SESSIONS: usize = 50_000;

/// The sessions by their Engine.IO ids.
pub struct Hub<S> {
    access: Arc<ChannelAccess<S>>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

impl<S> fmt::Debug for Hub<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl<S: Store> Hub<S> {
    /// No sessions.
    pub fn new(access: Arc<ChannelAccess<S>>) -> Self {
        Self {
            access,
            sessions: Mutex::default(),
        }
    }

    /// Tells every client that the server stops, and ends its session.
    pub fn close(&self) {
        for session in self.all() {
            session.dismiss();
        }
    }

    pub(super) fn access(&self) -> &ChannelAccess<S> {
        &self.access
    }

    /// False where there is no room for another.
    pub(super) fn add(&self, session: &Arc<Session>) -> bool {
        let mut sessions = self.sessions();
        if sessions.len() >= MOST_SESSIONS {
            return false;
        }
        sessions.insert(session.id.clone(), Arc::clone(session));
        true
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        self.sessions().remove(id);
    }

    fn all(&self) -> Vec<Arc<Session>> {
        self.sessions().values().cloned().collect()
    }

    /// Whether a session is of the audience. Rights are looked up only where they decide.
    async fn belongs(&self, session: &Session, audience: Audience<'_>) -> bool {
        if !self.access.is_strict() {
            return true;
        }
        let identity = session.standing.identity();
        let in_question = match audience {
            Audience::Connection(_) => return true,
            Audience::Everyone => *identity != Identity::Nobody,
            Audience::Operators => matches!(identity, Identity::Operator(_)),
            Audience::Host(_) | Audience::Agent(_) => matches!(identity, Identity::Device(_)),
        };
        if !in_question {
            return false;
        }
        let rights = self.access.rights(&session.standing).await;
        match audience {
            Audience::Connection(_) => true,
            Audience::Everyone => rights != Rights::Nothing,
            Audience::Operators => rights.may_command(),
            Audience::Agent(agent_id) => rights.may_act_for(agent_id),
            Audience::Host(host) => match rights {
                Rights::Device {
                    hostname: Some(own), ..
                } => own.trim().to_lowercase() == host.trim().to_lowercase(),
                _ => false,
            },
        }
    }

    /// Sends an event, and says to whom.
    async fn send(&self, audience: Audience<'_>, event: &str, payload: &Payload) -> Vec<Arc<Session>> {
        let mut reached: Vec<_> = match audience {
            Audience::Connection(id) => self.get(id).into_iter().collect(),
            _ => self.all(),
        };
        reached.retain(|session| is_reached(session, audience));
        if reached.is_empty() {
            return reached;
        }
        let frames = event_frames(event, payload);
        let mut sent = Vec::new();
        for session in reached {
            if self.belongs(&session, audience).await {
                session.send(&frames);
                sent.push(session);
            }
        }
        sent
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a session is in the namespace, and in the agent's room where the audience is one.
fn is_reached(session: &Session, audience: Audience<'_>) -> bool {
    match (audience, session.member().as_ref()) {
        (_, None) => false,
        (Audience::Agent(agent_id), Some(member)) => member.rooms.contains(agent_id),
        (Audience::Connection(id), Some(_)) => session.id == id,
        (_, Some(_)) => true,
    }
}

impl<S: Store> Channel for Hub<S> {
    fn emit<'a>(&'a self, audience: Audience<'a>, event: &'a str, payload: &'a Payload) -> BoxFuture<'a> {
        Box::pin(async move {
            self.send(audience, event, payload).await;
        })
    }

    #[allow(
        clippy::async_yields_async,
        reason = "the work is sent now, what became of it is known later"
    )]
    fn hand_over<'a>(
        &'a self,
        hostname: &'a str,
        event: &'a str,
        payload: &'a Payload,
    ) -> Eventual<'a, PendingReceipt> {
        Box::pin(async move {
            let reached = self.send(Audience::Host(hostname), event, payload).await;
            let nobody = reached.is_empty();
            let mut arrivals: JoinSet<_> = reached.into_iter().map(Session::arrival).collect();
            Box::pin(async move {
                let mut all = !nobody;
                while let Some(arrived) = arrivals.join_next().await {
                    all &= arrived.unwrap_or(false);
                }
                match (nobody, all) {
                    (true, _) => Receipt::NobodyThere,
                    (false, true) => Receipt::Arrived,
                    (false, false) => Receipt::Unknown,
                }
            }) as PendingReceipt
        })
    }

    fn live_agents(&self) -> Vec<String> {
        self.all()
            .iter()
            .filter_map(|session| {
                Some(
                    session
                        .member()
                        .as_ref()?
                        .rooms
                        .iter()
                        .cloned()
                        .collect::<Vec<_>>(),
                )
            })
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests;
