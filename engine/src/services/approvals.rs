//! Decisions of operators about devices that ask to join.

use std::sync::Arc;

use super::{
    Environment,
    hosts::{HostNames, HostRules, InvalidHostname},
};
use crate::{
    builders::approvals::DecidedDevice,
    domain::{
        approvals::{Approval, HostnameHolder, ListedApproval},
        guid::Guid,
        host_name::LONGEST,
        mask::shown,
    },
    repositories::{ReadTables, Store, StoreError},
    services::audit,
};

/// How many suffixes are tried for a taken host name.
const SUFFIXES: usize = 50;

/// A device that already has the host name which an approval claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostnameConflict {
    pub guid: Option<Guid>,
    /// Its key's fingerprint, lower case.
    pub fingerprint: Option<String>,
    pub site_id: Option<i64>,
    /// Its site's name; empty without one.
    pub site_name: String,
    /// Whether it has the very key that asks.
    pub fingerprint_match: bool,
}

/// An approval with what an operator must know to decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReviewedApproval {
    pub approval: Approval,
    /// Who decided.
    pub approved_by_username: Option<String>,
    /// The device that already has the host name.
    pub conflict: Option<HostnameConflict>,
    /// The name the device would get beside that one.
    pub alternate_hostname: Option<String>,
}

/// Why a decision is refused.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// There is no such row.
    #[error("no such approval")]
    NotFound,
    /// It was decided already.
    #[error("the approval is not pending")]
    NotPending,
    /// Another device has the host name, and the operator has not said what to do.
    #[error("host name {hostname} is taken: overwrite or coexist?")]
    ConflictUnresolved { hostname: String },
    /// No device may be called as the approval claims.
    #[error(transparent)]
    InvalidHostname(#[from] InvalidHostname),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Decides on approvals.
#[derive(Clone, Debug)]
pub struct ApprovalService {
    store: Arc<dyn Store>,
    environment: Environment,
    hosts: HostRules,
}

impl ApprovalService {
    pub fn new(store: Arc<dyn Store>, environment: Environment, hosts: HostRules) -> Self {
        Self {
            store,
            environment,
            hosts,
        }
    }

    /// The approvals of this status (lower case; all without one), oldest first.
    pub async fn list(&self, status: Option<&str>) -> Result<Vec<ReviewedApproval>, StoreError> {
        let mut view = self.store.view().await?;
        let listed = view.list_approvals(status).await?;
        let mut names = self.hosts.names();
        let mut reviewed = Vec::new();
        for ListedApproval {
            approval,
            approved_by_username,
        } in listed
        {
            let holders = holders(&mut *view, &mut names, &approval.hostname_claimed).await?;
            let guid = stored_guid(&approval);
            let conflict = conflict(holders, guid.as_ref(), &approval.fingerprint_claimed);
            let alternate_hostname = match &conflict {
                Some(conflict) if !conflict.fingerprint_match => Some(
                    alternate_hostname(&mut *view, &mut names, &approval.hostname_claimed, guid.as_ref())
                        .await?,
                ),
                _ => None,
            };
            reviewed.push(ReviewedApproval {
                approval,
                approved_by_username,
                conflict,
                alternate_hostname,
            });
        }
        Ok(reviewed)
    }

    /// Approves; the answer is how a conflict of host names was resolved, where there was one or one was named.
    ///
    /// # Errors
    /// [`DecisionError`]; nothing is changed then.
    pub async fn approve(
        &self,
        id: &str,
        device: DecidedDevice,
        resolution: Option<&str>,
        decider: &Decider,
    ) -> Result<Option<String>, DecisionError> {
        let mut work = self.store.begin().await?;
        let mut approval = pending(work.find_approval(id).await?)?;
        let own = stored_guid(&approval);
        let guid = match device {
            DecidedDevice::OfRequest => own.clone(),
            DecidedDevice::Guid(guid) => Some(guid),
            DecidedDevice::Blank => None,
        };
        let holders = holders(&mut *work, &mut self.hosts.names(), &approval.hostname_claimed).await?;
        let conflict = conflict(holders, guid.as_ref(), &approval.fingerprint_claimed);
        let (guid, resolution) = match conflict {
            None => (guid, resolution.map(str::to_owned)),
            // A device without a GUID leaves the approval its own.
            Some(conflict) if conflict.fingerprint_match => (
                conflict.guid.or(guid),
                Some(resolution.unwrap_or("auto_merge_fingerprint").to_owned()),
            ),
            Some(conflict) => match resolution {
                Some("overwrite") => (conflict.guid.or(guid), Some("overwrite".to_owned())),
                Some("coexist") => (guid, Some("coexist".to_owned())),
                _ => {
                    return Err(DecisionError::ConflictUnresolved {
                        hostname: approval.hostname_claimed,
                    });
                }
            },
        };
        let guid = guid.or(own);
        let is_registered = match &guid {
            Some(guid) => work.find_device(guid.as_str()).await?.is_some(),
            None => false,
        };
        if !is_registered {
            // A device is made of it, under this name or with a number behind it.
            self.hosts.check_new(&approval.hostname_claimed)?;
        }
        let now = self.environment.now();
        approval.status = "approved".to_owned();
        approval.guid = guid.map(|guid| guid.to_string());
        approval.approved_by_user_id = Some(decider.id.clone());
        approval.updated_at = now.iso;
        work.put_approval(&approval).await?;
        work.save().await?;
        audit::changed("approval.approved", &approval.id);
        tracing::info!(
            "device approval {} -> approved ({}) by {}",
            approval.id,
            shown(resolution.as_deref().unwrap_or("none")),
            decider.username
        );
        Ok(resolution)
    }

    /// Denies.
    ///
    /// # Errors
    /// [`DecisionError`]; nothing is changed then.
    pub async fn deny(&self, id: &str, decider: &Decider) -> Result<(), DecisionError> {
        let mut work = self.store.begin().await?;
        let mut approval = pending(work.find_approval(id).await?)?;
        let now = self.environment.now();
        approval.status = "denied".to_owned();
        approval.guid = stored_guid(&approval).map(|guid| guid.to_string());
        approval.approved_by_user_id = Some(decider.id.clone());
        approval.updated_at = now.iso;
        work.put_approval(&approval).await?;
        work.save().await?;
        audit::changed("approval.denied", &approval.id);
        tracing::info!(
            "device approval {} -> denied by {}",
            approval.id,
            decider.username
        );
        Ok(())
    }
}

/// Who decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decider {
    /// What is written into tables: the id of the account, as text.
    pub id: String,
    /// What is written into the log.
    pub username: String,
}

fn pending(approval: Option<Approval>) -> Result<Approval, DecisionError> {
    let approval = approval.ok_or(DecisionError::NotFound)?;
    if approval.status.trim().to_lowercase() == "pending" {
        Ok(approval)
    } else {
        Err(DecisionError::NotPending)
    }
}

fn stored_guid(approval: &Approval) -> Option<Guid> {
    approval.guid.as_deref().and_then(Guid::normalize)
}

/// Whether two fingerprints are the same key: neither empty, letter case and blanks aside.
pub(super) fn same_fingerprint(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    !one.is_empty() && one.eq_ignore_ascii_case(other)
}

/// Whether somebody may ask to be called so: by the rules for new names, or because a device is stored under just this
/// name, which may have come back with another key.
pub(super) async fn may_be_claimed(
    hosts: HostRules,
    devices: &mut dyn ReadTables,
    name: &str,
) -> Result<Result<(), InvalidHostname>, StoreError> {
    let checked = hosts.check_new(name);
    if checked.is_err() && devices.device_named(name).await?.is_some() {
        return Ok(Ok(()));
    }
    Ok(checked)
}

/// The devices that have the claimed host name, the one that has it letter by letter first.
async fn holders(
    tables: &mut dyn ReadTables,
    names: &mut HostNames,
    claimed: &str,
) -> Result<Vec<HostnameHolder>, StoreError> {
    let mut holders = Vec::new();
    for name in names.of(tables, claimed).await? {
        holders.extend(tables.find_hostname_holder(&name).await?);
    }
    Ok(holders)
}

/// The conflict with a device that has the host name, unless the device that asks has it itself: of several with the
/// one whose key asks, else with the first.
fn conflict(
    holders: Vec<HostnameHolder>,
    guid: Option<&Guid>,
    fingerprint: &str,
) -> Option<HostnameConflict> {
    let mut conflicts = Vec::with_capacity(holders.len());
    for holder in holders {
        let holder_guid = holder.guid.as_deref().and_then(Guid::normalize);
        if holder_guid.is_some() && holder_guid.as_ref() == guid {
            return None;
        }
        let holder_fingerprint = holder
            .fingerprint
            .map(|text| text.trim().to_lowercase())
            .filter(|text| !text.is_empty());
        conflicts.push(HostnameConflict {
            fingerprint_match: holder_fingerprint
                .as_deref()
                .is_some_and(|own| same_fingerprint(own, fingerprint)),
            guid: holder_guid,
            fingerprint: holder_fingerprint,
            site_id: holder.site_id,
            site_name: holder.site_name.unwrap_or_default(),
        });
    }
    let place = conflicts
        .iter()
        .position(|one| one.fingerprint_match)
        .unwrap_or(0);
    (place < conflicts.len()).then(|| conflicts.swap_remove(place))
}

/// The name offered beside a taken one. Where all suffixes are taken the legacy offers the GUID, or without one a
/// last suffix that it does not check (ENR-21).
async fn alternate_hostname(
    devices: &mut dyn ReadTables,
    names: &mut HostNames,
    claimed: &str,
    guid: Option<&Guid>,
) -> Result<String, StoreError> {
    let base = hostname_base(claimed).unwrap_or_else(|| guid.map(Guid::to_string).unwrap_or_default());
    Ok(match free_hostname(devices, names, &base, guid).await? {
        Some(name) => name,
        None => guid.map_or_else(|| format!("{base}-{SUFFIXES}"), Guid::to_string),
    })
}

/// The host name of a new device: the claimed one where it is free, else with a suffix, else the GUID.
pub(super) async fn hostname_for_new_device(
    hosts: HostRules,
    devices: &mut dyn ReadTables,
    claimed: &str,
    guid: &Guid,
) -> Result<String, StoreError> {
    // An approval of before, when any text was a name.
    let base = hostname_base(claimed).filter(|base| hosts.check_new(base).is_ok());
    let base = base.unwrap_or_else(|| guid.to_string());
    Ok(free_hostname(devices, &mut hosts.names(), &base, Some(guid))
        .await?
        .unwrap_or_else(|| guid.to_string()))
}

fn hostname_base(claimed: &str) -> Option<String> {
    let base: String = claimed.trim().chars().take(LONGEST).collect();
    (!base.is_empty()).then_some(base)
}

async fn free_hostname(
    devices: &mut dyn ReadTables,
    names: &mut HostNames,
    base: &str,
    guid: Option<&Guid>,
) -> Result<Option<String>, StoreError> {
    for suffix in 0..SUFFIXES {
        let name = names.with_suffix(base, suffix);
        let mut is_free = true;
        for holder in names.of(devices, &name).await? {
            let owner = devices
                .device_named(&holder)
                .await?
                .and_then(|device| device.guid);
            let owner = owner.as_deref().and_then(Guid::normalize);
            is_free &= owner.is_some() && owner.as_ref() == guid;
        }
        if is_free {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
