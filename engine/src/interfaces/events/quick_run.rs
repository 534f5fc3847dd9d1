//! The results of scripts that agents ran.
//!
//! Short because the feature has the same file in every layer, and it has one event.

use super::dispatch::{Incoming, from_agent};
use crate::{builders::agents as read, services::realtime::Outcome};

pub(super) async fn quick_job_result(incoming: Incoming<'_>) -> Outcome {
    let Incoming {
        service,
        rights,
        payload,
        ..
    } = incoming;
    match from_agent(read::quick_job_result(&payload), &rights) {
        Ok(result) => {
            // Both may be long.
            drop(payload);
            service.job_result(&rights, &result).await
        }
        Err(outcome) => outcome,
    }
}
