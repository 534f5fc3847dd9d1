//! The search of the web client.

use std::sync::Arc;

use crate::{
    builders::search::SearchQuery,
    domain::{
        search::{Search, SearchedDevice, site_value},
        sites::HostSite,
    },
    repositories::{Store, StoreError},
};

/// What was found, each with the value that fits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    pub devices: Vec<(SearchedDevice, String)>,
    pub sites: Vec<(HostSite, String)>,
}

#[derive(Debug)]
pub struct SearchService {
    store: Arc<dyn Store>,
}

impl SearchService {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Looks through devices or sites until there are enough.
    pub async fn search(&self, query: &SearchQuery) -> Result<Found, StoreError> {
        let Some(field) = query.field else {
            return Ok(Found::default());
        };
        let mut view = self.store.view().await?;
        let mut found = Found::default();
        if field.is_of_sites() {
            let mut search = Search::new(&query.text, query.limit);
            view.search_sites(&mut |site| search.look_at(site, |site| site_value(site, field)))
                .await?;
            found.sites = search.found;
        } else {
            let mut search = Search::new(&query.text, query.limit);
            view.search_devices(&mut |device| search.look_at(device, |device| device.value(field)))
                .await?;
            found.devices = search.found;
        }
        Ok(found)
    }
}
