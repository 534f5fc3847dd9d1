//! Every event of the channel, by name.

use super::{SocketServer, client::context, session::Session};
use crate::{
    builders::{agent_events as read, agent_events::Reading},
    domain::{json::Json, mask::shown, payload::Payload},
    services::realtime::{Outcome, Rights},
};

/// The events that clients may send; others have no effect and no acknowledgement.
pub const EVENTS: [&str; 12] = [
    "connect_agent",
    "agent_heartbeat",
    "collector_status",
    "request_config",
    "screenshot",
    "agent_screenshot_task",
    "macro_status",
    "agent_window_list",
    "list_agent_windows",
    "ansible_playbook_cancel",
    "ansible_playbook_run",
    "quick_job_result",
];

/// Handles an event; `None` where it is unknown.
pub(super) async fn handle_event(
    server: &SocketServer,
    session: &Session,
    name: &str,
    payload: Payload,
) -> Option<Outcome> {
    if !EVENTS.contains(&name) {
        return None;
    }
    let service = &*server.service;
    let rights = server.hub.access().rights(&session.standing).await;
    let value = &payload.value;
    let outcome = match name {
        "connect_agent" => match told(read::connect_agent(value), &rights) {
            Ok(event) => {
                let outcome = service.connect_agent(&rights, &event).await;
                if outcome == Outcome::Done {
                    if !session.join(&event.agent_id) {
                        return Some(Outcome::Failed);
                    }
                    let mode = event.mode.as_str();
                    tracing::info!(
                        "{}socket.io connect_agent agent_id={} sid={} service_mode={mode}",
                        context(&mode.to_uppercase()),
                        shown(&event.agent_id),
                        session.id
                    );
                }
                outcome
            }
            Err(outcome) => outcome,
        },
        "agent_heartbeat" => match told(read::agent_heartbeat(value), &rights) {
            Ok(event) => service.agent_heartbeat(&rights, &event).await,
            Err(outcome) => outcome,
        },
        "collector_status" => match told(read::collector_status(value), &rights) {
            Ok(event) => service.collector_status(&rights, &event).await,
            Err(outcome) => outcome,
        },
        "request_config" => match told(read::request_config(value), &rights) {
            Ok(agent_id) => service.request_config(&rights, &session.id, &agent_id).await,
            Err(outcome) => outcome,
        },
        "screenshot" => match told(read::screenshot(payload), &rights) {
            Ok((agent_id, shown)) => {
                service
                    .relay_report(&rights, agent_id.as_deref(), "new_screenshot", &shown)
                    .await
            }
            Err(outcome) => outcome,
        },
        "agent_screenshot_task" => match told(read::agent_screenshot_task(&payload), &rights) {
            Ok(agent_id) => service.relay_report(&rights, agent_id, name, &payload).await,
            Err(outcome) => outcome,
        },
        "macro_status" => match told(read::macro_status(&payload), &rights) {
            Ok(agent_id) => service.relay_report(&rights, agent_id, name, &payload).await,
            Err(outcome) => outcome,
        },
        "agent_window_list" => {
            let agent_id = value.get("agent_id").and_then(Json::as_text);
            service.relay_report(&rights, agent_id, name, &payload).await
        }
        "list_agent_windows" | "ansible_playbook_cancel" => {
            service.relay_command(&rights, name, &payload).await
        }
        "ansible_playbook_run" => service.relay_playbook(&rights, name, &payload).await,
        "quick_job_result" => match told(read::quick_job_result(value), &rights) {
            Ok(result) => {
                drop(payload);
                service.job_result(&rights, &result).await
            }
            Err(outcome) => outcome,
        },
        _ => return None,
    };
    Some(outcome)
}

/// What an agent's event says, or what becomes of one that says nothing.
fn told<T>(reading: Reading<T>, rights: &Rights) -> Result<T, Outcome> {
    match reading {
        _ if !rights.is_agent() => Err(Outcome::Refused),
        Reading::Event(event) => Ok(event),
        Reading::Nothing => Err(Outcome::Done),
        Reading::Unusable => Err(Outcome::Failed),
    }
}
