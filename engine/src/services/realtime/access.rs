//! Who a connection is, and what it may do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    config::settings::AccessPolicy,
    domain::{
        agent_id::names_device, devices::DeviceIdentity, guid::Guid, host_name::same_host,
        operator_session::OperatorCredential,
    },
    repositories::{Store, StoreError},
    services::{
        Environment,
        device_access::{
            authentication::{DeviceClaims, DeviceStatus, check_device},
            tokens::AccessTokens,
        },
        operators::OperatorService,
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
}

/// Finds out who connections are and what they may do.
#[derive(Debug)]
pub struct ChannelAccess {
    store: Arc<dyn Store>,
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
            store,
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
        if !self.is_strict() {
            return Rights::Everything;
        }
        let now = self.environment.clock.monotonic();
        let cached = principal
            .looked_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .filter(|(at, _)| now.saturating_sub(*at) < RIGHTS_CACHED);
        if let Some((_, rights)) = cached {
            return rights;
        }
        match self.look_up(&principal.identity).await {
            Ok(rights) => {
                *principal.looked_up.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((now, rights.clone()));
                rights
            }
            Err(error) => {
                tracing::error!("the rights of a connection cannot be looked up: {error}");
                Rights::Nothing
            }
        }
    }

    async fn look_up(&self, identity: &Identity) -> Result<Rights, StoreError> {
        match identity {
            Identity::Anonymous => Ok(Rights::Nothing),
            Identity::Operator(credential) => {
                let operator = self.operators.recognise(credential).await?;
                Ok(operator.map_or(Rights::Nothing, |_| Rights::Operator))
            }
            Identity::Device(claims) => {
                let device = claims.find(&mut *self.store.view().await?).await?;
                Ok(device.map_or(Rights::Nothing, |device| device_rights(claims, device)))
            }
        }
    }
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
