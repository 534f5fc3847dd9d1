//! Sites, and which hosts are assigned to them.

use async_trait::async_trait;

use super::{StoreError, devices::listing::Visitor};
use crate::domain::sites::{HostSite, Site, SiteAssignment};

/// The tables `sites` and `device_sites`.
#[async_trait]
pub trait ReadSites: Send {
    /// All of them, ordered by their names without ASCII letter case.
    async fn list_sites(&mut self) -> Result<Vec<Site>, StoreError>;

    async fn find_site(&mut self, id: i64) -> Result<Option<Site>, StoreError>;

    /// The number of the site of exactly this name.
    async fn find_site_id(&mut self, name: &str) -> Result<Option<i64>, StoreError>;

    /// What these hosts are assigned to, or all hosts; assignments to a site that is gone are left out.
    async fn site_assignments(
        &mut self,
        hostnames: Option<&[String]>,
    ) -> Result<Vec<SiteAssignment>, StoreError>;

    /// Shows every site in the order in which they were made.
    async fn search_sites(&mut self, visitor: &mut Visitor<'_, HostSite>) -> Result<(), StoreError>;
}

#[async_trait]
pub trait WriteSites: Send {
    /// Makes a site at `now` (Unix seconds) and returns its number.
    async fn insert_site(&mut self, name: &str, description: &str, now: i64) -> Result<i64, StoreError>;

    async fn rename_site(&mut self, id: i64, name: &str) -> Result<(), StoreError>;

    /// Deletes a site, and the assignments to it even where there is no such site; false where there is none.
    async fn delete_site(&mut self, id: i64) -> Result<bool, StoreError>;

    /// Assigns a host at `now` (Unix seconds), whatever it was assigned to.
    async fn assign_to_site(&mut self, id: i64, hostname: &str, now: i64) -> Result<(), StoreError>;
}
