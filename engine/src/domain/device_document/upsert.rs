//! What goes into the columns of `devices`.

use super::{DeviceSnapshot, LISTS};
use crate::domain::{
    coerce::{clean, first_or_last, integer_of},
    json::{Json, JsonObject},
    json_text::column_text,
};

/// The names that a document has for a column of integers.
const LAST_SEEN: [&str; 1] = ["last_seen"];
const UPTIME: [&str; 3] = ["uptime_sec", "uptime_seconds", "uptime"];

/// The columns of a write; its repository decides which of them replace what is stored. Key, version and
/// status of a device are no part of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceUpsert {
    /// Which row: the one with exactly this host name, else a new one.
    pub hostname: String,
    /// Replaces.
    pub description: String,
    /// Unix seconds; stored where nothing is.
    pub created_at: i64,
    /// Replaces unless `None`.
    pub agent_hash: Option<String>,
    /// Canonical; replaces unless `None`.
    pub guid: Option<String>,
    /// JSON text; replaces.
    pub memory: String,
    /// JSON text; replaces.
    pub network: String,
    /// JSON text; replaces.
    pub software: String,
    /// JSON text; replaces.
    pub storage: String,
    /// JSON text; replaces.
    pub cpu: String,
    /// Replaces unless `None`.
    pub device_type: Option<String>,
    /// Replaces unless `None`.
    pub domain: Option<String>,
    /// Replaces unless `None`.
    pub external_ip: Option<String>,
    /// Replaces unless `None`.
    pub internal_ip: Option<String>,
    /// Replaces unless `None`.
    pub last_reboot: Option<String>,
    /// Unix seconds; replaces unless `None` or 0.
    pub last_seen: Option<i64>,
    /// Replaces unless `None`.
    pub last_user: Option<String>,
    /// Replaces unless `None`.
    pub operating_system: Option<String>,
    /// Seconds; replaces unless `None` or 0.
    pub uptime: Option<i64>,
    /// Replaces unless `None`.
    pub agent_id: Option<String>,
    /// Replaces unless `None`.
    pub ansible_ee_ver: Option<String>,
    /// Replaces unless `None`.
    pub connection_type: Option<String>,
    /// Replaces unless `None`.
    pub connection_endpoint: Option<String>,
}

impl DeviceUpsert {
    /// The columns that `document` sets, for the device of this host name as it is stored; description, hash, GUID and
    /// creation time stay as they are. `now` (Unix seconds) is when a new device is made.
    ///
    /// Some columns have several names in a document: the first that is not falsy counts, else the last. An integer
    /// beyond 64 bits is left out; [`DeviceUpsert::holds_integers_of`] tells.
    pub fn from_document(
        hostname: &str,
        stored: Option<&DeviceSnapshot>,
        document: &JsonObject,
        now: i64,
    ) -> Self {
        let nothing = JsonObject::new();
        let summary = document
            .get("summary")
            .and_then(Json::as_object)
            .unwrap_or(&nothing);
        let text = |names: &[&str]| first_or_last(summary, names).and_then(clean);
        let integer = |names: &[&str]| integer(summary, names).and_then(|number| i64::try_from(number).ok());
        let [memory, network, software, storage] = LISTS.map(|name| json_column(document.get(name), "[]"));
        let in_summary = summary.get("cpu").filter(|cpu| cpu.is_truthy());
        let cpu = in_summary.or(document.get("cpu"));
        let non_empty = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            hostname: hostname.to_owned(),
            description: stored
                .map(|stored| stored.description.clone())
                .unwrap_or_default(),
            created_at: stored
                .map(|stored| stored.created_at)
                .filter(|created_at| *created_at != 0)
                .unwrap_or(now),
            agent_hash: stored.and_then(|stored| non_empty(&stored.agent_hash)),
            guid: stored.and_then(|stored| non_empty(&stored.guid)),
            memory,
            network,
            software,
            storage,
            cpu: json_column(cpu, "{}"),
            device_type: text(&["device_type", "type"]),
            domain: text(&["domain"]),
            external_ip: text(&["external_ip", "public_ip"]),
            internal_ip: text(&["internal_ip", "private_ip"]),
            last_reboot: text(&["last_reboot", "last_boot"]),
            // A 0 is no sign of life; it stands in a row that is new.
            last_seen: integer(&LAST_SEEN),
            last_user: text(&["last_user", "last_user_name", "username"]),
            operating_system: text(&["operating_system", "agent_operating_system", "os"]),
            uptime: integer(&UPTIME),
            agent_id: text(&["agent_id"]),
            ansible_ee_ver: text(&["ansible_ee_ver"]),
            connection_type: text(&["connection_type", "remote_type"]),
            connection_endpoint: text(&[
                "connection_endpoint",
                "connection_address",
                "address",
                "external_ip",
                "internal_ip",
            ]),
        }
    }

    /// Whether the columns hold the integers of `document` as they are.
    pub fn holds_integers_of(document: &JsonObject) -> bool {
        let summary = document.get("summary").and_then(Json::as_object);
        summary.is_none_or(|summary| {
            [&LAST_SEEN[..], &UPTIME]
                .into_iter()
                .filter_map(|names| integer(summary, names))
                .all(|number| i64::try_from(number).is_ok())
        })
    }

    /// The device of this host name written again with what is stored of it, or made new.
    ///
    /// This is no idle write: columns of JSON and the GUID come out in their normal form, and an empty
    /// `connection_endpoint` takes the external, else the internal address.
    pub fn rewrite(hostname: &str, stored: Option<&DeviceSnapshot>, now: i64) -> Self {
        let document = stored.map(DeviceSnapshot::document).unwrap_or_default();
        Self::from_document(hostname, stored, &document, now)
    }
}

fn integer(summary: &JsonObject, names: &[&str]) -> Option<i128> {
    first_or_last(summary, names).and_then(integer_of)
}

fn json_column(value: Option<&Json>, otherwise: &str) -> String {
    match value {
        Some(value @ (Json::List(_) | Json::Object(_))) => column_text(value),
        _ => otherwise.to_owned(),
    }
}
