//! Who a connection is, and what it may do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::lookups::{DeviceLookups, NotLookedUp};
use crate::{
    config::settings::AccessPolicy,
    domain::{
        agent_id::names_device, devices::DeviceIdentity, guid::Guid, host_name::same_host,
        operator_session::OperatorCredential,
    },
    repositories::Store,
    services::{
        Environment,
        device_access::{
            authentication::{DeviceClaims, DeviceStatus, check_device},
            tokens::AccessTokens,
        },
        operators::OperatorService,
        scheduler::channel::Eventual,
    },
};

/// How long rights that were looked up are cached.
const RIGHTS_CACHED: Duration = Duration::from_secs(5);

/// What a connection showed when it was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Identity {
    /// No valid credential.
    Anonymous,
    /// The session or token of an operator.
    Operator(OperatorCredential),
    /// A device's token.
    Device(DeviceClaims),
}

/// What a connection may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rights {
    /// Everything: nobody is checked.
    Everything,
    /// Command agents, and see what they report.
    Operator,
    /// Speak for the agents of this device.
    Device {
        guid: Guid,
        /// The host name in its row.
        hostname: Option<String>,
        /// Whether it gets no work.
        is_quarantined: bool,
    },
    Nothing,
}

impl Rights {
    /// Whether it may send what operators send.
    pub fn may_command(&self) -> bool {
        matches!(self, Self::Everything | Self::Operator)
    }

    /// Whether it may speak for this agent.
    pub fn may_act_for(&self, agent_id: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Device { guid, .. } => names_device(agent_id, guid),
            Self::Operator | Self::Nothing => false,
        }
    }

    /// Whether it is an agent at all.
    pub fn is_agent(&self) -> bool {
        matches!(self, Self::Everything | Self::Device { .. })
    }

    pub fn device(&self) -> Option<&Guid> {
        match self {
            Self::Device { guid, .. } => Some(guid),
            _ => None,
        }
    }

    /// What the host that a report names is called: a device's name is the one in its row, however it spells it. `None`
    /// where it may not report on that host.
    pub fn reported_host<'a>(&'a self, named: &'a str) -> Option<&'a str> {
        match self {
            Self::Everything => Some(named),
            Self::Device {
                hostname: Some(own), ..
            } => same_host(own, named).then_some(own),
            _ => None,
        }
    }
}

/// One connection's identity, with the rights that were looked up last.
#[derive(Debug)]
pub struct Principal {
    identity: Identity,
    looked_up: Mutex<Option<(Duration, Rights)>>,
}

impl Principal {
    /// Of a connection that showed this.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            looked_up: Mutex::default(),
        }
    }

    /// What the connection showed.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its rights, where they were looked up a short while ago.
    fn known(&self, now: Duration) -> Option<Rights> {
        self.looked_up()
            .clone()
            .filter(|(at, _)| now.saturating_sub(*at) < RIGHTS_CACHED)
            .map(|(_, rights)| rights)
    }

    fn note(&self, at: Duration, rights: &Rights) {
        *self.looked_up() = Some((at, rights.clone()));
    }

    fn looked_up(&self) -> MutexGuard<'_, Option<(Duration, Rights)>> {
        self.looked_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds out who connections are and what they may do.
#[derive(Debug)]
pub struct ChannelAccess {
    devices: Arc<DeviceLookups>,
    environment: Environment,
    tokens: AccessTokens,
    operators: Arc<OperatorService>,
    policy: AccessPolicy,
}

impl ChannelAccess {
    /// Over this store; accepts what `tokens` has signed, and asks `operators` for whom their sessions count.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        tokens: AccessTokens,
        operators: Arc<OperatorService>,
        policy: AccessPolicy,
    ) -> Self {
        Self {
            devices: DeviceLookups::new(store),
            environment,
            tokens,
            operators,
            policy,
        }
    }

    /// Whether connections are checked at all.
    pub fn is_strict(&self) -> bool {
        self.policy == AccessPolicy::Strict
    }

    /// The clock by which what was looked up grows old.
    pub fn monotonic(&self) -> Duration {
        self.environment.clock.monotonic()
    }

    /// The device that a token names. One that expired within the last 30 days counts: agents connect again for as long
    /// as they run with the headers of their first connection.
    pub fn device(&self, token: &str) -> Option<Identity> {
        let now = self.environment.clock.now().as_second();
        let claims = self.tokens.verify_even_expired(token, now).ok()?;
        DeviceClaims::read(&claims).map(Identity::Device)
    }

    /// What a connection may do, as it is now or was within the last 5 seconds. Where the store fails, nothing.
    pub async fn rights(&self, principal: &Principal) -> Rights {
        let mut rights = self.rights_of([principal]).await;
        rights.pop().unwrap_or(Rights::Nothing)
    }

    /// The same for each of these, in one pass: who shares an account is looked up once, and devices are together.
    pub async fn rights_of(&self, principals: impl IntoIterator<Item = &Principal>) -> Vec<Rights> {
        if !self.is_strict() {
            return principals.into_iter().map(|_| Rights::Everything).collect();
        }
        let now = self.environment.clock.monotonic();
        let asked: Vec<_> = principals
            .into_iter()
            .map(|principal| (principal, self.ask(principal, now)))
            .collect();
        let mut of_accounts: HashMap<&OperatorCredential, Rights> = HashMap::new();
        let mut all = Vec::with_capacity(asked.len());
        for (principal, asked) in asked {
            let found = match asked {
                Asked::Known(rights) => {
                    all.push(rights);
                    continue;
                }
                Asked::Operator(credential) => match of_accounts.get(credential) {
                    Some(rights) => Ok(rights.clone()),
                    None => {
                        let found = self.operator_rights(credential).await;
                        if let Ok(rights) = &found {
                            of_accounts.insert(credential, rights.clone());
                        }
                        found
                    }
                },
                Asked::Device(claims, device) => device
                    .await
                    .map(|device| device.map_or(Rights::Nothing, |device| device_rights(claims, device))),
            };
            all.push(match found {
                Ok(rights) => {
                    principal.note(now, &rights);
                    rights
                }
                Err(NotLookedUp) => Rights::Nothing,
            });
        }
        all
    }

    /// What is known of a connection, or has to be awaited.
    fn ask<'a>(&self, principal: &'a Principal, now: Duration) -> Asked<'a> {
        if let Some(rights) = principal.known(now) {
            return Asked::Known(rights);
        }
        match &principal.identity {
            Identity::Anonymous => Asked::Known(Rights::Nothing),
            Identity::Operator(credential) => Asked::Operator(credential),
            Identity::Device(claims) => Asked::Device(claims, Box::pin(self.devices.find(claims))),
        }
    }

    async fn operator_rights(&self, credential: &OperatorCredential) -> Result<Rights, NotLookedUp> {
        match self.operators.recognise(credential).await {
            Ok(operator) => Ok(operator.map_or(Rights::Nothing, |_| Rights::Operator)),
            Err(error) => {
                tracing::error!("the rights of an operator's connection cannot be looked up: {error}");
                Err(NotLookedUp)
            }
        }
    }
}

/// What is known of a connection's rights.
enum Asked<'a> {
    Known(Rights),
    Operator(&'a OperatorCredential),
    Device(
        &'a DeviceClaims,
        Eventual<'a, Result<Option<DeviceIdentity>, NotLookedUp>>,
    ),
}

fn device_rights(claims: &DeviceClaims, device: DeviceIdentity) -> Rights {
    match check_device(&device, claims) {
        Ok(status) => Rights::Device {
            guid: claims.guid().clone(),
            hostname: device.hostname,
            is_quarantined: status == DeviceStatus::Quarantined,
        },
        Err(_) => Rights::Nothing,
    }
}
