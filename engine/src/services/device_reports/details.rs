//! A device reports its document.

use super::DeviceReportService;
use crate::{
    builders::device_reports::details::{DetailsContents, DetailsReport, InvalidDetails},
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
    /// The report has the wrong shape.
    #[error(transparent)]
    Invalid(#[from] InvalidDetails),
    /// An integer of the report is beyond 64 bits, which no column holds; the legacy's database refuses it as well.
    #[error("an integer is beyond 64 bits")]
    IntegerTooLarge,
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
        report: DetailsReport,
    ) -> Result<(), DetailsError> {
        let guid = device.guid.as_str();
        let mut work = self.store.begin().await?;
        let own = device.stored_identity(&mut *work).await?;
        let own_name = own.as_ref().and_then(|own| own.hostname.as_deref());
        if self.hosts.is_strict() {
            self.check_host(&mut *work, device, own.as_ref(), &report.hostname)
                .await?;
        }
        let same_name = own_name.filter(|name| self.hosts.is_strict() && same_host(name, &report.hostname));
        let hostname = same_name.unwrap_or(&report.hostname);
        let row = work.device_row_named(hostname).await?;
        let stored = row.as_ref().map(DeviceSnapshot::from);
        if stored
            .as_ref()
            .is_some_and(|stored| !stored.guid.is_empty() && stored.guid != guid)
        {
            return Err(DetailsError::GuidMismatch);
        }
        let contents = report.contents?;
        if self.hosts.is_strict() {
            check_agents(&mut *work, device, hostname, &contents).await?;
        }
        if own.is_some() && own_name != Some(hostname) {
            return Err(DetailsError::OtherHostname);
        }

        let mut document = stored.as_ref().map(DeviceSnapshot::document).unwrap_or_default();
        let completed = self.completed(device, hostname, &contents, stored.as_ref());
        merge(&mut document, completed)?;
        if !DeviceUpsert::holds_integers_of(&document) {
            return Err(DetailsError::IntegerTooLarge);
        }
        let now = self.environment.now();
        let mut upsert =
            DeviceUpsert::from_document(hostname, stored.as_ref(), &document, now.time.as_second());
        upsert.guid = Some(guid.to_owned());
        upsert.agent_hash = contents.agent_hash.clone().or(upsert.agent_hash);
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

        self.update_registry(device, hostname, &contents, &document);
        Ok(())
    }

    /// Sees to it that a report is about a host of the device that sends it, under the name in its row, or one that it
    /// may take.
    async fn check_host(
        &self,
        work: &mut dyn UnitOfWork,
        device: &AuthenticatedDevice,
        own: Option<&DeviceIdentity>,
        hostname: &str,
    ) -> Result<(), DetailsError> {
        let own_name = own.and_then(|own| own.hostname.as_deref());
        if own_name.is_some_and(|name| name == hostname || same_host(name, hostname)) {
            return Ok(());
        }
        let stored_guid = own.map(|own| own.guid.as_str());
        if self.hosts.is_taken(work, hostname, stored_guid).await? {
            return Err(refused(device, hostname, DetailsError::GuidMismatch));
        }
        self.hosts
            .check_new(python_trim(hostname))
            .map_err(|error| refused(device, hostname, error.into()))
    }

    /// The report's document, with what the summary may leave out.
    fn completed(
        &self,
        device: &AuthenticatedDevice,
        hostname: &str,
        report: &DetailsContents,
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
        if self.hosts.is_strict() || is_empty(summary, "hostname") {
            summary.insert("hostname".to_owned(), hostname.into());
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

    fn update_registry(
        &self,
        device: &AuthenticatedDevice,
        hostname: &str,
        report: &DetailsContents,
        document: &JsonObject,
    ) {
        let summary = |name| document.get("summary").and_then(|summary| summary.get(name));
        let text = |name| {
            summary(name)
                .and_then(Json::as_text)
                .map(python_trim)
                .filter(|text| !text.is_empty())
        };
        let operating_system = ["operating_system", "agent_operating_system"].map(summary);
        self.agents.note_details(&DetailsNote {
            guid: &device.guid,
            agent_id: report.agent_id.as_deref(),
            hostname,
            own_only: self.hosts.is_strict(),
            agent_hash: report.agent_hash.as_deref().or(text("agent_hash")),
            operating_system: operating_system
                .into_iter()
                .flatten()
                .find(|system| system.is_truthy()),
            device_type: text("device_type"),
        });
    }
}

/// Sees to it that the agents which a report names are the device's own.
async fn check_agents(
    work: &mut dyn UnitOfWork,
    device: &AuthenticatedDevice,
    hostname: &str,
    report: &DetailsContents,
) -> Result<(), DetailsError> {
    let in_summary = report
        .details
        .get("summary")
        .and_then(|summary| summary.get("agent_id"))
        // A falsy one is stored all the same where the report has no other.
        .filter(|id| id.is_truthy() || (report.agent_id.is_none() && !id.is_null()))
        .map(|id| python_trim(&id.python_str()).to_owned())
        .filter(|id| !id.is_empty());
    for agent_id in report.agent_id.iter().chain(&in_summary) {
        if !agents_device(work, device, agent_id).await? {
            return Err(refused(device, hostname, DetailsError::GuidMismatch));
        }
    }
    Ok(())
}

fn refused(device: &AuthenticatedDevice, hostname: &str, error: DetailsError) -> DetailsError {
    tracing::warn!(guid = %device.guid, host = %shown(hostname), %error, "details refused");
    error
}
