//! Playbooks that agents run.

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
