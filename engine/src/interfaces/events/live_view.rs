//! Screenshots, macros and windows: what operators watch while it happens.

use super::dispatch::{Incoming, from_agent};
use crate::{builders::agents as read, domain::json::Json, services::realtime::Outcome};

pub(super) async fn screenshot(incoming: Incoming<'_>) -> Outcome {
    let Incoming {
        service,
        rights,
        payload,
        ..
    } = incoming;
    match from_agent(read::screenshot(payload), &rights) {
        Ok((agent_id, shown)) => {
            service
                .relay_report(&rights, agent_id.as_deref(), "new_screenshot", &shown)
                .await
        }
        Err(outcome) => outcome,
    }
}

pub(super) async fn agent_screenshot_task(incoming: &Incoming<'_>) -> Outcome {
    match from_agent(read::agent_screenshot_task(&incoming.payload), &incoming.rights) {
        Ok(agent_id) => report(incoming, agent_id).await,
        Err(outcome) => outcome,
    }
}

pub(super) async fn macro_status(incoming: &Incoming<'_>) -> Outcome {
    match from_agent(read::macro_status(&incoming.payload), &incoming.rights) {
        Ok(agent_id) => report(incoming, agent_id).await,
        Err(outcome) => outcome,
    }
}

pub(super) async fn agent_window_list(incoming: &Incoming<'_>) -> Outcome {
    let agent_id = incoming.value().get("agent_id").and_then(Json::as_text);
    report(incoming, agent_id).await
}

pub(super) async fn list_agent_windows(incoming: &Incoming<'_>) -> Outcome {
    incoming
        .service
        .relay_command(&incoming.rights, incoming.name, &incoming.payload)
        .await
}

/// Passes a report on as it is.
async fn report(incoming: &Incoming<'_>, agent_id: Option<&str>) -> Outcome {
    incoming
        .service
        .relay_report(&incoming.rights, agent_id, incoming.name, &incoming.payload)
        .await
}
