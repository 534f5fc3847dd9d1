//! Events that are passed on.

use super::{Audience, Outcome, Payload, RealtimeService, Rights};
use crate::{
    domain::json::Json,
    repositories::{Store, recaps::Recaps as _},
};

impl<S: Store> RealtimeService<S> {
    /// Passes on what an agent reports: screenshots, macros, windows. A report that names its agent must come from it.
    pub async fn relay_report(
        &self,
        rights: &Rights,
        agent_id: Option<&str>,
        event: &str,
        payload: &Payload,
    ) -> Outcome {
        let allowed = match agent_id {
            Some(id) => rights.may_act_for(id),
            None => *rights == Rights::Everything,
        };
        if !allowed {
            return Outcome::Refused;
        }
        self.channel.emit(Audience::Operators, event, payload).await;
        Outcome::Done
    }

    /// Passes on what an operator wants of agents: to the agent that is named, or to the host of the run that is. Where
    /// nobody is checked, and where nobody is named, everybody gets it and looks whether it is meant.
    pub async fn relay_command(&self, rights: &Rights, event: &str, payload: &Payload) -> Outcome {
        if !rights.may_command() {
            return Outcome::Refused;
        }
        let named = |name| {
            payload
                .value
                .get(name)
                .and_then(Json::as_text)
                .filter(|text| !text.is_empty())
        };
        let host = match named("run_id") {
            Some(run_id) if *rights != Rights::Everything && named("agent_id").is_none() => {
                self.host_of_run(run_id).await
            }
            _ => None,
        };
        let audience = match (named("agent_id"), named("target_hostname").or(host.as_deref())) {
            _ if *rights == Rights::Everything => Audience::Everyone,
            (Some(agent_id), _) => Audience::Agent(agent_id),
            (None, Some(host)) => Audience::Host(host),
            (None, None) => Audience::Everyone,
        };
        self.channel.emit(audience, event, payload).await;
        Outcome::Done
    }

    async fn host_of_run(&self, run_id: &str) -> Option<String> {
        let found = match self.store.view().await {
            Ok(mut view) => view.find_recap(run_id).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(recap) => recap?.hostname,
            Err(error) => {
                tracing::error!("the host of a playbook's run is not found: {error}");
                None
            }
        }
    }

    /// Passes on a playbook run where nobody is checked. An operator starts one over HTTP, where it is signed, recorded
    /// and asked for whether the role allows it; what comes this way is none of these.
    pub async fn relay_playbook(&self, rights: &Rights, event: &str, payload: &Payload) -> Outcome {
        if *rights != Rights::Everything {
            return Outcome::Refused;
        }
        let host = payload.value.get("target_hostname").and_then(Json::as_text);
        self.channel
            .emit(Audience::Host(host.unwrap_or_default()), event, payload)
            .await;
        Outcome::Done
    }
}
