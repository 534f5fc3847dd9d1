//! Playbooks that agents run.
//!
//! Short because the feature has the same file in every layer, and these events are only relayed.

use super::dispatch::Incoming;
use crate::services::realtime::Outcome;

pub(super) async fn ansible_playbook_cancel(incoming: &Incoming<'_>) -> Outcome {
    incoming
        .service
        .relay_command(&incoming.rights, incoming.name, &incoming.payload)
        .await
}

pub(super) async fn ansible_playbook_run(incoming: &Incoming<'_>) -> Outcome {
    incoming
        .service
        .relay_playbook(&incoming.rights, incoming.name, &incoming.payload)
        .await
}
