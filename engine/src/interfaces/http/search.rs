//! `/api/search/suggest`.

use axum::extract::{RawQuery, State};
use serde::Serialize;

use super::{
    compat::{query::first, reply::Answer},
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{
    builders::search::search_query,
    domain::{search::SearchedDevice, sites::HostSite},
    services::search::Found,
};

/// A device that fits.
#[derive(Debug, Serialize)]
struct FoundDevice {
    hostname: String,
    /// What fits.
    value: String,
    site_id: Option<i64>,
    site_name: String,
    description: String,
    last_user: String,
    internal_ip: String,
    external_ip: String,
}

impl From<(SearchedDevice, String)> for FoundDevice {
    fn from((device, value): (SearchedDevice, String)) -> Self {
        Self {
            hostname: device.hostname,
            value,
            site_id: device.site.as_ref().map(|site| site.id),
            site_name: device.site.map(|site| site.name).unwrap_or_default(),
            description: device.description,
            last_user: device.last_user,
            internal_ip: device.internal_ip,
            external_ip: device.external_ip,
        }
    }
}

/// A site that fits.
#[derive(Debug, Serialize)]
struct FoundSite {
    site_id: i64,
    site_name: String,
    site_description: String,
    /// What fits.
    value: String,
}

impl From<(HostSite, String)> for FoundSite {
    fn from((site, value): (HostSite, String)) -> Self {
        Self {
            site_id: site.id,
            site_name: site.name,
            site_description: site.description,
            value,
        }
    }
}

/// What was searched for, and what fits.
#[derive(Debug, Serialize)]
pub struct Suggestions {
    field: String,
    q: String,
    devices: Vec<FoundDevice>,
    sites: Vec<FoundSite>,
}

/// `GET /api/search/suggest`. A failure finds nothing and is a line in the log, as in the legacy.
pub async fn suggest(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> Answer<Suggestions> {
    let query = search_query(|name| first(query.as_deref(), name));
    let found = app.search.search(&query).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the search failed");
        Found::default()
    });
    Answer::ok(Suggestions {
        field: query.field_name,
        q: query.text,
        devices: found.devices.into_iter().map(Into::into).collect(),
        sites: found.sites.into_iter().map(Into::into).collect(),
    })
}
