//! Events that are passed on.

use super::{Audience, Outcome, Payload, RealtimeService, Rights};
use crate::{domain::json::Json, repositories::Store};

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

    /// Passes on what an operator wants of agents.
    pub async fn relay_command(&self, rights: &Rights, event: &str, payload: &Payload) -> Outcome {
        if !rights.may_command() {
            return Outcome::Refused;
        }
        self.channel.emit(Audience::Everyone, event, payload).await;
        Outcome::Done
    }

    /// Passes on a playbook run: a job, so it goes to the agents of the host that it names. One that names none reaches
    /// nobody but under a policy that checks nobody.
    pub async fn relay_playbook(&self, rights: &Rights, event: &str, payload: &Payload) -> Outcome {
        if !rights.may_command() {
            return Outcome::Refused;
        }
        if !self.hosts.is_strict() {
            self.channel.emit(Audience::Everyone, event, payload).await;
            return Outcome::Done;
        }
        let host = payload.value.get("target_hostname").and_then(Json::as_text);
        let device = async {
            let mut view = self.store.view().await?;
            self.hosts.device(&mut view, host.unwrap_or_default()).await
        };
        match device.await {
            Ok(device) => {
                if let Some(guid) = &device.guid {
                    self.channel.emit(Audience::Device(guid), event, payload).await;
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::error!("a playbook is not passed on: {error}");
                Outcome::Failed
            }
        }
    }
}
