//! A device reports its document.

use super::DeviceReportService;
use crate::{
    builders::device_reports::details::DetailsReport,
    domain::{
        agents::DetailsNote,
        device_document::{
            DeviceSnapshot, DeviceUpsert,
            merge::{ShapesDiffer, merge},
        },
        devices::DeviceIdentity,
        host_name::same_host,
        json::{Json, JsonObject},
        mask::shown,
        text::python_trim,
    },
    repositories::{StoreError, UnitOfWork},
    services::{
        agent_owners::agents_device, audit, device_access::authentication::AuthenticatedDevice,
        hosts::InvalidHostname,
    },
};

/// Why a document is not stored.
#[derive(Debug, thiserror::Error)]
pub enum DetailsError {
    /// The host belongs to another device.
    #[error("the host belongs to another device")]
    GuidMismatch,
    /// The device is stored under another host name; a heartbeat must rename it first.
    #[error("the device is stored under another host name")]
    OtherHostname,
    /// No device may be called so.
    #[error(transparent)]
    InvalidHostname(#[from] InvalidHostname),
    /// The report does not fit what is stored (DEV-6).
    #[error(transparent)]
    ShapesDiffer(#[from] ShapesDiffer),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeviceReportService {
    /// Merges a report into the device's document and stores it, with the key that the device came in with.
    ///
    /// # Errors
    /// [`DetailsError`]; nothing is written then.
    pub async fn store_details(
        &self,
        device: &AuthenticatedDevice,
        mut report: DetailsReport,
    ) -> Result<(), DetailsError> {
        let guid = device.guid.as_str();
        let mut work = self.store.begin().await?;
        let own = device.stored_identity(&mut *work).await?;
        if self.hosts.is_strict() {
            self.check_owner(&mut *work, device, own.as_ref(), &mut report)
                .await?;
        }
        let row = work.device_row_named(&report.hostname).await?;
        let stored = row.as_ref().map(DeviceSnapshot::from);
        if stored
            .as_ref()
            .is_some_and(|stored| !stored.guid.is_empty() && stored.guid != guid)
        {
            return Err(DetailsError::GuidMismatch);
        }
        if own.is_some_and(|own| own.hostname.as_deref() != Some(report.hostname.as_str())) {
            return Err(DetailsError::OtherHostname);
        }

        let mut document = stored.as_ref().map(DeviceSnapshot::document).unwrap_or_default();
        let completed = self.completed(device, &report, stored.as_ref());
        merge(&mut document, completed)?;
        let now = self.environment.now();
        let mut upsert =
            DeviceUpsert::from_document(&report.hostname, stored.as_ref(), &document, now.time.as_second());
        upsert.guid = Some(guid.to_owned());
        upsert.agent_hash = report.agent_hash.clone().or(upsert.agent_hash);
        work.upsert_device(&upsert).await?;
        work.confirm_device_key(guid, &device.fingerprint, &now.iso)
            .await?;
        let is_new_key = work
            .add_device_key(&self.environment.new_id(), guid, &device.fingerprint, &now.iso)
            .await?;
        work.save().await?;
        let agent_id = upsert.agent_id.as_deref();
        let before = stored.as_ref().map(|stored| stored.agent_id.as_str());
        audit::identity_changed(guid, agent_id.filter(|id| before != Some(*id)), is_new_key);

        self.update_registry(device, &report, &document);
        Ok(())
    }

    /// Sees to it that a report is about the device that sends it: its host is that device's under the name in its row,
    /// and so is the agent that it names.
    async fn check_owner(
        &self,
        work: &mut dyn UnitOfWork,
        device: &AuthenticatedDevice,
        own: Option<&DeviceIdentity>,
        report: &mut DetailsReport,
    ) -> Result<(), DetailsError> {
        let refused = |error: DetailsError| {
            tracing::warn!(guid = %device.guid, host = %shown(&report.hostname), %error, "details refused");
            error
        };
        let own_name = own.and_then(|own| own.hostname.as_deref());
        if own_name != Some(report.hostname.as_str()) {
            match own_name {
                Some(name) if same_host(name, &report.hostname) => {}
                _ => {
                    let stored_guid = own.map(|own| own.guid.as_str());
                    if self.hosts.is_taken(work, &report.hostname, stored_guid).await? {
                        return Err(refused(DetailsError::GuidMismatch));
                    }
                    self.hosts
                        .check_new(python_trim(&report.hostname))
                        .map_err(|error| refused(error.into()))?;
                }
            }
        }
        let in_summary = report
            .details
            .get("summary")
            .and_then(|summary| summary.get("agent_id"));
        let in_summary = in_summary.filter(|id| id.is_truthy()).map(Json::python_text);
        for agent_id in report.agent_id.iter().chain(&in_summary) {
            if !agents_device(work, device, agent_id).await? {
                return Err(refused(DetailsError::GuidMismatch));
            }
        }
        if let Some(name) = own_name.filter(|name| same_host(name, &report.hostname)) {
            name.clone_into(&mut report.hostname);
            if let Some(Json::Object(summary)) = report.details.get_mut("summary") {
                summary.insert("hostname".to_owned(), name.into());
            }
        }
        Ok(())
    }

    /// The report's document, with what the summary may leave out.
    fn completed(
        &self,
        device: &AuthenticatedDevice,
        report: &DetailsReport,
        stored: Option<&DeviceSnapshot>,
    ) -> JsonObject {
        let mut details = report.details.clone();
        let summary = details
            .entry("summary".to_owned())
            .or_insert_with(|| JsonObject::new().into());
        let Json::Object(summary) = summary else {
            return details;
        };
        let is_empty = |summary: &JsonObject, name| !summary.get(name).is_some_and(Json::is_truthy);
        if let Some(agent_id) = &report.agent_id
            && is_empty(summary, "agent_id")
        {
            summary.insert("agent_id".to_owned(), agent_id.as_str().into());
        }
        if is_empty(summary, "hostname") {
            summary.insert("hostname".to_owned(), report.hostname.as_str().into());
        }
        if let Some(hash) = &report.agent_hash {
            summary.insert("agent_hash".to_owned(), hash.as_str().into());
        }
        summary.insert("agent_guid".to_owned(), device.guid.as_str().into());
        if is_empty(summary, "last_seen") {
            // A report is no sign of life by itself: the time in the registry or the table stays.
            let remembered = report
                .agent_id
                .as_deref()
                .and_then(|id| self.agents.record(id)?.last_seen)
                .and_then(|time| i64::try_from(time).ok())
                .filter(|time| *time != 0);
            if let Some(time) = remembered.or(stored.map(|stored| stored.last_seen)) {
                summary.insert("last_seen".to_owned(), time.into());
            }
        }
        details
    }

    fn update_registry(&self, device: &AuthenticatedDevice, report: &DetailsReport, document: &JsonObject) {
        let summary = |name| {
            document
                .get("summary")
                .and_then(|summary| summary.get(name)?.as_text())
                .map(python_trim)
                .filter(|text| !text.is_empty())
        };
        self.agents.note_details(&DetailsNote {
            guid: &device.guid,
            agent_id: report.agent_id.as_deref(),
            hostname: &report.hostname,
            own_only: self.hosts.is_strict(),
            agent_hash: report.agent_hash.as_deref().or(summary("agent_hash")),
            operating_system: summary("operating_system"),
            device_type: summary("device_type"),
        });
    }
}
