//! Devices without an agent, which the server reaches over SSH or WinRM.

use super::{
    device_document::DeviceRow,
    json::{Json, JsonObject},
    text::python_trim,
};

/// How a remote device is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemoteKind {
    Ssh,
    Winrm,
}

impl RemoteKind {
    /// The `connection_type` of its devices.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Winrm => "winrm",
        }
    }

    /// The `device_type` of its devices.
    pub fn device_type(self) -> &'static str {
        match self {
            Self::Ssh => "SSH Remote",
            Self::Winrm => "WinRM Remote",
        }
    }

    /// Whether this row is of such a device.
    pub fn is_kind_of(self, row: &DeviceRow) -> bool {
        connection_type(row).to_lowercase() == self.as_str()
    }

    /// Whether this row stands in the way of a new device of its host name: it is reached in another way, or an agent
    /// runs on it (INV-5).
    pub fn is_barred_by(self, row: &DeviceRow) -> bool {
        if connection_type(row).is_empty() {
            !(is_blank(row.guid.as_deref()) && is_blank(row.agent_id.as_deref()))
        } else {
            !self.is_kind_of(row)
        }
    }

    /// The document that sets what an operator says about such a device; an operating system that is empty stays what
    /// it is.
    pub fn document(self, address: &str, operating_system: &str) -> JsonObject {
        let summary = Json::object([
            ("connection_type", self.as_str().into()),
            ("connection_endpoint", address.into()),
            ("internal_ip", address.into()),
            ("external_ip", address.into()),
            ("device_type", self.device_type().into()),
            ("operating_system", operating_system.into()),
            ("last_seen", 0.into()),
        ]);
        JsonObject::from_iter([("summary".to_owned(), summary)])
    }
}

fn connection_type(row: &DeviceRow) -> &str {
    python_trim(row.connection_type.as_deref().unwrap_or_default())
}

fn is_blank(text: Option<&str>) -> bool {
    python_trim(text.unwrap_or_default()).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_device_and_one_reached_in_another_way_stand_in_the_way() {
        let row = |connection_type: Option<&str>, guid: Option<&str>, agent_id: Option<&str>| DeviceRow {
            connection_type: connection_type.map(str::to_owned),
            guid: guid.map(str::to_owned),
            agent_id: agent_id.map(str::to_owned),
            ..DeviceRow::default()
        };
        for (row, is_barred) in [
            (row(None, None, None), false),
            (row(Some("  "), Some(" "), Some("")), false),
            (row(None, Some("A"), None), true),
            (row(Some(" "), None, Some("agent")), true),
            (row(Some(" SSH "), None, None), false),
            (row(Some("ssh"), Some("A"), Some("agent")), false),
            (row(Some("winrm"), None, None), true),
            (row(Some("local"), None, None), true),
        ] {
            assert_eq!(RemoteKind::Ssh.is_barred_by(&row), is_barred, "{row:?}");
        }
    }
}
