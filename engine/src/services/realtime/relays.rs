//! Events that are passed on.

use super::{Audience, Outcome, Payload, RealtimeService, Rights};
use crate::{
    domain::{guid::Guid, json::Json},
    repositories::StoreError,
};

impl RealtimeService {
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

    /// Passes on what an operator wants of agents: to the agent that is named, or to those of the device whose host or
    /// run is. Where nobody is checked everybody gets it and looks whether it is meant.
    pub async fn relay_command(&self, rights: &Rights, event: &str, payload: &Payload) -> Outcome {
        if !rights.may_command() {
            return Outcome::Refused;
        }
        if *rights == Rights::Everything {
            self.channel.emit(Audience::Everyone, event, payload).await;
            return Outcome::Done;
        }
        let named = |name| {
            payload
                .value
                .get(name)
                .and_then(Json::as_text)
                .filter(|text| !text.is_empty())
        };
        if let Some(agent_id) = named("agent_id") {
            self.channel.emit(Audience::Agent(agent_id), event, payload).await;
            return Outcome::Done;
        }
        match self.device_meant(named("target_hostname"), named("run_id")).await {
            Ok(Some(guid)) => {
                self.channel.emit(Audience::Device(&guid), event, payload).await;
                Outcome::Done
            }
            Ok(None) => Outcome::Refused,
            Err(error) => {
                tracing::error!("the device that a command is for is not found: {error}");
                Outcome::Failed
            }
        }
    }

    /// The device that has this host's name, else that of the playbook's run.
    async fn device_meant(
        &self,
        host: Option<&str>,
        run_id: Option<&str>,
    ) -> Result<Option<Guid>, StoreError> {
        let mut view = self.store.view().await?;
        let host = match (host, run_id) {
            (Some(host), _) => Some(host.to_owned()),
            (None, Some(run_id)) => view
                .find_playbook_run(run_id)
                .await?
                .and_then(|playbook| playbook.reported.hostname),
            (None, None) => None,
        };
        match host {
            Some(host) => Ok(self.hosts.device(&mut *view, &host).await?.guid),
            None => Ok(None),
        }
    }

    /// Passes on a playbook run where nobody is checked. An operator starts one over HTTP, where it is signed, recorded
    /// and asked for whether the role allows it; what comes this way is none of these.
    pub async fn relay_playbook(&self, rights: &Rights, event: &str, payload: &Payload) -> Outcome {
        if *rights != Rights::Everything {
            return Outcome::Refused;
        }
        self.channel.emit(Audience::Everyone, event, payload).await;
        Outcome::Done
    }
}
