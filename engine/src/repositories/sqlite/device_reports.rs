//! Table `devices`, whole rows.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::{
    domain::device_document::{DeviceRow, DeviceUpsert},
    repositories::{
        StoreError, WriteDeviceDocuments,
        device_reports::ReadDeviceDocuments,
        sqlite::{Access, SqliteWork, devices::row_of_guid, rows::Columns},
    },
};

/// The columns of a [`DeviceRow`].
macro_rules! document_columns {
    () => {
        "devices.guid, devices.hostname, devices.description, devices.agent_hash, devices.memory, devices.network, \
         devices.software, devices.storage, devices.cpu, devices.device_type, devices.domain, devices.external_ip, \
         devices.internal_ip, devices.last_reboot, devices.last_user, devices.operating_system, devices.agent_id, \
         devices.ansible_ee_ver, devices.connection_type, devices.connection_endpoint, devices.created_at, \
         devices.last_seen, devices.uptime"
    };
}
pub(super) use document_columns;

macro_rules! select_rows {
    ($rest:literal) => {
        concat!("SELECT ", document_columns!(), " FROM devices ", $rest)
    };
}

#[async_trait]
impl<A: Access> ReadDeviceDocuments for A {
    async fn device_row_named(&mut self, hostname: &str) -> Result<Option<DeviceRow>, StoreError> {
        sqlx::query(select_rows!("WHERE hostname = $1"))
            .bind(hostname)
            .fetch_optional(self.connection())
            .await?
            .map(|row| read_document(&row))
            .transpose()
    }

    async fn device_row(&mut self, guid: &str) -> Result<Option<DeviceRow>, StoreError> {
        let row = row_of_guid(
            self,
            guid,
            select_rows!("WHERE guid = $1"),
            select_rows!("WHERE rowid = (SELECT MIN(+rowid) FROM devices WHERE UPPER(guid) = UPPER($1))"),
        )
        .await?;
        row.map(|row| read_document(&row)).transpose()
    }
}

#[async_trait]
impl WriteDeviceDocuments for SqliteWork {
    async fn upsert_device(&mut self, device: &DeviceUpsert) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO devices (hostname, description, created_at, agent_hash, guid, memory, network, software, \
             storage, cpu, device_type, domain, external_ip, internal_ip, last_reboot, last_seen, last_user, \
             operating_system, uptime, agent_id, ansible_ee_ver, connection_type, connection_endpoint) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
             $21, $22, $23) \
             ON CONFLICT (hostname) DO UPDATE SET \
             description = excluded.description, \
             created_at = COALESCE(created_at, excluded.created_at), \
             agent_hash = COALESCE(NULLIF(excluded.agent_hash, ''), agent_hash), \
             guid = COALESCE(NULLIF(excluded.guid, ''), guid), \
             memory = excluded.memory, network = excluded.network, software = excluded.software, \
             storage = excluded.storage, cpu = excluded.cpu, \
             device_type = COALESCE(NULLIF(excluded.device_type, ''), device_type), \
             domain = COALESCE(NULLIF(excluded.domain, ''), domain), \
             external_ip = COALESCE(NULLIF(excluded.external_ip, ''), external_ip), \
             internal_ip = COALESCE(NULLIF(excluded.internal_ip, ''), internal_ip), \
             last_reboot = COALESCE(NULLIF(excluded.last_reboot, ''), last_reboot), \
             last_seen = COALESCE(NULLIF(excluded.last_seen, 0), last_seen), \
             last_user = COALESCE(NULLIF(excluded.last_user, ''), last_user), \
             operating_system = COALESCE(NULLIF(excluded.operating_system, ''), operating_system), \
             uptime = COALESCE(NULLIF(excluded.uptime, 0), uptime), \
             agent_id = COALESCE(NULLIF(excluded.agent_id, ''), agent_id), \
             ansible_ee_ver = COALESCE(NULLIF(excluded.ansible_ee_ver, ''), ansible_ee_ver), \
             connection_type = COALESCE(NULLIF(excluded.connection_type, ''), connection_type), \
             connection_endpoint = COALESCE(NULLIF(excluded.connection_endpoint, ''), connection_endpoint)",
        )
        .bind(&device.hostname)
        .bind(&device.description)
        .bind(device.created_at)
        .bind(&device.agent_hash)
        .bind(&device.guid)
        .bind(&device.memory)
        .bind(&device.network)
        .bind(&device.software)
        .bind(&device.storage)
        .bind(&device.cpu)
        .bind(&device.device_type)
        .bind(&device.domain)
        .bind(&device.external_ip)
        .bind(&device.internal_ip)
        .bind(&device.last_reboot)
        .bind(device.last_seen)
        .bind(&device.last_user)
        .bind(&device.operating_system)
        .bind(device.uptime)
        .bind(&device.agent_id)
        .bind(&device.ansible_ee_ver)
        .bind(&device.connection_type)
        .bind(&device.connection_endpoint)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

pub(super) fn read_document(row: &SqliteRow) -> Result<DeviceRow, StoreError> {
    let row = Columns::of("devices", row);
    Ok(DeviceRow {
        guid: row.text("guid")?,
        hostname: row.text("hostname")?,
        description: row.text("description")?,
        created_at: row.integer("created_at")?,
        agent_hash: row.text("agent_hash")?,
        memory: row.json_text("memory")?,
        network: row.json_text("network")?,
        software: row.json_text("software")?,
        storage: row.json_text("storage")?,
        cpu: row.json_text("cpu")?,
        device_type: row.text("device_type")?,
        domain: row.text("domain")?,
        external_ip: row.text("external_ip")?,
        internal_ip: row.text("internal_ip")?,
        last_reboot: row.text("last_reboot")?,
        last_seen: row.integer("last_seen")?,
        last_user: row.text("last_user")?,
        operating_system: row.text("operating_system")?,
        uptime: row.integer("uptime")?,
        agent_id: row.text("agent_id")?,
        ansible_ee_ver: row.text("ansible_ee_ver")?,
        connection_type: row.text("connection_type")?,
        connection_endpoint: row.text("connection_endpoint")?,
    })
}

#[cfg(test)]
mod tests;
