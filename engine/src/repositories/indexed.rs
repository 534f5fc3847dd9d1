//! Reading by columns for which the database has no index and must not get one, because it is the legacy's too.

use async_trait::async_trait;

use super::{StoreError, devices::listing::Visitor};
use crate::domain::{
    activity::ActivityLine,
    search::{DeviceField, SearchedDevice},
};

/// Asked of the store itself: whoever reads or changes something already must not wait here for the database again.
#[async_trait]
pub trait ReadIndexed {
    /// Shows devices as the search sees them, in the order in which they were made: all in which `field`, in lower case,
    /// holds `text`, and perhaps others; every device where there is no text.
    async fn search_devices(
        &self,
        field: DeviceField,
        text: Option<&str>,
        visitor: &mut Visitor<'_, SearchedDevice>,
    ) -> Result<(), StoreError>;

    /// The activities of exactly this host, the youngest first.
    async fn activities_of_host(&self, hostname: &str) -> Result<Vec<ActivityLine>, StoreError>;
}
