//! A device reports its document.

use super::DeviceReportService;
use crate::{
    domain::{
        agent_registry::DetailsNote,
        device::{
            DeviceSnapshot, DeviceUpsert,
            merge::{ShapesDiffer, merge},
        },
        json::{Json, JsonObject},
        text::python_trim,
    },
    repositories::{
        Store, StoreError, UnitOfWork as _, device_documents::DeviceDocuments as _, devices::Devices as _,
    },
    services::{device_gate::AuthenticatedDevice, own_row::own_identity},
};

/// The document that a device reports of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct DetailsReport {
    /// The host name as sent.
    pub hostname: String,
    /// The agent's id as sent.
    pub agent_id: Option<String>,
    /// The hash of its build, trimmed.
    pub agent_hash: Option<String>,
    /// The document; `summary`, where there is one, is an object.
    pub details: JsonObject,
}

/// Why a document is not stored.
#[derive(Debug, thiserror::Error)]
pub enum DetailsError {
    /// The host belongs to another device.
    #[error("the host belongs to another device")]
    GuidMismatch,
    /// The device is stored under another host name; a heartbeat must rename it first.
    #[error("the device is stored under another host name")]
    OtherHostname,
    /// The report does not fit what is known (DEV-6).
    #[error(transparent)]
    ShapesDiffer(#[from] ShapesDiffer),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> DeviceReportService<S> {
    /// Merges a report into the device's document and stores it, with the key that the device came in with.
    ///
    /// # Errors
    /// [`DetailsError`]; nothing is written then.
    pub async fn store_details(
        &self,
        device: &AuthenticatedDevice,
        report: DetailsReport,
    ) -> Result<(), DetailsError> {
        let guid = device.guid.as_str();
        let mut work = self.store.begin().await?;
        let row = work.device_row_named(&report.hostname).await?;
        let known = row.as_ref().map(DeviceSnapshot::from);
        if known
            .as_ref()
            .is_some_and(|known| !known.guid.is_empty() && known.guid != guid)
        {
            return Err(DetailsError::GuidMismatch);
        }
        let own = own_identity(&mut work, device).await?;
        if own.is_some_and(|own| own.hostname.as_deref() != Some(report.hostname.as_str())) {
            return Err(DetailsError::OtherHostname);
        }

        let mut document = known.as_ref().map(DeviceSnapshot::document).unwrap_or_default();
        let completed = self.completed(device, &report, known.as_ref());
        merge(&mut document, completed)?;
        let now = self.environment.now();
        let mut upsert =
            DeviceUpsert::from_document(&report.hostname, known.as_ref(), &document, now.time.as_second());
        upsert.guid = Some(guid.to_owned());
        upsert.agent_hash = report.agent_hash.clone().or(upsert.agent_hash);
        work.upsert_device(&upsert).await?;
        work.confirm_device_key(guid, &device.fingerprint, &now.iso)
            .await?;
        work.add_device_key(&self.environment.new_id(), guid, &device.fingerprint, &now.iso)
            .await?;
        work.save().await?;

        self.tell_agents(device, &report, &document);
        Ok(())
    }

    /// The report's document, with what the summary may leave out.
    fn completed(
        &self,
        device: &AuthenticatedDevice,
        report: &DetailsReport,
        known: Option<&DeviceSnapshot>,
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
            // A report is no sign of life by itself: what the channel or the table says stays.
            let remembered = report
                .agent_id
                .as_deref()
                .and_then(|id| self.agents.record(id)?.last_seen)
                .and_then(|time| i64::try_from(time).ok())
                .filter(|time| *time != 0);
            if let Some(time) = remembered.or(known.map(|known| known.last_seen)) {
                summary.insert("last_seen".to_owned(), time.into());
            }
        }
        details
    }

    fn tell_agents(&self, device: &AuthenticatedDevice, report: &DetailsReport, document: &JsonObject) {
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
            agent_hash: report.agent_hash.as_deref().or(summary("agent_hash")),
            operating_system: summary("operating_system"),
            device_type: summary("device_type"),
        });
    }
}
