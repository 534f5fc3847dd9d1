//! All sessions, and who of them gets which event.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot::error::RecvError, task::JoinSet};
use tokio_util::task::TaskTracker;

use super::{
    packet::{event_frames, numbered_event_frames},
    session::Session,
};
use crate::{
    config::{bounds::AnonymousBounds, settings::Settings},
    domain::{clock::BoxFuture, guid::Guid, payload::Payload},
    services::{
        realtime::{Audience, Channel, ChannelAccess, Identity, Rights, Whose},
        scheduler::channel::{Eventual, PendingReceipt, Receipt},
    },
};

/// The sessions by their Engine.IO ids.
#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<String, Entry>,
    /// Those that showed a device's token. A minute full of jobs asks for a thousand devices in a row.
    by_device: HashMap<Guid, Vec<Arc<Session>>>,
    strangers: Strangers,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    /// Its place among those that showed no identity where one is asked for.
    stranger: Option<u64>,
}

/// The sessions that showed no identity, in the order in which they came.
#[derive(Debug, Default)]
struct Strangers {
    next: u64,
    ids: BTreeMap<u64, String>,
    by_address: HashMap<String, BTreeSet<u64>>,
}

impl Strangers {
    fn add(&mut self, session: &Session) -> u64 {
        let number = self.next;
        self.next += 1;
        self.ids.insert(number, session.id.clone());
        let address = session.handshake.limit_key.clone();
        self.by_address.entry(address).or_default().insert(number);
        number
    }

    fn remove(&mut self, number: u64, address: &str) {
        self.ids.remove(&number);
        if let Some(numbers) = self.by_address.get_mut(address) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_address.remove(address);
            }
        }
    }

    /// Who has to make room for one more from this address.
    fn supernumerary(&self, address: &str, bounds: &AnonymousBounds) -> Option<&String> {
        let of_address = self
            .by_address
            .get(address)
            .filter(|numbers| numbers.len() >= bounds.sockets_an_address)
            .and_then(BTreeSet::first);
        match of_address {
            Some(number) => self.ids.get(number),
            None if self.ids.len() >= bounds.sockets => self.ids.values().next(),
            None => None,
        }
    }
}

/// There are as many sessions as there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

/// All sessions.
pub struct Hub {
    access: Arc<ChannelAccess>,
    /// Sessions beside those of `strangers`.
    most: usize,
    /// Those that showed no identity; `None` where nobody is asked for one.
    strangers: Option<AnonymousBounds>,
    /// What works for sessions, and for those that have ended meanwhile.
    tasks: TaskTracker,
    sessions: Mutex<Sessions>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// No sessions yet, and as much room as these settings say.
    pub fn new(access: Arc<ChannelAccess>, settings: &Settings) -> Self {
        Self::within(access, settings.bounds.sockets, settings.anonymous_bounds())
    }

    fn within(access: Arc<ChannelAccess>, most: usize, strangers: Option<AnonymousBounds>) -> Self {
        Self {
            access,
            most,
            strangers,
            tasks: TaskTracker::new(),
            sessions: Mutex::default(),
        }
    }

    /// Ends every session without a word. Client libraries take a packet that says so for the server's wish that they
    /// stay away; a connection that only ends they make again, and agents must come back after a restart.
    pub fn close(&self) {
        for session in self.all() {
            session.end();
        }
    }

    /// Completes once everything that ended sessions have sent is handled.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Works for a session.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(super) fn access(&self) -> &ChannelAccess {
        &self.access
    }

    /// Takes a session in. Where identities are asked for, sessions without one have places of their own, few from one
    /// address, and the oldest of them ends to make room: whoever keeps coming keeps out nobody but himself.
    ///
    /// # Errors
    /// There is no room for another.
    pub(super) fn add(&self, session: &Arc<Session>) -> Result<(), Full> {
        let is_anonymous = *session.standing.identity() == Identity::Nobody;
        let mut ended = Vec::new();
        {
            let mut sessions = self.sessions();
            let stranger = match &self.strangers {
                Some(bounds) if is_anonymous => {
                    let address = &session.handshake.limit_key;
                    while let Some(id) = sessions.strangers.supernumerary(address, bounds).cloned() {
                        ended.extend(sessions.remove(&id));
                    }
                    Some(sessions.strangers.add(session))
                }
                _ if sessions.by_id.len() - sessions.strangers.ids.len() >= self.most => return Err(Full),
                _ => None,
            };
            let entry = Entry {
                session: Arc::clone(session),
                stranger,
            };
            sessions.by_id.insert(session.id.clone(), entry);
            if let Identity::Device(claims) = session.standing.identity() {
                let of_device = sessions.by_device.entry(claims.guid().clone()).or_default();
                of_device.push(Arc::clone(session));
            }
        }
        for session in ended {
            session.end();
        }
        Ok(())
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        let sessions = self.sessions();
        sessions.by_id.get(id).map(|entry| Arc::clone(&entry.session))
    }

    pub(super) fn remove(&self, id: &str) {
        self.sessions().remove(id);
    }

    fn all(&self) -> Vec<Arc<Session>> {
        self.sessions().iter().cloned().collect()
    }

    /// The sessions that an audience may be among: by what they showed when they connected.
    fn candidates(&self, audience: Audience<'_>) -> Vec<Arc<Session>> {
        let strict = self.access.is_strict();
        match audience {
            Audience::Connection(id) => self.get(id).into_iter().collect(),
            Audience::Device(guid) if strict => {
                let of_device = self.sessions().by_device.get(guid).cloned();
                of_device.unwrap_or_default()
            }
            _ => {
                let sessions = self.sessions();
                let candidates = sessions
                    .iter()
                    .filter(|session| !strict || may_be_meant(session.standing.identity(), audience));
                candidates.cloned().collect()
            }
        }
    }

    /// Whether a candidate is of the audience, by its present rights.
    async fn belongs(&self, session: &Session, audience: Audience<'_>) -> bool {
        if !self.access.is_strict() || matches!(audience, Audience::Connection(_)) {
            return true;
        }
        let rights = self.access.rights(&session.standing).await;
        match audience {
            Audience::Connection(_) => true,
            Audience::Everyone => rights != Rights::Nothing,
            Audience::Operators => rights.may_command(),
            Audience::Agent(agent_id) => rights.may_act_for(agent_id),
            Audience::Device(guid) => match &rights {
                Rights::Device {
                    guid: own,
                    is_quarantined,
                    ..
                } => own == guid && !is_quarantined,
                _ => false,
            },
        }
    }

    async fn send(&self, audience: Audience<'_>, event: &str, payload: &Payload) {
        let mut reached = self.candidates(audience);
        reached.retain(|session| is_reached(session, audience));
        if reached.is_empty() {
            return;
        }
        let frames = event_frames(event, payload);
        for session in reached {
            if self.belongs(&session, audience).await {
                session.send(&frames);
            }
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a session is one of those that are meant.
fn is_of(session: &Session, whose: Whose<'_>) -> bool {
    match (whose, session.standing.identity()) {
        (Whose::Browser(browser), _) => {
            let own = session.handshake.browser.as_deref();
            own.is_some_and(|own| own.is(browser))
        }
        (Whose::Sessions(ended), Identity::Operator(own)) => ended.iter().any(|ended| {
            ended.issue.at == own.issue.at && ended.username.eq_ignore_ascii_case(&own.username)
        }),
        (Whose::Sessions(_), _) => false,
    }
}

impl Sessions {
    fn iter(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.by_id.values().map(|entry| &entry.session)
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Session>> {
        let Entry { session, stranger } = self.by_id.remove(id)?;
        if let Some(number) = stranger {
            self.strangers.remove(number, &session.handshake.limit_key);
        }
        if let Identity::Device(claims) = session.standing.identity()
            && let Some(of_device) = self.by_device.get_mut(claims.guid())
        {
            of_device.retain(|other| other.id != id);
            if of_device.is_empty() {
                self.by_device.remove(claims.guid());
            }
        }
        Some(session)
    }
}

/// Whether one who showed this can be of the audience at all.
fn may_be_meant(identity: &Identity, audience: Audience<'_>) -> bool {
    match audience {
        Audience::Connection(_) => true,
        Audience::Everyone => *identity != Identity::Nobody,
        Audience::Operators => matches!(identity, Identity::Operator(_)),
        Audience::Device(_) | Audience::Agent(_) => matches!(identity, Identity::Device(_)),
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

/// Whether a session has announced an agent whose id ends so.
fn speaks_for(session: &Session, ending: &str) -> bool {
    session.member().as_ref().is_some_and(|member| {
        member
            .rooms
            .iter()
            .any(|agent_id| agent_id.to_ascii_uppercase().ends_with(ending))
    })
}

/// One connection that has the work is enough: agents of a host that are not meant leave it alone.
async fn first_arrival(mut sent: JoinSet<Result<(), RecvError>>) -> Receipt {
    while let Some(told) = sent.join_next().await {
        if matches!(told, Ok(Ok(()))) {
            return Receipt::Arrived;
        }
    }
    Receipt::Unknown
}

impl Channel for Hub {
    fn emit<'a>(&'a self, audience: Audience<'a>, event: &'a str, payload: &'a Payload) -> BoxFuture<'a> {
        Box::pin(async move {
            self.send(audience, event, payload).await;
        })
    }

    fn hand_over<'a>(
        &'a self,
        device: Option<&'a Guid>,
        meant: Option<&'static str>,
        event: &'a str,
        payload: &'a Payload,
        before: Eventual<'a, bool>,
    ) -> Eventual<'a, PendingReceipt> {
        Box::pin(async move {
            if !self.access.is_strict() {
                if !before.await {
                    return PendingReceipt::known(Receipt::CalledOff);
                }
                // Nobody knows whose connections these are: everybody gets it, and as with the legacy sent is arrived.
                self.emit(Audience::Everyone, event, payload).await;
                return PendingReceipt::known(Receipt::Arrived);
            }
            let mut reached = Vec::new();
            if let Some(audience) = device.map(Audience::Device) {
                for session in self.candidates(audience) {
                    if session.is_member() && self.belongs(&session, audience).await {
                        reached.push(session);
                    }
                }
            }
            if reached.is_empty() {
                return PendingReceipt::known(Receipt::NobodyThere);
            }
            if !before.await {
                return PendingReceipt::known(Receipt::CalledOff);
            }
            let (mut by_meant, mut by_others) = (JoinSet::new(), JoinSet::new());
            for session in reached {
                let told =
                    session.send_confirmed(|number| numbered_event_frames(event, payload, Some(number)));
                if meant.is_some_and(|ending| speaks_for(&session, ending)) {
                    by_meant.spawn(told);
                } else {
                    by_others.spawn(told);
                }
            }
            // The device's other agent says nothing about the one that is to run it.
            let sent = if by_meant.is_empty() { by_others } else { by_meant };
            PendingReceipt::new(first_arrival(sent))
        })
    }

    fn end(&self, whose: Whose<'_>) {
        if !self.access.is_strict() {
            return;
        }
        for session in self.all() {
            if is_of(&session, whose) {
                // Without a word, as at a stop: client libraries stay away from a server that says good-bye.
                session.end();
            }
        }
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

    fn live_devices(&self) -> HashSet<Guid> {
        let has_announced = |session: &Arc<Session>| {
            session
                .member()
                .as_ref()
                .is_some_and(|member| !member.rooms.is_empty())
        };
        let of_devices = self.sessions().by_device.clone();
        of_devices
            .into_iter()
            .filter(|(_, sessions)| sessions.iter().any(has_announced))
            .map(|(guid, _)| guid)
            .collect()
    }
}

#[cfg(test)]
mod tests;
