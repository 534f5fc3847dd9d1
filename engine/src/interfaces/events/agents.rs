//! The events in which agents announce themselves, and their heartbeats.

use super::{
    dispatch::{Incoming, from_agent},
    peer::logged_id,
};
use crate::{builders::agents as read, domain::mask::shown, services::realtime::Outcome};

pub(super) async fn connect_agent(incoming: &Incoming<'_>) -> Outcome {
    let event = match from_agent(
        read::connect_agent(&incoming.payload, incoming.longest_text()),
        &incoming.rights,
    ) {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    let outcome = incoming.service.connect_agent(&incoming.rights, &event).await;
    if outcome == Outcome::Done {
        if !incoming.client.peer.announce(&event.agent_id) {
            return Outcome::Failed;
        }
        let mode = event.mode.as_str();
        tracing::info!(
            agent_id = %shown(&event.agent_id),
            sid = %logged_id(incoming.client),
            service_mode = %mode,
            "{}socket.io connect_agent",
            context(&mode.to_uppercase())
        );
    }
    outcome
}

pub(super) async fn agent_heartbeat(incoming: &Incoming<'_>) -> Outcome {
    match from_agent(
        read::agent_heartbeat(&incoming.payload, incoming.longest_text()),
        &incoming.rights,
    ) {
        Ok(event) => incoming.service.agent_heartbeat(&incoming.rights, &event).await,
        Err(outcome) => outcome,
    }
}

pub(super) async fn collector_status(incoming: &Incoming<'_>) -> Outcome {
    match from_agent(
        read::collector_status(&incoming.payload, incoming.longest_text()),
        &incoming.rights,
    ) {
        Ok(event) => incoming.service.collector_status(&incoming.rights, &event).await,
        Err(outcome) => outcome,
    }
}

pub(super) async fn request_config(incoming: &Incoming<'_>) -> Outcome {
    match from_agent(
        read::request_config(&incoming.payload, incoming.longest_text()),
        &incoming.rights,
    ) {
        Ok(agent_id) => {
            let sid = incoming.client.connection().id();
            incoming
                .service
                .request_config(&incoming.rights, sid, &agent_id)
                .await
        }
        Err(outcome) => outcome,
    }
}

/// The part of a log line that names a scope.
pub(super) fn context(scope: &str) -> String {
    if scope.is_empty() {
        String::new()
    } else {
        format!("[CONTEXT-{scope}] ")
    }
}
