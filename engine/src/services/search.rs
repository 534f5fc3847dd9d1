//! The search of the web client.

use std::sync::Arc;

use crate::{
    builders::search::SearchQuery,
    domain::{
        search::{Search, SearchField, SearchedDevice, site_value},
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
        let mut found = Found::default();
        match field {
            SearchField::Site(field) => {
                let mut search = Search::new(&query.text, query.limit);
                let mut view = self.store.view().await?;
                view.search_sites(&mut |site| search.look_at(site, |site| site_value(site, field)))
                    .await?;
                found.sites = search.found;
            }
            SearchField::Device(field) => {
                let mut search = Search::new(&query.text, query.limit);
                let needle = search.needle().map(str::to_owned);
                let mut look_at =
                    |device| search.look_at(device, |device: &SearchedDevice| device.value(field));
                self.store
                    .search_devices(field, needle.as_deref(), &mut look_at)
                    .await?;
                found.devices = search.found;
            }
        }
        Ok(found)
    }
}
