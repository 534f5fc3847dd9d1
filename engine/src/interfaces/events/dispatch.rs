//! Every event of the channel, by name.

use std::sync::Arc;

use super::{
    agents, application::ChannelApplication, hub::Hub, live_view, peer::Client, playbooks, quick_run,
    scheduled_jobs,
};
use crate::{
    builders::agents::{LONGEST_TEXT, Reading},
    domain::{json::Json, payload::Payload},
    services::{
        realtime::{Outcome, RealtimeService, Rights},
        scheduled_jobs::ScheduledJobService,
    },
};

/// The events that clients may send; others have no effect and no acknowledgement.
pub const EVENTS: [&str; 13] = [
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
    "job_status_request",
];

/// Those that devices send and operators hear of, each time.
const SHOWN_TO_OPERATORS: [&str; 5] = [
    "screenshot",
    "agent_screenshot_task",
    "macro_status",
    "agent_window_list",
    "quick_job_result",
];

/// An event and who sent it.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    pub(super) service: &'a RealtimeService,
    pub(super) scheduled_jobs: &'a ScheduledJobService,
    /// For answers to the sender alone.
    pub(super) hub: &'a Hub,
    pub(super) client: &'a Arc<Client>,
    pub(super) rights: Arc<Rights>,
    pub(super) name: &'a str,
    pub(super) payload: Payload,
}

impl Incoming<'_> {
    pub(super) fn value(&self) -> &Json {
        &self.payload.value
    }

    /// Bytes of an agent's id or name: as many as come where nobody is checked (decision 27).
    pub(super) fn longest_text(&self) -> usize {
        match *self.rights {
            Rights::Everything => usize::MAX,
            _ => LONGEST_TEXT,
        }
    }
}

/// Whether an event may come without an argument: the legacy has none of them.
pub(super) fn asks_without_argument(name: &str) -> bool {
    name == "job_status_request"
}

/// Whether the legacy acknowledges an event of this name: its handlers of connections and of their ends, which do nothing for
/// an event, are found by these names as well. Not among [`EVENTS`]: nobody sends them.
pub(super) fn is_named_as_a_connections_own(name: &str, arguments: usize) -> bool {
    match name {
        "connect" => true,
        "disconnect" => arguments <= 1,
        _ => false,
    }
}

/// Handles an event; `None` where it is unknown.
pub(super) async fn handle_event(
    channel: &ChannelApplication,
    client: &Arc<Client>,
    name: &str,
    payload: Payload,
) -> Option<Outcome> {
    if !EVENTS.contains(&name) {
        return None;
    }
    if SHOWN_TO_OPERATORS.contains(&name) {
        channel.hub().operators_keep_up().await;
    }
    let incoming = Incoming {
        service: &channel.services().realtime,
        scheduled_jobs: &channel.services().scheduled_jobs,
        hub: channel.hub(),
        client,
        rights: channel.hub().access().rights(&client.peer.principal).await,
        name,
        payload,
    };
    let outcome = match name {
        "connect_agent" => agents::connect_agent(&incoming).await,
        "agent_heartbeat" => agents::agent_heartbeat(&incoming).await,
        "collector_status" => agents::collector_status(&incoming).await,
        "request_config" => agents::request_config(&incoming).await,
        "screenshot" => live_view::screenshot(incoming).await,
        "agent_screenshot_task" => live_view::agent_screenshot_task(&incoming).await,
        "macro_status" => live_view::macro_status(&incoming).await,
        "agent_window_list" => live_view::agent_window_list(&incoming).await,
        "list_agent_windows" => live_view::list_agent_windows(&incoming).await,
        "ansible_playbook_cancel" => playbooks::ansible_playbook_cancel(&incoming).await,
        "ansible_playbook_run" => playbooks::ansible_playbook_run(&incoming).await,
        "quick_job_result" => quick_run::quick_job_result(incoming).await,
        "job_status_request" => scheduled_jobs::job_status_request(&incoming).await,
        _ => return None,
    };
    Some(outcome)
}

/// An agent's event, read, or the outcome of one that is empty or cannot be used.
pub(super) fn from_agent<T>(reading: Reading<T>, rights: &Rights) -> Result<T, Outcome> {
    match reading {
        _ if !rights.is_agent() => Err(Outcome::Refused),
        Reading::Event(event) => Ok(event),
        Reading::Nothing => Err(Outcome::Done),
        Reading::Unusable => Err(Outcome::Failed),
    }
}
