//! Authentication of the calls of devices: whose token it is, and whether that device may call. The legacy calls it the
//! device gate.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    domain::{
        coerce::integer_of,
        device_document::DeviceRow,
        devices::{DeviceIdentity, NewDevice},
        dpop::PresentedProof,
        guid::Guid,
        json::{Json, JsonObject},
        rate_limit::{RateLimited, SlidingWindow},
    },
    repositories::{ReadTables, Store, StoreError},
    services::{
        Environment,
        audit::{self, Actor},
        device_access::{
            dpop::{DpopError, Proofs},
            tokens::{AccessTokens, TokenError},
        },
        hosts::HostRules,
    },
};

/// Calls of one key within the window, over all device routes together.
const LIMIT: usize = 60;
/// The window of the rate limit.
const WINDOW: Duration = Duration::from_secs(60);
/// How many numbered names are tried for a device whose row was lost.
const NUMBERED_NAMES: u8 = 5;

/// What a device may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceStatus {
    /// Everything.
    Active,
    /// It may report, but gets no work.
    Quarantined,
}

/// The device that a call was authenticated as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthenticatedDevice {
    /// Its GUID, canonical.
    pub guid: Guid,
    /// Its GUID as its row has it.
    pub stored_guid: String,
    /// The fingerprint of its token, lower case.
    pub fingerprint: String,
    pub token_version: i64,
    /// What it may do.
    pub status: DeviceStatus,
}

impl AuthenticatedDevice {
    /// The device as its row names it, in whatever spelling its GUID is stored; a row with the canonical GUID comes
    /// first (DEV-7).
    pub(in crate::services) async fn stored_identity(
        &self,
        devices: &mut dyn ReadTables,
    ) -> Result<Option<DeviceIdentity>, StoreError> {
        match devices.find_device(self.guid.as_str()).await? {
            Some(row) => Ok(Some(row)),
            None => devices.find_device(&self.stored_guid).await,
        }
    }

    /// The device's whole row, found as [`AuthenticatedDevice::stored_identity`] finds it.
    pub(in crate::services) async fn stored_row(
        &self,
        devices: &mut dyn ReadTables,
    ) -> Result<Option<DeviceRow>, StoreError> {
        match devices.device_row(self.guid.as_str()).await? {
            Some(row) => Ok(Some(row)),
            None => devices.device_row(&self.stored_guid).await,
        }
    }
}

/// Why a call is refused; of several reasons, the first in the order of the legacy's page `device_auth`.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The token is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token names no device, no key or no version.
    #[error("the token's claims name no device")]
    InvalidClaims,
    /// Too many calls with this key.
    #[error("rate limited")]
    RateLimited(RateLimited),
    /// There is no such device, and its row could not be made again.
    #[error("unknown device")]
    DeviceNotFound,
    /// The device has another key by now.
    #[error("the device has another key")]
    FingerprintMismatch,
    /// The device's tokens of this version are dead.
    #[error("the token's version is revoked")]
    TokenVersionRevoked,
    /// The device may do nothing.
    #[error("the device is revoked")]
    DeviceRevoked,
    /// The DPoP proof that came with the call is refused.
    #[error(transparent)]
    Proof(#[from] DpopError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The claims of a device's token that say which device it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceClaims {
    guid: Guid,
    claimed_guid: String,
    fingerprint: String,
    token_version: i64,
}

impl DeviceClaims {
    /// The GUID of the device, canonical.
    pub fn guid(&self) -> &Guid {
        &self.guid
    }

    /// Reads verified claims; `None` where they name no device, no key or no version.
    pub(in crate::services) fn read(claims: &JsonObject) -> Option<Self> {
        let text = |name| {
            claims
                .get(name)
                .map(Json::python_text)
                .filter(|text| !text.is_empty())
        };
        let claimed_guid = text("guid")?;
        let fingerprint = text("ssl_key_fingerprint")?.to_lowercase();
        let token_version = claims
            .get("token_version")
            .and_then(integer_of)
            .filter(|version| *version > 0)?;
        Some(Self {
            guid: Guid::normalize(&claimed_guid)?,
            claimed_guid,
            fingerprint,
            token_version: i64::try_from(token_version).unwrap_or(i64::MAX),
        })
    }

    /// The row of the device that the token names, in whatever spelling; looked up together with those that wait.
    pub(in crate::services) async fn of_call(
        &self,
        store: &dyn Store,
    ) -> Result<Option<DeviceIdentity>, StoreError> {
        match store.device_of_call(&self.claimed_guid).await? {
            Some(device) => Ok(Some(device)),
            None => self.find(&mut *store.view().await?).await,
        }
    }

    /// The row of the device that the token names, in whatever spelling.
    async fn find(&self, devices: &mut dyn ReadTables) -> Result<Option<DeviceIdentity>, StoreError> {
        if let Some(device) = devices.find_device(&self.claimed_guid).await? {
            return Ok(Some(device));
        }
        devices.find_device(self.guid.as_str()).await
    }
}

/// Authenticates devices' calls.
#[derive(Debug)]
pub struct DeviceAuthenticator {
    store: Arc<dyn Store>,
    environment: Environment,
    tokens: AccessTokens,
    proofs: Arc<Proofs>,
    hosts: HostRules,
    calls: Mutex<SlidingWindow>,
}

impl DeviceAuthenticator {
    /// Over this store; accepts what `tokens` has signed.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        tokens: AccessTokens,
        proofs: Arc<Proofs>,
        hosts: HostRules,
    ) -> Self {
        Self {
            store,
            environment,
            tokens,
            proofs,
            hosts,
            calls: Mutex::new(SlidingWindow::new(LIMIT, WINDOW)),
        }
    }

    /// The device that calls with this access token. No proof is needed, but one that comes must hold (DEV-2).
    ///
    /// # Errors
    /// [`AuthenticationError`]; nothing is written then but the row of a device that had lost it.
    pub async fn authenticate(
        &self,
        token: &str,
        proof: Option<&PresentedProof>,
    ) -> Result<AuthenticatedDevice, AuthenticationError> {
        let now = self.environment.clock.now().as_second();
        let claims = self.tokens.verify(token, now)?;
        let claims = DeviceClaims::read(&claims).ok_or(AuthenticationError::InvalidClaims)?;
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(&claims.fingerprint, self.environment.clock.monotonic())
            .map_err(AuthenticationError::RateLimited)?;
        let device = match claims.of_call(&*self.store).await? {
            Some(device) => device,
            None => self.recover(&claims).await?,
        };
        let status = check_device(&device, &claims)?;
        if let Some(proof) = proof {
            self.proofs.accept(proof, Some(token), &claims.fingerprint)?;
        }
        Ok(AuthenticatedDevice {
            guid: claims.guid,
            stored_guid: device.guid,
            fingerprint: claims.fingerprint,
            token_version: claims.token_version,
            status,
        })
    }

    /// Makes the row of a device again that has a good token but no row.
    async fn recover(&self, claims: &DeviceClaims) -> Result<DeviceIdentity, AuthenticationError> {
        let mut work = self.store.begin().await?;
        // Another call may have been faster while this one waited for its turn.
        if let Some(device) = claims.find(&mut *work).await? {
            return Ok(device);
        }
        let start: String = claims.claimed_guid.chars().take(12).collect();
        let name = format!("RECOVERED-{}", start.to_uppercase());
        let mut hostname = name.clone();
        let mut number = 0;
        while self.hosts.is_taken(&mut *work, &hostname, None).await? {
            number += 1;
            if number > NUMBERED_NAMES {
                tracing::warn!(guid = %claims.guid, "a device cannot be recovered: its names are taken");
                return Err(AuthenticationError::DeviceNotFound);
            }
            hostname = format!("{name}-{number}");
        }
        let now = self.environment.now();
        work.insert_device(&NewDevice {
            guid: &claims.claimed_guid,
            hostname: &hostname,
            fingerprint: &claims.fingerprint,
            token_version: claims.token_version,
            now: now.time.as_second(),
            now_iso: &now.iso,
        })
        .await?;
        work.save().await?;
        // It is nobody else's call, whatever becomes of it.
        audit::acts(Actor::Device(claims.guid.as_str()));
        audit::changed("device.recovered", &claims.guid);
        Ok(DeviceIdentity {
            guid: claims.claimed_guid.clone(),
            hostname: Some(hostname),
            fingerprint: Some(claims.fingerprint.clone()),
            token_version: Some(claims.token_version),
            status: None,
        })
    }
}

/// Whether the row agrees with the token: key, version and status, in this order.
pub(in crate::services) fn check_device(
    device: &DeviceIdentity,
    claims: &DeviceClaims,
) -> Result<DeviceStatus, AuthenticationError> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_lowercase();
    let fingerprint = lower(&device.fingerprint);
    if !fingerprint.is_empty() && fingerprint != claims.fingerprint {
        return Err(AuthenticationError::FingerprintMismatch);
    }
    if device
        .token_version
        .is_some_and(|version| version > claims.token_version)
    {
        return Err(AuthenticationError::TokenVersionRevoked);
    }
    device_status(device.status.as_deref()).ok_or(AuthenticationError::DeviceRevoked)
}

/// What a stored status lets a device do; `None` is nothing.
pub(in crate::services) fn device_status(status: Option<&str>) -> Option<DeviceStatus> {
    let status = status.unwrap_or_default();
    match status.trim().to_lowercase().as_str() {
        _ if status.is_empty() => Some(DeviceStatus::Active),
        "active" => Some(DeviceStatus::Active),
        "quarantined" => Some(DeviceStatus::Quarantined),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
