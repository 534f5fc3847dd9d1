//! Sites: where hosts are, as operators sort them.

use super::json::Json;

/// A site, with how many hosts are assigned to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Row number, never used again.
    pub id: i64,
    /// The name, unique with its letter case.
    pub name: String,
    pub description: String,
    /// Unix seconds, or whatever else is stored there.
    pub created_at: Json,
    /// Assigned hosts, whether or not a device has the name.
    pub device_count: i64,
}

/// The site of a host, as far as lists of devices show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostSite {
    pub id: i64,
    pub name: String,
    pub description: String,
}

/// A host and the site that it is assigned to. Hosts are meant letter by letter, and need no device (INV-8).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteAssignment {
    pub hostname: String,
    pub site_id: i64,
    pub site_name: String,
}
