//! `/api/sites` and below.

use std::collections::BTreeMap;

use axum::{
    extract::{RawQuery, State},
    response::ErrorResponse,
};
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        query::first,
        reply::{Answer, Status},
    },
    errors::database_error,
    guards::OperatorIfStrict,
    set_apart::shared::SharedAnswer,
    state::AppState,
};
use crate::{
    builders::sites::{mapped_hosts, new_site, site_assign, site_deletion, site_rename},
    domain::{
        json::Json,
        sites::{Site, SiteAssignment},
    },
};

/// A site as every answer shows it.
#[derive(Debug, Serialize)]
pub struct ListedSite {
    id: i64,
    name: String,
    description: String,
    created_at: Json,
    device_count: i64,
}

impl From<Site> for ListedSite {
    fn from(site: Site) -> Self {
        Self {
            id: site.id,
            name: site.name,
            description: site.description,
            created_at: site.created_at.or_zero(),
            device_count: site.device_count,
        }
    }
}

/// All sites.
#[derive(Debug, Serialize)]
pub struct SiteList {
    sites: Vec<ListedSite>,
}

/// How many sites are gone.
#[derive(Debug, Serialize)]
pub struct Deleted {
    status: &'static str,
    deleted: usize,
}

/// The site of a host.
#[derive(Debug, Serialize)]
struct MappedSite {
    site_id: i64,
    site_name: String,
}

/// The sites of hosts, by their names.
#[derive(Debug, Serialize)]
pub struct HostMap {
    mapping: BTreeMap<String, MappedSite>,
}

impl FromIterator<SiteAssignment> for HostMap {
    fn from_iter<T: IntoIterator<Item = SiteAssignment>>(assignments: T) -> Self {
        let mapped = assignments.into_iter().map(|assignment| {
            let site = MappedSite {
                site_id: assignment.site_id,
                site_name: assignment.site_name,
            };
            (assignment.hostname, site)
        });
        Self {
            mapping: mapped.collect(),
        }
    }
}

/// `GET /api/sites`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
) -> Result<Answer<SiteList>, ErrorResponse> {
    let sites = app.sites.list().await.map_err(database_error)?;
    Ok(Answer::ok(SiteList {
        sites: sites.into_iter().map(Into::into).collect(),
    }))
}

/// `POST /api/sites`
pub async fn create(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<ListedSite>, ErrorResponse> {
    let body = body.lenient().await?;
    let site = app.sites.create(&new_site(&body)?).await?;
    Ok(Answer::ok(site.into()))
}

/// `POST /api/sites/rename`
pub async fn rename(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<ListedSite>, ErrorResponse> {
    let body = body.lenient().await?;
    let site = app.sites.rename(&site_rename(&body)?).await?;
    Ok(Answer::ok(site.into()))
}

/// `POST /api/sites/delete`
pub async fn delete(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Deleted>, ErrorResponse> {
    let body = body.lenient().await?;
    let ids = site_deletion(&body)?;
    let deleted = app.sites.delete(&ids).await.map_err(database_error)?;
    Ok(Answer::ok(Deleted {
        status: "ok",
        deleted,
    }))
}

/// `POST /api/sites/assign`
pub async fn assign(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    app.sites.assign(&site_assign(&body)?).await?;
    Ok(Answer::status("ok"))
}

/// `GET /api/sites/device_map`
pub async fn device_map(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> SharedAnswer<Result<Answer<HostMap>, ErrorResponse>> {
    let hostnames = mapped_hosts(first(query.as_deref(), "hostnames").as_deref());
    let (lists, is_everybodys) = (app.shared_lists.clone(), hostnames.is_none());
    let making = async move {
        let assignments = app.sites.assignments(hostnames.as_deref()).await;
        let assignments = assignments.map_err(database_error)?;
        Ok(Answer::ok(assignments.into_iter().collect()))
    };
    if is_everybodys {
        lists.answer("device_map", making).await
    } else {
        lists.alone(making).await
    }
}
