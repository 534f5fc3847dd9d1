//! Which hosts are online, and work for them: the channel as the scheduler sees it.

use std::collections::HashSet;

use super::{Audience, Payload, RealtimeService};
use crate::{
    domain::{clock::BoxFuture, guid::Guid, json::Json},
    repositories::StoreError,
    services::scheduler::channel::{AgentChannel, Eventual, PendingReceipt, Recipient},
};

impl RealtimeService {
    /// Whether this host is online: a collector on it was active within 300 s, its device sent a heartbeat over REST
    /// within 300 s, or an agent of it is connected (the legacy knows the first alone: RT-7).
    pub async fn is_online(&self, hostname: &str) -> Result<bool, StoreError> {
        let hosts = [hostname.to_owned()];
        Ok(!self.online(&hosts).await?.is_empty())
    }

    async fn online(&self, hosts: &[String]) -> Result<HashSet<String>, StoreError> {
        if self.hosts.is_strict() {
            return self.online_by_device(hosts).await;
        }
        let now = self.seconds();
        let live = self.channel.live_agents();
        let mut online: HashSet<_> = {
            let registry = self.agents.registry();
            let connected = live.iter().filter_map(|id| registry.get(id)?.hostname.as_deref());
            let connected: HashSet<&str> = connected.collect();
            let is_alive = |host: &&String| {
                connected.contains(host.as_str())
                    || registry.is_host_collected(host, now)
                    || self.agents.has_reported(host)
            };
            hosts.iter().filter(is_alive).cloned().collect()
        };
        if online.len() == hosts.len() || live.is_empty() {
            return Ok(online);
        }
        // Current agents send no host name; their ids name the device.
        let connected: HashSet<_> = live
            .iter()
            .flat_map(|id| id.split('_').filter_map(Guid::normalize))
            .collect();
        for (hostname, guid) in self.store.view().await?.guids_of_hosts(hosts).await? {
            if Guid::normalize(&guid).is_some_and(|guid| connected.contains(&guid)) {
                online.insert(hostname);
            }
        }
        Ok(online)
    }

    /// The same where connections, heartbeats and collectors are those of a device, whatever it is called.
    async fn online_by_device(&self, hosts: &[String]) -> Result<HashSet<String>, StoreError> {
        let devices = {
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let mut view = self.store.view().await?;
            self.hosts.devices(&mut *view, &hosts).await?
        };
        let known: Vec<_> = devices
            .values()
            .filter_map(|device| device.guid.as_ref())
            .collect();
        let connected = self.channel.live_among(&known);
        let now = self.seconds();
        let registry = self.agents.registry();
        let is_online = |guid: &Guid| {
            connected.contains(guid)
                || registry.is_device_collected(guid, now)
                || self.agents.has_device_reported(guid)
        };
        Ok(devices
            .into_iter()
            .filter(|(_, device)| device.guid.as_ref().is_some_and(is_online))
            .map(|(host, _)| host)
            .collect())
    }
}

impl AgentChannel for RealtimeService {
    fn online_among<'a>(&'a self, hosts: &'a [String]) -> Eventual<'a, HashSet<String>> {
        Box::pin(async move {
            self.online(hosts).await.unwrap_or_else(|error| {
                tracing::error!("online hosts cannot be determined: {error}");
                HashSet::new()
            })
        })
    }

    fn hand_over<'a>(
        &'a self,
        recipient: Recipient<'a>,
        event: &'static str,
        payload: &'a Json,
        before: Eventual<'a, bool>,
    ) -> Eventual<'a, PendingReceipt> {
        let payload = Payload::from(payload.clone());
        let meant = meant_agent(event, &payload.value);
        Box::pin(async move {
            self.channel
                .hand_over(recipient.device, meant, event, &payload, before)
                .await
        })
    }

    fn notify_operators<'a>(&'a self, event: &'static str, payload: &'a Json) -> BoxFuture<'a> {
        let payload = Payload::from(payload.clone());
        Box::pin(async move { self.channel.emit(Audience::Operators, event, &payload).await })
    }
}

/// The suffix of the id of that agent of a host that runs this work; `None` where the work names none.
fn meant_agent(event: &str, payload: &Json) -> Option<&'static str> {
    if event == "ansible_playbook_run" {
        return Some("_SYSTEM");
    }
    match payload.get("run_mode").and_then(Json::as_text)? {
        "system" => Some("_SYSTEM"),
        "currentuser" | "current_user" | "interactive" | "user" => Some("_CURRENTUSER"),
        _ => None,
    }
}
