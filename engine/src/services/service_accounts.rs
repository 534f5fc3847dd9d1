//! The service accounts under which agents run: made at the first check-in, handed to their agent, rotated when it
//! asks.

use std::sync::Arc;

use super::{
    Environment, Moment,
    agent_owners::{active_devices, agents_device, first_owner, owner},
    agents::Agents,
    hosts::HostRules,
    secret_box::SecretBox,
};
use crate::{
    builders::service_accounts::{AccountRequest, CheckIn, InvalidAccountRequest, RotationRequest},
    domain::{
        agent_id::names_device,
        device_document::{DeviceSnapshot, DeviceUpsert},
        guid::Guid,
        mask::shown,
        password::generated_password,
        service_accounts::ServiceAccount,
        text::present,
    },
    repositories::{Store, StoreError, UnitOfWork},
    services::{
        audit,
        device_access::authentication::{AuthenticatedDevice, DeviceStatus},
    },
};

/// The account's name where nobody asks for another.
const DEFAULT_USER: &str = ".\\svcBorealis";
/// Names of older agents, replaced wherever they turn up.
const RETIRED_USERS: [&str; 2] = [".\\svcBorealisAnsibleRunner", "svcBorealisAnsibleRunner"];

/// What an agent logs its service in with.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// The account's name.
    pub username: String,
    /// Its password in clear.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why an agent gets no credentials.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The agent is another device's.
    #[error("the agent is another device's")]
    GuidMismatch,
    /// The device gets no credentials.
    #[error("the device is quarantined")]
    Quarantined,
    /// The request cannot be used.
    #[error(transparent)]
    Invalid(#[from] InvalidAccountRequest),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose an account was before it was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Claimed {
    /// The device's that asks.
    Owned,
    /// No owner is stored; it is the device's from now on.
    Anew,
}

/// Hands out service accounts.
#[derive(Debug)]
pub struct ServiceAccountService {
    store: Arc<dyn Store>,
    environment: Environment,
    secrets: SecretBox,
    agents: Arc<Agents>,
    hosts: HostRules,
}

impl ServiceAccountService {
    /// Over this store; passwords are sealed by `secrets`.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        secrets: SecretBox,
        agents: Arc<Agents>,
        hosts: HostRules,
    ) -> Self {
        Self {
            store,
            environment,
            secrets,
            agents,
            hosts,
        }
    }

    /// Records at the first start to which devices the accounts belong that are there. One that is nobody's is the
    /// device's that first checks in with it, which gets a new password.
    ///
    /// # Errors
    /// The store failed; nothing is recorded then.
    pub async fn assign(&self) -> Result<(), StoreError> {
        if !self.hosts.is_strict() {
            return Ok(());
        }
        let mut work = self.store.begin().await?;
        let accounts = work.accounts_to_assign().await?;
        if accounts.is_empty() {
            return Ok(());
        }
        let active = active_devices(&mut *work).await?;
        let mut fits_none = 0_usize;
        for agent_id in accounts {
            let owner = first_owner(&agent_id, &active);
            fits_none += usize::from(owner.is_none());
            let guid = owner.as_ref().map(Guid::as_str).unwrap_or_default();
            work.set_account_device(&agent_id, guid).await?;
        }
        if fits_none > 0 {
            tracing::warn!(
                accounts = fits_none,
                "service accounts fit no device: each gets a new password when a device first checks in with it"
            );
        }
        work.save().await
    }

    /// The account of an agent that checks in, made where there is none. Also stores which agent the device
    /// runs.
    ///
    /// # Errors
    /// [`AccountError`]; nothing is written then.
    pub async fn check_in(
        &self,
        device: &AuthenticatedDevice,
        request: &CheckIn,
    ) -> Result<Credentials, AccountError> {
        let agent_id = &request.account.agent_id;
        let now = self.environment.now();
        let mut work = self.store.begin().await?;
        let claimed = self.claim(&mut *work, device, agent_id).await?;
        let stored = work.find_service_account(agent_id).await?;
        let is_new = stored.is_none();
        let stored = stored.map(|account| match claimed {
            Claimed::Owned => account,
            // Nobody knows for whom it was made.
            Claimed::Anew => ServiceAccount {
                password_encrypted: Vec::new(),
                ..account
            },
        });
        let (credentials, changed) = self.credentials(&request.account, stored);
        if changed {
            self.seal_and_store(&mut *work, agent_id, &credentials, &now)
                .await?;
        }
        self.agents.note_check_in(agent_id, &device.guid);
        work.save().await?;
        if changed {
            audit::changed("service_account.stored", agent_id);
        }
        let (shown_id, shown_user) = (shown(agent_id), shown(&credentials.username));
        if is_new {
            tracing::info!(
                agent_id = %shown_id,
                user = %shown_user,
                rotated = %now.iso,
                "[checkin] created creds"
            );
        }
        // The agent has its account now, whatever becomes of the rest.
        if let Err(error) = self.note_presence(device, request, &now).await {
            tracing::error!("device update during checkin failed: {error}");
        }
        tracing::info!(agent_id = %shown_id, user = %shown_user, "[checkin] return creds");
        Ok(credentials)
    }

    /// Gives an agent's account a new password.
    ///
    /// # Errors
    /// [`AccountError`]; nothing is written then.
    pub async fn rotate(
        &self,
        device: &AuthenticatedDevice,
        request: RotationRequest,
    ) -> Result<Credentials, AccountError> {
        let agent_id = &request.agent_id;
        let mut work = self.store.begin().await?;
        self.claim(&mut *work, device, agent_id).await?;
        let wanted = request.username?;
        let stored = work.find_service_account(agent_id).await?;
        let stored = stored.and_then(|account| present(&account.username));
        let credentials = Credentials {
            username: present_user(wanted.or(stored)),
            password: generated_password(&*self.environment.random),
        };
        self.seal_and_store(&mut *work, agent_id, &credentials, &self.environment.now())
            .await?;
        self.agents.note_check_in(agent_id, &device.guid);
        work.save().await?;
        audit::changed("service_account.rotated", agent_id);
        tracing::info!(agent_id = %shown(agent_id), user = %shown(&credentials.username), "[rotate] rotated");
        Ok(credentials)
    }

    /// Refuses an agent of another device, and a device that gets no credentials; else stores whose the agent is.
    ///
    /// Belongs into the change that it is for, as the note in the registry does: whoever asks for the same agent
    /// meanwhile waits for the change to end, and finds it taken.
    async fn claim(
        &self,
        work: &mut dyn UnitOfWork,
        device: &AuthenticatedDevice,
        agent_id: &str,
    ) -> Result<Claimed, AccountError> {
        let claimed = if self.hosts.is_strict() {
            self.claim_checked(work, device, agent_id).await
        } else {
            self.claim_unchecked(work, device, agent_id)
                .await
                .map(|()| Claimed::Owned)
        };
        claimed.inspect_err(|error| {
            tracing::warn!(
                guid = %device.guid,
                agent_id = %shown(agent_id),
                %error,
                "service account refused"
            );
        })
    }

    async fn claim_checked(
        &self,
        work: &mut dyn UnitOfWork,
        device: &AuthenticatedDevice,
        agent_id: &str,
    ) -> Result<Claimed, AccountError> {
        if device.status == DeviceStatus::Quarantined {
            return Err(AccountError::Quarantined);
        }
        if !agents_device(work, device, agent_id).await? {
            return Err(AccountError::GuidMismatch);
        }
        if names_device(agent_id, &device.guid) || owner(work, agent_id).await?.is_some() {
            return Ok(Claimed::Owned);
        }
        work.set_account_device(agent_id, device.guid.as_str()).await?;
        Ok(Claimed::Anew)
    }

    /// Where the policy asks for no owner: the registry forgets, and anybody may make it forget:
    /// the table counts as well (DEV-8).
    async fn claim_unchecked(
        &self,
        work: &mut dyn UnitOfWork,
        device: &AuthenticatedDevice,
        agent_id: &str,
    ) -> Result<(), AccountError> {
        let is_other = |guid: &Guid| *guid != device.guid;
        let remembered = self.agents.record(agent_id).and_then(|record| record.agent_guid);
        let stored = work.guids_with_agent_id(agent_id).await?;
        let is_others = remembered.as_ref().is_some_and(is_other)
            || stored
                .iter()
                .filter_map(|guid| Guid::normalize(guid))
                .any(|guid| is_other(&guid));
        if is_others {
            return Err(AccountError::GuidMismatch);
        }
        Ok(())
    }

    /// What an agent that checks in gets, and whether it has to be stored.
    fn credentials(&self, request: &AccountRequest, stored: Option<ServiceAccount>) -> (Credentials, bool) {
        let made_up = || generated_password(&*self.environment.random);
        let Some(stored) = stored else {
            let credentials = Credentials {
                username: present_user(request.username.clone()),
                password: made_up(),
            };
            return (credentials, true);
        };
        let password = self
            .secrets
            .open(&stored.password_encrypted)
            .unwrap_or_else(|error| {
                // Handing out the sealed text, as the legacy does, locks the agent out of its account (DEV-11).
                tracing::warn!(
                    agent_id = %shown(&request.agent_id),
                    %error,
                    "a password cannot be used; the account gets a new one"
                );
                String::new()
            });
        let stored = present(&stored.username);
        let is_retired = stored
            .as_deref()
            .is_some_and(|name| RETIRED_USERS.contains(&name));
        let changed = password.is_empty() || is_retired;
        if is_retired {
            tracing::info!(
                "[checkin] upgraded legacy service user for agent_id={} -> {DEFAULT_USER}",
                shown(&request.agent_id)
            );
        }
        let credentials = Credentials {
            username: present_user(stored.or_else(|| request.username.clone())),
            password: if password.is_empty() { made_up() } else { password },
        };
        (credentials, changed)
    }

    async fn seal_and_store(
        &self,
        work: &mut dyn UnitOfWork,
        agent_id: &str,
        credentials: &Credentials,
        now: &Moment,
    ) -> Result<(), StoreError> {
        let account = ServiceAccount {
            username: credentials.username.clone(),
            password_encrypted: self.secrets.seal(&credentials.password),
        };
        let rotated = now.iso.replace("+00:00", "Z");
        work.store_service_account(agent_id, &account, &rotated).await
    }

    /// Writes which agent the device runs, that it was seen, and its key; into its own row alone, whatever host it
    /// names (DEV-9).
    async fn note_presence(
        &self,
        device: &AuthenticatedDevice,
        request: &CheckIn,
        now: &Moment,
    ) -> Result<(), StoreError> {
        let agent_id = &request.account.agent_id;
        let seconds = now.time.as_second();
        let guid = device.guid.as_str();
        let mut work = self.store.begin().await?;
        let named = match &request.hostname {
            Some(hostname) => work.device_row_named(hostname).await?,
            None => None,
        };
        let mut is_moved = false;
        if let Some(own) = device.stored_identity(&mut *work).await? {
            is_moved = work
                .note_check_in(&own.guid, agent_id, &device.fingerprint, seconds)
                .await?;
        }
        if let Some(stored) = named.as_ref().map(DeviceSnapshot::from)
            && stored.guid == guid
        {
            let mut upsert = DeviceUpsert::rewrite(&stored.hostname, Some(&stored), seconds);
            upsert.last_seen = Some(seconds);
            upsert.agent_id = Some(agent_id.clone());
            work.upsert_device(&upsert).await?;
        }
        let is_new_key = work
            .add_device_key(&self.environment.new_id(), guid, &device.fingerprint, &now.iso)
            .await?;
        work.save().await?;
        audit::identity_changed(guid, is_moved.then_some(agent_id.as_str()), is_new_key);
        Ok(())
    }
}

/// The name that an account has: the wanted one, unless it is retired.
fn present_user(wanted: Option<String>) -> String {
    wanted
        .filter(|name| !RETIRED_USERS.contains(&name.as_str()))
        .unwrap_or_else(|| DEFAULT_USER.to_owned())
}

#[cfg(test)]
mod tests;
