//! Playbooks that agents run.

use super::dispatch::Incoming;
use crate::{repositories::Store, services::realtime::Outcome};

pub(super) async fn ansible_playbook_cancel<S: Store>(incoming: &Incoming<'_, S>) -> Outcome {
    let Incoming {
        service,
        rights,
        name,
        payload,
        ..
    } = incoming;
    service.relay_command(rights, name, payload).await
}

pub(super) async fn ansible_playbook_run<S: Store>(incoming: &Incoming<'_, S>) -> Outcome {
    let Incoming {
        service,
        rights,
        name,
        payload,
        ..
    } = incoming;
    service.relay_playbook(rights, name, payload).await
}
