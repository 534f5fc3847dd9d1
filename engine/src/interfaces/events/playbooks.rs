//! Playbooks that agents run.

use super::dispatch::Incoming;
use crate::services::realtime::Outcome;

pub(super) async fn ansible_playbook_cancel(incoming: &Incoming<'_>) -> Outcome {
    let Incoming {
        service,
        rights,
        name,
        payload,
        ..
    } = incoming;
    service.relay_command(rights, name, payload).await
}

pub(super) async fn ansible_playbook_run(incoming: &Incoming<'_>) -> Outcome {
    let Incoming {
        service,
        rights,
        name,
        payload,
        ..
    } = incoming;
    service.relay_playbook(rights, name, payload).await
}
