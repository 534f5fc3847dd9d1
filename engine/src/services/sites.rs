//! Sites, and which hosts are assigned to them.

use std::sync::Arc;

use super::{Environment, audit};
use crate::{
    builders::sites::{NewSite, SiteAssign, SiteRename},
    domain::sites::{Site, SiteAssignment},
    repositories::{Store, StoreError},
};

/// Why sites are not changed.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Another site has this name.
    #[error("name already exists")]
    NameTaken,
    #[error("site not found")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub struct SiteService {
    store: Arc<dyn Store>,
    environment: Environment,
}

impl SiteService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self { store, environment }
    }

    /// All sites, by name without letter case.
    pub async fn list(&self) -> Result<Vec<Site>, StoreError> {
        self.store.view().await?.list_sites().await
    }

    /// Makes a site.
    ///
    /// # Errors
    /// [`SiteError`]; nothing is written then.
    pub async fn create(&self, site: &NewSite) -> Result<Site, SiteError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        if work.find_site_id(&site.name).await?.is_some() {
            return Err(SiteError::NameTaken);
        }
        let id = work.insert_site(&site.name, &site.description, now).await?;
        let made = work.find_site(id).await?.ok_or(SiteError::NotFound)?;
        work.save().await?;
        audit::changed("site.created", id);
        Ok(made)
    }

    /// Gives a site another name.
    ///
    /// # Errors
    /// [`SiteError`]; nothing is written then.
    pub async fn rename(&self, rename: &SiteRename) -> Result<Site, SiteError> {
        let id = rename.id.ok_or(SiteError::NotFound)?;
        let mut work = self.store.begin().await?;
        let site = work.find_site(id).await?.ok_or(SiteError::NotFound)?;
        if work
            .find_site_id(&rename.name)
            .await?
            .is_some_and(|taken| taken != id)
        {
            return Err(SiteError::NameTaken);
        }
        work.rename_site(id, &rename.name).await?;
        work.save().await?;
        audit::changed("site.renamed", id);
        Ok(Site {
            name: rename.name.clone(),
            ..site
        })
    }

    /// Deletes sites with the assignments to them, and says how many there were. What else names a site keeps its
    /// number, which no other one gets (INV-10).
    pub async fn delete(&self, ids: &[i64]) -> Result<usize, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let mut deleted = Vec::new();
        let mut work = self.store.begin().await?;
        for &id in ids {
            if work.delete_site(id).await? {
                deleted.push(id);
            }
        }
        work.save().await?;
        for id in &deleted {
            audit::changed("site.deleted", id);
        }
        Ok(deleted.len())
    }

    /// Assigns hosts to a site, all or none.
    ///
    /// # Errors
    /// [`SiteError`]; nothing is written then.
    pub async fn assign(&self, assign: &SiteAssign) -> Result<(), SiteError> {
        let id = assign.site_id.ok_or(SiteError::NotFound)?;
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        if work.find_site(id).await?.is_none() {
            return Err(SiteError::NotFound);
        }
        for hostname in &assign.hostnames {
            work.assign_to_site(id, hostname, now).await?;
        }
        work.save().await?;
        for hostname in &assign.hostnames {
            audit::changed("site.assigned", format_args!("{id} {hostname}"));
        }
        Ok(())
    }

    /// What these hosts are assigned to, or all hosts.
    pub async fn assignments(&self, hostnames: Option<&[String]>) -> Result<Vec<SiteAssignment>, StoreError> {
        self.store.view().await?.site_assignments(hostnames).await
    }
}
