//! Table `devices`, for the agent registry.

use crate::{
    domain::agents::KnownDevice,
    repositories::{
        StoreError,
        agents::ReadKnownDevices,
        sqlite::{Access, rows::Columns},
    },
};
use async_trait::async_trait;

#[async_trait]
impl<A: Access> ReadKnownDevices for A {
    async fn known_devices(&mut self) -> Result<Vec<KnownDevice>, StoreError> {
        // The casts let the server start whatever somebody wrote into these columns.
        let rows = sqlx::query(
            "SELECT CAST(agent_id AS TEXT) AS agent_id, CAST(hostname AS TEXT) AS hostname, \
             CAST(operating_system AS TEXT) AS operating_system, CAST(device_type AS TEXT) AS device_type, \
             CAST(last_seen AS INTEGER) AS last_seen, CAST(agent_hash AS TEXT) AS agent_hash, \
             CAST(guid AS TEXT) AS guid FROM devices ORDER BY rowid",
        )
        .fetch_all(self.connection())
        .await?;
        rows.iter()
            .map(|row| {
                let row = Columns::of("devices", row);
                Ok(KnownDevice {
                    agent_id: row.get("agent_id")?,
                    hostname: row.get("hostname")?,
                    operating_system: row.get("operating_system")?,
                    device_type: row.get("device_type")?,
                    last_seen: row.get("last_seen")?,
                    agent_hash: row.get("agent_hash")?,
                    guid: row.get("guid")?,
                })
            })
            .collect()
    }
}
