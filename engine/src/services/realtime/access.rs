//! Who a connection is, and what it may do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;

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
/// Devices of one event that are looked up at a time.
const AT_A_TIME: usize = 500;
/// How often the database is waited for.
const PATIENCE: u8 = 4;

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
    looked_up: Mutex<Option<(Duration, Arc<Rights>)>>,
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
    fn known(&self, now: Duration) -> Option<Arc<Rights>> {
        self.looked_up()
            .as_ref()
            .filter(|(at, _)| now.saturating_sub(*at) < RIGHTS_CACHED)
            .map(|(_, rights)| Arc::clone(rights))
    }

    fn note(&self, at: Duration, rights: &Arc<Rights>) {
        *self.looked_up() = Some((at, Arc::clone(rights)));
    }

    fn looked_up(&self) -> MutexGuard<'_, Option<(Duration, Arc<Rights>)>> {
        self.looked_up.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub async fn rights(&self, principal: &Principal) -> Arc<Rights> {
        let mut rights = self.rights_of([principal]).await;
        rights.pop().unwrap_or_else(|| Arc::new(Rights::Nothing))
    }

    /// The same for each of these, in one pass: who shares an account is looked up once, and devices are together.
    pub async fn rights_of(&self, principals: impl IntoIterator<Item = &Principal>) -> Vec<Arc<Rights>> {
        let nothing = Arc::new(Rights::Nothing);
        if !self.is_strict() {
            let everything = Arc::new(Rights::Everything);
            return principals.into_iter().map(|_| Arc::clone(&everything)).collect();
        }
        let now = self.monotonic();
        let mut all = Vec::new();
        let (mut operators, mut devices) = (Vec::new(), Vec::new());
        for principal in principals {
            let known = principal.known(now);
            if known.is_none() {
                match &principal.identity {
                    Identity::Anonymous => {}
                    Identity::Operator(credential) => operators.push((all.len(), principal, credential)),
                    Identity::Device(claims) => devices.push((all.len(), principal, claims)),
                }
            }
            all.push(known.unwrap_or_else(|| Arc::clone(&nothing)));
        }
        let mut found = Vec::with_capacity(operators.len() + devices.len());
        let mut of_accounts: HashMap<&OperatorCredential, Arc<Rights>> = HashMap::new();
        for (place, principal, credential) in operators {
            let rights = match of_accounts.get(credential) {
                Some(rights) => Some(Arc::clone(rights)),
                None => self.operator_rights(credential).await.map(Arc::new),
            };
            if let Some(rights) = rights {
                of_accounts.insert(credential, Arc::clone(&rights));
                found.push((place, principal, rights));
            }
        }
        for some in devices.chunks(AT_A_TIME) {
            let looked_up = join_all(some.iter().map(|(.., claims)| self.device_rights(claims))).await;
            for ((place, principal, _), rights) in some.iter().zip(looked_up) {
                found.extend(rights.map(|rights| (*place, *principal, Arc::new(rights))));
            }
        }
        for (place, principal, rights) in found {
            principal.note(now, &rights);
            if let Some(in_place) = all.get_mut(place) {
                *in_place = rights;
            }
        }
        all
    }

    /// `None` where the store fails; it has been logged why.
    async fn operator_rights(&self, credential: &OperatorCredential) -> Option<Rights> {
        let recognised = self.operators.recognise(credential).await.inspect_err(|error| {
            tracing::error!("the rights of an operator's connection cannot be looked up: {error}");
        });
        Some(recognised.ok()?.map_or(Rights::Nothing, |_| Rights::Operator))
    }

    /// `None` where the store fails; it has been logged why.
    async fn device_rights(&self, claims: &DeviceClaims) -> Option<Rights> {
        let device = self.device_of(claims).await.inspect_err(|error| {
            tracing::error!("the rights of a device's connection cannot be looked up: {error}");
        });
        Some(
            device
                .ok()?
                .map_or(Rights::Nothing, |device| device_rights(claims, device)),
        )
    }

    /// Waits longer than a request would: agents are told nothing when they are refused, and wait for a minute.
    async fn device_of(&self, claims: &DeviceClaims) -> Result<Option<DeviceIdentity>, StoreError> {
        for _ in 1..PATIENCE {
            match claims.of_call(&*self.store).await {
                Err(error) if error.is_busy() => {}
                found => return found,
            }
        }
        claims.of_call(&*self.store).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::json::Json, testkit::Ground};

    fn principal(guid: &str) -> Principal {
        let claims = Json::object([
            ("guid", guid.into()),
            ("ssl_key_fingerprint", "ab12".into()),
            ("token_version", 1.into()),
        ]);
        let claims = DeviceClaims::read(claims.as_object().unwrap()).unwrap();
        Principal::new(Identity::Device(claims))
    }

    fn hostname(rights: &Rights) -> Option<&str> {
        match rights {
            Rights::Device { hostname, .. } => hostname.as_deref(),
            _ => None,
        }
    }

    fn access(ground: &Ground) -> ChannelAccess {
        let policy = AccessPolicy::Strict;
        let operators = OperatorService::new(ground.store(), ground.environment.clone(), policy, 0);
        ChannelAccess::new(
            ground.store(),
            ground.environment.clone(),
            AccessTokens::new(&ed25519_dalek::SigningKey::from_bytes(&[7; 32])).unwrap(),
            Arc::new(operators),
            policy,
        )
    }

    #[tokio::test]
    async fn each_of_more_than_are_looked_up_at_a_time_has_its_own_rights() {
        let rows: String = (0..1200)
            .map(|number| {
                format!(
                    "INSERT INTO devices (guid, hostname) VALUES ('00000000-0000-4000-8000-{number:012X}', 'H{number}');"
                )
            })
            .collect();
        let ground = Ground::with(&rows).await;
        let access = access(&ground);
        let numbers: Vec<_> = (0..1201).chain([7]).collect();
        let principals: Vec<_> = numbers
            .iter()
            .map(|number| {
                let guid = format!("00000000-0000-4000-8000-{number:012X}");
                // Tokens may spell it otherwise than the row.
                principal(&if *number == 11 { guid.to_lowercase() } else { guid })
            })
            .collect();
        let rights = access.rights_of(&principals).await;
        for (number, rights) in numbers.iter().zip(&rights) {
            let expected = (*number < 1200).then(|| format!("H{number}"));
            assert_eq!(hostname(rights), expected.as_deref(), "{number}");
        }
    }

    #[tokio::test]
    async fn what_changes_is_seen_by_whoever_was_not_looked_up_a_short_while_ago() {
        let guid = "00000000-0000-4000-8000-000000000001";
        let row = format!("INSERT INTO devices (guid, hostname) VALUES ('{guid}', 'WIN-1')");
        let ground = Ground::with(&row).await;
        let access = access(&ground);
        let one = principal(guid);
        assert_eq!(hostname(&*access.rights(&one).await), Some("WIN-1"));
        ground.sql("UPDATE devices SET hostname = 'WIN-2'").await;
        assert_eq!(hostname(&*access.rights(&one).await), Some("WIN-1"));
        assert_eq!(hostname(&*access.rights(&principal(guid)).await), Some("WIN-2"));
        ground.later(5);
        assert_eq!(hostname(&*access.rights(&one).await), Some("WIN-2"));
    }
}
