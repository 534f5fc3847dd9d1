//! Tables `devices` and `device_keys`.
//!
//! Long because it is every statement of one table.

mod listing;
pub(super) mod reports;

pub(super) use listing::search;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::{
    Access, SqliteWork,
    indexes::numbers,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::{
        agents::RegisteredDevice,
        devices::{DeviceEntry, DeviceIdentity, DeviceReport, KeyRotation, NamedDevice, NewDevice},
        host_name::HostKey,
        json::Json,
        json_text::column_text,
    },
    repositories::{
        StoreError,
        devices::{ReadDevices, WriteDevices},
    },
};

/// The query for who a device is, with this condition.
macro_rules! identity_query {
    ($condition:literal) => {
        concat!(
            "SELECT guid, hostname, ssl_key_fingerprint, token_version, status FROM devices WHERE ",
            $condition
        )
    };
}

/// Who the device of this row is.
pub(super) fn identity(row: &Columns<'_>) -> Result<DeviceIdentity, StoreError> {
    Ok(DeviceIdentity {
        guid: row.get("guid")?,
        hostname: row.get("hostname")?,
        fingerprint: row.get("ssl_key_fingerprint")?,
        token_version: row.get("token_version")?,
        status: row.get("status")?,
    })
}

/// Nobody is called by what is no text, nor by a text that cannot be read.
fn readable(names: Vec<Vec<u8>>) -> impl Iterator<Item = String> {
    names.into_iter().filter_map(|name| String::from_utf8(name).ok())
}

/// The row that one of two statements finds: as good as every device by its key. The other spellings need a look at all keys,
/// which SQLite finds in their index: without the `+` it would look through the devices, inventories and all.
pub(super) async fn row_of_guid<A: Access>(
    access: &mut A,
    guid: &str,
    exact: &'static str,
    in_any_case: &'static str,
) -> Result<Option<SqliteRow>, StoreError> {
    let found = sqlx::query(exact)
        .bind(guid)
        .fetch_optional(access.connection())
        .await?;
    if found.is_some() {
        return Ok(found);
    }
    Ok(sqlx::query(in_any_case)
        .bind(guid)
        .fetch_optional(access.connection())
        .await?)
}

#[async_trait]
impl<A: Access> ReadDevices for A {
    async fn find_device(&mut self, guid: &str) -> Result<Option<DeviceIdentity>, StoreError> {
        let row = row_of_guid(
            self,
            guid,
            identity_query!("guid = $1"),
            identity_query!("rowid = (SELECT MIN(+rowid) FROM devices WHERE UPPER(guid) = UPPER($1))"),
        )
        .await?;
        row.map(|row| identity(&Columns::of("devices", &row))).transpose()
    }

    async fn list_devices(&mut self) -> Result<Vec<DeviceEntry>, StoreError> {
        sqlx::query(
            "SELECT CAST(guid AS TEXT) AS guid, CAST(hostname AS TEXT) AS hostname, \
             CAST(agent_id AS TEXT) AS agent_id, CAST(status AS TEXT) AS status, \
             last_seen FROM devices ORDER BY rowid",
        )
        .read_all(self.connection(), |row| {
            let row = Columns::of("devices", row);
            Ok(DeviceEntry {
                guid: row.get("guid")?,
                hostname: row.get("hostname")?,
                agent_id: row.get("agent_id")?,
                status: row.get("status")?,
                last_seen: row.integer("last_seen")?,
            })
        })
        .await
    }

    async fn registered_devices(&mut self) -> Result<Vec<RegisteredDevice>, StoreError> {
        // The casts let the server start whatever somebody wrote into these columns.
        sqlx::query(
            "SELECT CAST(agent_id AS TEXT) AS agent_id, CAST(hostname AS TEXT) AS hostname, \
             CAST(operating_system AS TEXT) AS operating_system, CAST(device_type AS TEXT) AS device_type, \
             last_seen, CAST(agent_hash AS TEXT) AS agent_hash, \
             CAST(guid AS TEXT) AS guid FROM devices ORDER BY rowid",
        )
        .read_all(self.connection(), |row| {
            let row = Columns::of("devices", row);
            Ok(RegisteredDevice {
                agent_id: row.get("agent_id")?,
                hostname: row.get("hostname")?,
                operating_system: row.get("operating_system")?,
                device_type: row.get("device_type")?,
                last_seen: row.integer("last_seen")?,
                agent_hash: row.get("agent_hash")?,
                guid: row.get("guid")?,
            })
        })
        .await
    }

    async fn hostname_owner(&mut self, hostname: &str) -> Result<Option<Option<String>>, StoreError> {
        Ok(sqlx::query_scalar("SELECT guid FROM devices WHERE hostname = $1")
            .bind(hostname)
            .fetch_optional(self.connection())
            .await?)
    }

    async fn device_named(&mut self, hostname: &str) -> Result<Option<NamedDevice>, StoreError> {
        let row = sqlx::query(
            "SELECT CAST(guid AS TEXT) AS guid, CAST(ssl_key_fingerprint AS TEXT) AS ssl_key_fingerprint, \
             CAST(status AS TEXT) AS status FROM devices WHERE hostname = $1",
        )
        .bind(hostname)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let row = Columns::of("devices", &row);
            Ok(NamedDevice {
                guid: row.get("guid")?,
                hostname: hostname.to_owned(),
                fingerprint: row.get("ssl_key_fingerprint")?,
                status: row.get("status")?,
            })
        })
        .transpose()
    }

    async fn host_names(&mut self) -> Result<Vec<String>, StoreError> {
        // Read from the index of names alone.
        let names = sqlx::query_scalar(
            "SELECT CAST(hostname AS BLOB) FROM devices WHERE typeof(hostname) = 'text' ORDER BY hostname",
        )
        .fetch_all(self.connection())
        .await?;
        Ok(readable(names).collect())
    }

    async fn host_names_with(&mut self, key: &HostKey) -> Result<Option<Vec<String>>, StoreError> {
        let Some(proposed) = self.propose_devices(|columns| columns.named(key)).await? else {
            return Ok(None);
        };
        if proposed.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let names = sqlx::query_scalar(
            "SELECT CAST(hostname AS BLOB) FROM devices WHERE rowid IN (SELECT value FROM json_each($1)) \
             AND typeof(hostname) = 'text'",
        )
        .bind(numbers(&proposed)?)
        .fetch_all(self.connection())
        .await?;
        let mut names: Vec<_> = readable(names).filter(|name| HostKey::of(name) == *key).collect();
        names.sort_unstable();
        Ok(Some(names))
    }

    async fn guids_of_hosts(&mut self, hostnames: &[String]) -> Result<Vec<(String, String)>, StoreError> {
        // One statement for however many names.
        Ok(sqlx::query_as(
            "SELECT hostname, CAST(guid AS TEXT) FROM devices \
             WHERE hostname IN (SELECT value FROM json_each($1)) AND guid IS NOT NULL",
        )
        .bind(column_text(&Json::list(hostnames.iter().map(String::as_str))))
        .fetch_all(self.connection())
        .await?)
    }
}

#[async_trait]
impl WriteDevices for SqliteWork {
    async fn guids_with_agent_id(&mut self, agent_id: &str) -> Result<Vec<String>, StoreError> {
        let proposed = self.propose_devices(|columns| columns.with_agent(agent_id));
        let query = match proposed.await? {
            Some(proposed) => sqlx::query_scalar(
                "SELECT guid FROM devices WHERE rowid IN (SELECT value FROM json_each($2)) \
                 AND agent_id = $1 AND guid IS NOT NULL",
            )
            .bind(agent_id)
            .bind(numbers(&proposed)?),
            None => sqlx::query_scalar("SELECT guid FROM devices WHERE agent_id = $1 AND guid IS NOT NULL")
                .bind(agent_id),
        };
        Ok(query.fetch_all(self.connection()).await?)
    }

    async fn set_device_status(&mut self, stored_guid: &str, status: &str) -> Result<(), StoreError> {
        // As listed: a GUID that somebody stored as another kind of value is found too.
        sqlx::query("UPDATE devices SET status = $2 WHERE CAST(guid AS TEXT) = $1")
            .bind(stored_guid)
            .bind(status)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn insert_device(&mut self, device: &NewDevice<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO devices (guid, hostname, created_at, last_seen, ssl_key_fingerprint, token_version, \
             status, key_added_at) VALUES ($1, $2, $3, $3, $4, $5, 'active', $6)",
        )
        .bind(device.guid)
        .bind(device.hostname)
        .bind(device.now)
        .bind(device.fingerprint)
        .bind(device.token_version)
        .bind(device.now_iso)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn delete_device(&mut self, hostname: &str) -> Result<bool, StoreError> {
        sqlx::query("DELETE FROM device_sites WHERE device_hostname = $1")
            .bind(hostname)
            .execute(self.connection())
            .await?;
        let deleted = sqlx::query("DELETE FROM devices WHERE hostname = $1")
            .bind(hostname)
            .execute(self.connection())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn set_device_key(
        &mut self,
        stored_guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE devices SET ssl_key_fingerprint = $2, key_added_at = $3 WHERE guid = $1")
            .bind(stored_guid)
            .bind(fingerprint)
            .bind(now_iso)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn rotate_device_key(
        &mut self,
        stored_guid: &str,
        rotation: &KeyRotation<'_>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE devices SET guid = $2, ssl_key_fingerprint = $3, key_added_at = $4, token_version = $5, \
             status = 'active' WHERE guid = $1",
        )
        .bind(stored_guid)
        .bind(rotation.guid)
        .bind(rotation.fingerprint)
        .bind(rotation.now_iso)
        .bind(rotation.token_version)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn record_device_key(
        &mut self,
        id: &str,
        guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError> {
        // A key that comes back is no longer retired (the legacy leaves the mark: ENR-8).
        sqlx::query(
            "INSERT INTO device_keys (id, guid, ssl_key_fingerprint, added_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (guid, ssl_key_fingerprint) DO UPDATE SET retired_at = NULL",
        )
        .bind(id)
        .bind(guid)
        .bind(fingerprint)
        .bind(now_iso)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "UPDATE device_keys SET retired_at = $3 \
             WHERE guid = $1 AND ssl_key_fingerprint <> $2 AND retired_at IS NULL",
        )
        .bind(guid)
        .bind(fingerprint)
        .bind(now_iso)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn store_report(
        &mut self,
        stored_guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<(), StoreError> {
        reports::storing(stored_guid, report, now)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn rename_device(&mut self, stored_guid: &str, guid: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE devices SET guid = $2 WHERE guid = $1")
            .bind(stored_guid)
            .bind(guid)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn note_check_in(
        &mut self,
        stored_guid: &str,
        agent_id: &str,
        fingerprint: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let other: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM devices WHERE guid = $1 AND agent_id IS NOT $2)",
        )
        .bind(stored_guid)
        .bind(agent_id)
        .fetch_one(self.connection())
        .await?;
        sqlx::query(
            "UPDATE devices SET agent_id = $2, ssl_key_fingerprint = $3, last_seen = $4 WHERE guid = $1",
        )
        .bind(stored_guid)
        .bind(agent_id)
        .bind(fingerprint)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(other)
    }

    async fn confirm_device_key(
        &mut self,
        stored_guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE devices SET ssl_key_fingerprint = $2, key_added_at = COALESCE(key_added_at, $3) WHERE guid = $1",
        )
        .bind(stored_guid)
        .bind(fingerprint)
        .bind(now_iso)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn add_device_key(
        &mut self,
        id: &str,
        guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO device_keys (id, guid, ssl_key_fingerprint, added_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (guid, ssl_key_fingerprint) DO NOTHING",
        )
        .bind(id)
        .bind(guid)
        .bind(fingerprint)
        .bind(now_iso)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() > 0)
    }
}
