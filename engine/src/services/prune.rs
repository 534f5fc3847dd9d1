//! Deletes codes, requests and ends of sessions that cannot matter any more.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::{Environment, operators::OperatorService};
use crate::{
    domain::{clock::Working, timestamp::iso_utc},
    repositories::{Store, StoreError},
};

/// Between the end of one pass and the next.
const PERIOD: Duration = Duration::from_secs(24 * 3600);
/// A request that waited longer than this expires.
const PENDING_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// One pass: codes and requests in one transaction, then what is stored of sessions.
///
/// Requests on ended codes expire before the codes are deleted; the legacy does it the other way round and so keeps
/// just those requests alive (ENR-9).
///
/// # Errors
/// The store failed; nothing was changed.
pub async fn prune_once(
    store: &dyn Store,
    environment: &Environment,
    operators: &OperatorService,
) -> Result<(), StoreError> {
    let now = environment.now();
    let oldest = iso_utc(
        now.time
            .saturating_sub(PENDING_LIFETIME)
            .unwrap_or(jiff::Timestamp::MIN),
    );
    let mut work = store.begin().await?;
    let expired = work.expire_approvals(&now.iso, &oldest).await?;
    let removed = work.prune_codes(&now.iso).await?;
    work.save().await?;
    if removed > 0 {
        tracing::info!("prune job removed {removed} expired enrollment codes");
    }
    if expired > 0 {
        tracing::info!("prune job expired {expired} device approvals");
    }
    operators.prune().await
}

/// Prunes once a day for ever; a failed pass is logged and the loop goes on. The first pass is the caller's.
pub async fn prune_daily(
    store: Arc<dyn Store>,
    environment: Environment,
    operators: Arc<OperatorService>,
    mut working: Working,
) {
    loop {
        let sleep = environment
            .clock
            .sleep_until(environment.clock.monotonic() + PERIOD);
        drop(working);
        working = sleep.await;
        if let Err(error) = prune_once(&*store, &environment, &operators).await {
            tracing::error!("prune job failure: {error}");
        }
    }
}
