//! All clients of the channel, and who of them gets which event.
//!
//! Long because who is taken in, who is meant and who is reached are asked of one set of members.

mod anonymous;

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use socketio_server::{
    engine_io::{Connections, Unconfirmed},
    long_work::{LONG, LongWork},
};
use tokio::task::JoinSet;

use self::anonymous::AnonymousClients;
use super::{json::Argument, peer::Client};
use crate::{
    config::{
        bounds::{AnonymousBounds, Bounds},
        settings::Settings,
    },
    domain::{
        agent_id::{NamedDevice, named_device},
        clock::BoxFuture,
        guid::Guid,
        measures::SocketCounts,
        payload::Payload,
    },
    services::{
        realtime::{Audience, Channel, ChannelAccess, Identity, Rights, Whose},
        scheduler::channel::{Eventual, PendingReceipt, Receipt},
    },
};

/// All clients, by what they showed.
#[derive(Debug, Default)]
struct Members {
    /// Those that showed a device's token. A minute full of jobs asks for a thousand devices in a row.
    by_device: HashMap<Guid, Vec<Arc<Client>>>,
    /// Those that showed something else or nothing, by the ids of their connections: operators are few among a fleet.
    others: HashMap<String, Arc<Client>>,
    /// How many there are beside the anonymous ones.
    identified: usize,
    anonymous: AnonymousClients,
}

/// How long a device's reports wait for operators who do not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// There are as many clients as there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

pub struct Hub {
    access: Arc<ChannelAccess>,
    /// How many clients there may be beside the anonymous ones, and how many of one device.
    most: usize,
    most_of_device: usize,
    /// The bounds of those that showed no identity; `None` where nobody is asked for one.
    anonymous: Option<AnonymousBounds>,
    connections: Arc<Connections<Client>>,
    members: Mutex<Members>,
    /// Where long events are read and written.
    long_work: LongWork,
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// No clients yet; there may be as many as these settings say.
    pub fn new(access: Arc<ChannelAccess>, settings: &Settings) -> Self {
        Self::within(access, &settings.bounds, settings.anonymous_bounds())
    }

    fn within(access: Arc<ChannelAccess>, bounds: &Bounds, anonymous: Option<AnonymousBounds>) -> Self {
        Self {
            access,
            most: bounds.sockets,
            most_of_device: bounds.sockets_of_device,
            anonymous,
            connections: Arc::default(),
            members: Mutex::default(),
            long_work: LongWork::default(),
        }
    }

    /// Ends every connection without a word. Client libraries take a packet that says so for a request to
    /// stay away; a connection that only ends they make again, and agents must come back after a restart.
    pub fn close(&self) {
        self.connections.end_all();
    }

    /// Completes once everything that ended connections have sent is handled.
    pub async fn finished(&self) {
        self.connections.finished().await;
    }

    /// How many there are, by what they showed.
    pub(super) fn counts(&self) -> SocketCounts {
        let counts = Cell::new(SocketCounts::default());
        self.connections.select(|client| {
            let mut counted = counts.get();
            match client.peer.principal.identity() {
                Identity::Device(_) => counted.agents += 1,
                Identity::Operator(_) => counted.operators += 1,
                Identity::Anonymous => counted.anonymous += 1,
            }
            counts.set(counted);
            false
        });
        counts.get()
    }

    pub(super) fn connections(&self) -> &Arc<Connections<Client>> {
        &self.connections
    }

    pub(super) fn long_work(&self) -> &LongWork {
        &self.long_work
    }

    pub(super) fn access(&self) -> &ChannelAccess {
        &self.access
    }

    /// Takes a client in. Where identities are asked for, clients without one have bounds of their own, few from one
    /// address, and the oldest of them is evicted for the next, as is a device's own: whoever keeps connecting evicts nobody but himself.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(super) fn add(&self, client: &Arc<Client>) -> Result<(), Full> {
        let identity = client.peer.principal.identity();
        let mut ended = Vec::new();
        {
            let mut members = self.members();
            match &self.anonymous {
                Some(bounds) if *identity == Identity::Anonymous => {
                    let address = &client.peer.handshake.limit_key;
                    while let Some(oldest) = members.anonymous.to_evict(address, bounds).cloned() {
                        members.anonymous.remove(&oldest);
                        ended.push(oldest);
                    }
                    members.anonymous.add(client);
                }
                _ if members.identified >= self.most => return Err(Full),
                _ => members.identified += 1,
            }
            if let Identity::Device(claims) = identity {
                let of_device = members.by_device.entry(claims.guid().clone()).or_default();
                let is_full = of_device.len() >= self.most_of_device;
                if let Some(oldest) = of_device.first().filter(|_| is_full).cloned() {
                    of_device.remove(0);
                    ended.push(oldest);
                }
                of_device.push(Arc::clone(client));
            } else {
                let id = client.connection().id().to_owned();
                members.others.insert(id, Arc::clone(client));
            }
        }
        for client in ended {
            client.connection().end();
        }
        Ok(())
    }

    pub(super) fn remove(&self, client: &Client) {
        let identity = client.peer.principal.identity();
        let mut members = self.members();
        if self.anonymous.is_some() && *identity == Identity::Anonymous {
            members.anonymous.remove(client);
        } else {
            members.identified = members.identified.saturating_sub(1);
        }
        let Identity::Device(claims) = identity else {
            members.others.remove(client.connection().id());
            return;
        };
        if let Some(of_device) = members.by_device.get_mut(claims.guid()) {
            of_device.retain(|other| other.connection().id() != client.connection().id());
            if of_device.is_empty() {
                members.by_device.remove(claims.guid());
            }
        }
    }

    /// The clients that an audience may be among: by what they showed when they connected.
    fn candidates(&self, audience: Audience<'_>) -> Vec<Arc<Client>> {
        let named;
        let device = match audience {
            Audience::Connection(id) => return self.connections.get(id).into_iter().collect(),
            _ if !self.access.is_strict() => return self.connections.all(),
            Audience::Everyone => {
                let is_known = |client: &Client| *client.peer.principal.identity() != Identity::Anonymous;
                return self.connections.select(is_known);
            }
            Audience::Operators => {
                return self
                    .others(|client| matches!(client.peer.principal.identity(), Identity::Operator(_)));
            }
            Audience::Device(guid) => guid,
            Audience::Agent(agent_id) => match named_device(agent_id) {
                NamedDevice::One(guid) => {
                    named = guid;
                    &named
                }
                NamedDevice::Several => return Vec::new(),
                // Of a device whose GUID is none.
                NamedDevice::None => {
                    let is_agent = |client: &Client| client.peer.agents().contains(agent_id);
                    return self.connections.select(is_agent);
                }
            },
        };
        self.members().by_device.get(device).cloned().unwrap_or_default()
    }

    /// Those of the clients that are no devices' of which this is true.
    fn others(&self, is_meant: impl Fn(&Client) -> bool) -> Vec<Arc<Client>> {
        let members = self.members();
        let others = members.others.values();
        others.filter(|client| is_meant(client)).cloned().collect()
    }

    /// Those of the candidates that are of the audience, by their present rights.
    async fn belonging(&self, candidates: Vec<Arc<Client>>, audience: Audience<'_>) -> Vec<Arc<Client>> {
        if !self.access.is_strict() || matches!(audience, Audience::Connection(_)) {
            return candidates;
        }
        let principals = candidates.iter().map(|client| &client.peer.principal);
        let rights = self.access.rights_of(principals).await;
        let of_audience = candidates.into_iter().zip(rights);
        of_audience
            .filter(|(_, rights)| may_get(rights, audience))
            .map(|(client, _)| client)
            .collect()
    }

    async fn send(&self, audience: Audience<'_>, event: &str, payload: &Payload) {
        let mut reached = self.candidates(audience);
        reached.retain(|client| is_reached(client, audience));
        if reached.is_empty() {
            return;
        }
        let write = || Argument::of(payload).event(event).packets();
        let packets = self.long_work.run(payload.is_long(LONG), write).await;
        for client in self.belonging(reached, audience).await {
            client.send(&packets);
        }
    }

    /// Completes once the operators have taken most of what they were sent: who shows them more than they can read waits
    /// for them, where they would be closed. Nobody waits for long for one who does not read.
    pub(super) async fn operators_keep_up(&self) {
        if !self.access.is_strict() {
            return;
        }
        let behind = self.others(|client| {
            matches!(client.peer.principal.identity(), Identity::Operator(_))
                && client.connection().is_behind()
        });
        let waits = behind
            .iter()
            .map(|client| client.connection().catches_up(PATIENCE));
        futures_util::future::join_all(waits).await;
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a client is one of those that are meant.
fn is_of(client: &Client, whose: Whose<'_>) -> bool {
    match (whose, client.peer.principal.identity()) {
        (Whose::Browser(browser), _) => {
            let own = client.peer.handshake.browser.as_deref();
            own.is_some_and(|own| own.is(browser))
        }
        (Whose::Sessions(ended), Identity::Operator(own)) => ended.iter().any(|ended| {
            ended.issue.at == own.issue.at && ended.username.eq_ignore_ascii_case(&own.username)
        }),
        (Whose::Sessions(_), _) => false,
    }
}

/// Whether one who has these rights is of the audience.
fn may_get(rights: &Rights, audience: Audience<'_>) -> bool {
    match audience {
        Audience::Connection(_) => true,
        Audience::Everyone => *rights != Rights::Nothing,
        Audience::Operators => rights.may_command(),
        Audience::Agent(agent_id) => rights.may_act_for(agent_id),
        Audience::Device(guid) => match rights {
            Rights::Device {
                guid: own,
                is_quarantined,
                ..
            } => own == guid && !is_quarantined,
            _ => false,
        },
    }
}

/// Whether a client is in the namespace, and the agent where the audience is one.
fn is_reached(client: &Client, audience: Audience<'_>) -> bool {
    client.is_in("/")
        && match audience {
            Audience::Agent(agent_id) => client.peer.agents().contains(agent_id),
            _ => true,
        }
}

/// Whether a client has announced an agent whose id ends so.
fn speaks_for(client: &Client, ending: &str) -> bool {
    let agents = client.peer.agents();
    agents
        .iter()
        .any(|agent_id| agent_id.to_ascii_uppercase().ends_with(ending))
}

/// One connection that has the work is enough: agents of a host that are not meant leave it alone.
async fn first_arrival(mut sent: JoinSet<Result<(), Unconfirmed>>) -> Receipt {
    while let Some(receipt) = sent.join_next().await {
        if matches!(receipt, Ok(Ok(()))) {
            return Receipt::Delivered;
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
                    return PendingReceipt::ready(Receipt::Cancelled);
                }
                // Nobody knows whose connections these are: everybody gets it, and as with the legacy sent is arrived.
                self.emit(Audience::Everyone, event, payload).await;
                return PendingReceipt::ready(Receipt::Delivered);
            }
            let mut reached = Vec::new();
            if let Some(audience) = device.map(Audience::Device) {
                let mut present = self.candidates(audience);
                present.retain(|client| client.is_in("/"));
                reached = self.belonging(present, audience).await;
            }
            if reached.is_empty() {
                return PendingReceipt::ready(Receipt::NotConnected);
            }
            if !before.await {
                return PendingReceipt::ready(Receipt::Cancelled);
            }
            let (mut by_meant, mut by_others) = (JoinSet::new(), JoinSet::new());
            let argument = Argument::of(payload);
            let is_long = payload.is_long(LONG);
            for client in reached {
                let send = || client.hand_over(&argument.event(event));
                let delivered = self.long_work.run(is_long, send).await;
                if meant.is_some_and(|ending| speaks_for(&client, ending)) {
                    by_meant.spawn(delivered);
                } else {
                    by_others.spawn(delivered);
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
        // Devices have neither browsers nor sessions.
        for client in self.others(|client| is_of(client, whose)) {
            // Without a word, as at a stop: client libraries stay away from a server that says good-bye.
            client.connection().end();
        }
    }

    fn live_agents(&self) -> Vec<String> {
        let clients = self.connections.all();
        clients
            .iter()
            .flat_map(|client| client.peer.agents().iter().cloned().collect::<Vec<_>>())
            .collect()
    }

    fn live_among(&self, devices: &[&Guid]) -> HashSet<Guid> {
        let has_announced = |client: &Arc<Client>| !client.peer.agents().is_empty();
        let members = self.members();
        let is_live = |guid: &&&Guid| {
            let of_device = members.by_device.get(**guid);
            of_device.is_some_and(|clients| clients.iter().any(has_announced))
        };
        devices.iter().filter(is_live).copied().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
