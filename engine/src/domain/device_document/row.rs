//! A row of `devices` as it is stored.

/// The row of a device, its key and status aside. `None` is NULL, and an integer column that holds
/// something else.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceRow {
    /// Its GUID in whatever spelling; a remote device has none.
    pub guid: Option<String>,
    /// Its host name, which no other row has.
    pub hostname: Option<String>,
    /// What an operator wrote about it.
    pub description: Option<String>,
    /// When it was made, Unix seconds.
    pub created_at: Option<i64>,
    /// The hash of its installed build.
    pub agent_hash: Option<String>,
    /// JSON text, a list.
    pub memory: Option<String>,
    /// JSON text, a list.
    pub network: Option<String>,
    /// JSON text, a list.
    pub software: Option<String>,
    /// JSON text, a list.
    pub storage: Option<String>,
    /// JSON text, an object.
    pub cpu: Option<String>,
    pub device_type: Option<String>,
    pub domain: Option<String>,
    /// Its address as others see it.
    pub external_ip: Option<String>,
    /// Its address in its own network.
    pub internal_ip: Option<String>,
    /// When it started last, in the agent's own words.
    pub last_reboot: Option<String>,
    /// When it was seen last, Unix seconds.
    pub last_seen: Option<i64>,
    /// Who used it last.
    pub last_user: Option<String>,
    pub operating_system: Option<String>,
    /// Seconds since it started.
    pub uptime: Option<i64>,
    /// The id under which its agent speaks on the channel.
    pub agent_id: Option<String>,
    /// The version of its ansible environment.
    pub ansible_ee_ver: Option<String>,
    /// `ssh` or `winrm` for a remote device; nothing for one with an agent.
    pub connection_type: Option<String>,
    /// Where a remote device is reached.
    pub connection_endpoint: Option<String>,
}
