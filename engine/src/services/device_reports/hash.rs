//! The hash of an agent's build: reported by its device, read back, and listed.

use super::DeviceReportService;
use crate::{
    builders::device_reports::hash::HashReport,
    domain::{
        agents::HashNote,
        device_document::{DeviceSnapshot, DeviceUpsert},
        guid::Guid,
        hash_list::{HashEntry, HashSource, hash_list},
        mask::shown,
        text::present,
    },
    repositories::StoreError,
    services::{agent_owners::agents_device, audit, device_access::authentication::AuthenticatedDevice},
};

/// Why a hash is neither stored nor answered.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It is another device's.
    #[error("the GUID is another device's")]
    GuidMismatch,
    /// The report has no hash.
    #[error("no hash")]
    Missing,
    /// Neither the table nor the registry has a hash of the device.
    #[error("no hash is known")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A hash, and where it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashAnswer {
    /// The hash; may be empty where it comes from the table.
    pub agent_hash: String,
    /// The host; `None` where the registry has none.
    pub hostname: Option<String>,
    /// The agent's id, if there is one.
    pub agent_id: Option<String>,
    /// Where it was found.
    pub source: HashSource,
}

/// What became of a reported hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredHash {
    /// The hash as stored.
    pub agent_hash: String,
    /// The host; `None`: the device has no host name, and nothing is stored.
    pub hostname: Option<String>,
    /// The agent's id, if there is one.
    pub agent_id: Option<String>,
}

impl DeviceReportService {
    /// The hash of the device that asks; it may say its own GUID.
    ///
    /// # Errors
    /// [`HashError`]
    pub async fn hash_of(
        &self,
        device: &AuthenticatedDevice,
        claimed_guid: Option<&Guid>,
    ) -> Result<HashAnswer, HashError> {
        check_claim(device, claimed_guid)?;
        let remembered = self
            .agents
            .first_with_guid(&device.guid)
            .and_then(|(id, record)| {
                let hash = record.agent_hash.filter(|hash| !hash.is_empty())?;
                Some(HashAnswer {
                    agent_hash: hash,
                    hostname: record.hostname.as_deref().and_then(present),
                    agent_id: Some(id),
                    source: HashSource::Memory,
                })
            });
        if let Some(answer) = remembered {
            return Ok(answer);
        }
        let row = device
            .stored_row(&mut *self.store.view().await?)
            .await?
            .ok_or(HashError::NotFound)?;
        let stored = DeviceSnapshot::from(&row);
        Ok(HashAnswer {
            agent_hash: stored.agent_hash,
            hostname: Some(stored.hostname),
            agent_id: Some(stored.agent_id).filter(|id| !id.is_empty()),
            source: HashSource::Database,
        })
    }

    /// Stores the hash that a device reports. A device without a host name cannot take one.
    ///
    /// # Errors
    /// [`HashError`]; nothing is written then.
    pub async fn store_hash(
        &self,
        device: &AuthenticatedDevice,
        report: HashReport,
    ) -> Result<StoredHash, HashError> {
        check_claim(device, report.claimed_guid.as_ref())?;
        if report.agent_hash.is_empty() {
            return Err(HashError::Missing);
        }
        let mut work = self.store.begin().await?;
        if self.hosts.is_strict()
            && let Some(agent_id) = &report.agent_id
            && !agents_device(&mut *work, device, agent_id).await?
        {
            tracing::warn!(guid = %device.guid, agent_id = %shown(agent_id), "hash refused");
            return Err(HashError::GuidMismatch);
        }
        let row = device.stored_row(&mut *work).await?;
        let Some(stored) = row
            .as_ref()
            .map(DeviceSnapshot::from)
            .filter(|stored| !stored.hostname.is_empty())
        else {
            return Ok(StoredHash {
                agent_hash: report.agent_hash,
                hostname: None,
                agent_id: None,
            });
        };
        let now = self.environment.clock.now().as_second();
        let mut upsert = DeviceUpsert::rewrite(&stored.hostname, Some(&stored), now);
        upsert.agent_hash = Some(report.agent_hash.clone());
        if report.agent_id.is_some() {
            upsert.agent_id.clone_from(&report.agent_id);
        }
        work.upsert_device(&upsert).await?;
        work.save().await?;
        if stored.agent_hash != report.agent_hash {
            audit::changed("device.build_reported", &device.guid);
        }

        let agent_id = upsert.agent_id;
        // Where the device names no agent, one that was the device's before lends its id to the answer.
        let lent = self.agents.note_hash(&HashNote {
            guid: &device.guid,
            agent_hash: &report.agent_hash,
            agent_id: agent_id.as_deref(),
            hostname: Some(&stored.hostname),
            own_only: self.hosts.is_strict(),
        });
        Ok(StoredHash {
            agent_hash: report.agent_hash,
            agent_id: agent_id.or(lent.as_deref().map(str::to_owned)),
            hostname: Some(stored.hostname),
        })
    }

    /// Every build that the table and the registry have.
    pub async fn hashes(&self) -> Result<Vec<HashEntry>, StoreError> {
        let devices = self.store.view().await?.registered_devices().await?;
        let stored = devices.iter().map(HashEntry::of_device);
        let agents = self.agents.snapshot();
        let remembered = agents
            .iter()
            .filter(|(id, record)| !record.is_hidden_helper(id))
            .map(|(id, record)| HashEntry::of_agent(id, record));
        Ok(hash_list(stored.chain(remembered)))
    }
}

fn check_claim(device: &AuthenticatedDevice, claimed: Option<&Guid>) -> Result<(), HashError> {
    if claimed.is_some_and(|claimed| *claimed != device.guid) {
        return Err(HashError::GuidMismatch);
    }
    Ok(())
}
