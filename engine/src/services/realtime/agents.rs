//! What agents report of themselves.

use crate::{
    domain::{
        agents::{AgentHeartbeat, CollectorStatus, ConnectAgent, HeartbeatOutcome, Sighting, UserSighting},
        device_document::{DeviceSnapshot, DeviceUpsert},
        json::Json,
        text::python_trim,
    },
    repositories::StoreError,
    services::realtime::{Audience, Outcome, Payload, RealtimeService, Rights},
};

impl RealtimeService {
    /// An agent announces itself.
    pub async fn connect_agent(&self, rights: &Rights, event: &ConnectAgent) -> Outcome {
        if !rights.may_act_for(&event.agent_id) {
            return Outcome::Refused;
        }
        let now = self.environment.clock.now().as_second();
        let sighting = {
            let mut registry = self.agents.registry();
            let sighting = registry.connect(event, now);
            if registry.get(&event.agent_id).is_none() {
                return Outcome::Failed;
            }
            sighting
        };
        self.store_sighting(rights, sighting).await;
        Outcome::Done
    }

    /// A heartbeat of an agent.
    pub async fn agent_heartbeat(&self, rights: &Rights, event: &AgentHeartbeat) -> Outcome {
        let Some(hostname) = own_host(rights, &event.agent_id, event.hostname.as_deref()) else {
            return Outcome::Refused;
        };
        let event = AgentHeartbeat {
            hostname,
            ..event.clone()
        };
        let now = self.environment.clock.now().as_second();
        let outcome = self.agents.registry().heartbeat(&event, rights.device(), now);
        match outcome {
            HeartbeatOutcome::Failed => Outcome::Failed,
            HeartbeatOutcome::Taken(sighting) => {
                self.store_sighting(rights, sighting).await;
                Outcome::Done
            }
        }
    }

    /// A collector reports who uses its host.
    pub async fn collector_status(&self, rights: &Rights, event: &CollectorStatus) -> Outcome {
        let Some(hostname) = own_host(rights, &event.agent_id, event.hostname.as_deref()) else {
            return Outcome::Refused;
        };
        let event = CollectorStatus {
            hostname,
            ..event.clone()
        };
        let now = self.seconds();
        let Some(sighting) = self.agents.registry().collector(&event, now) else {
            return Outcome::Failed;
        };
        if let Some(sighting) = sighting.filter(|sighting| rights.reported_host(&sighting.hostname).is_some())
            && let Err(error) = self.store_user(rights, &sighting).await
        {
            tracing::error!("last_user of {:?} not stored: {error}", sighting.hostname);
        }
        Outcome::Done
    }

    /// An agent asks for its configuration; it goes to that connection alone.
    pub async fn request_config(&self, rights: &Rights, connection: &str, agent_id: &str) -> Outcome {
        if !rights.may_act_for(agent_id) {
            return Outcome::Refused;
        }
        let roles = self.agents.registry().configuration(agent_id).cloned();
        if let Some(roles) = roles {
            let config = Payload::from(Json::object([("roles", roles)]));
            self.channel
                .emit(Audience::Connection(connection), "agent_config", &config)
                .await;
        }
        Outcome::Done
    }

    /// Stores a sighting with its device, if there is one and its sender may report on that host. The agent is not told
    /// of a failure: the next sighting makes up for it.
    async fn store_sighting(&self, rights: &Rights, sighting: Option<Sighting>) {
        let Some(sighting) = sighting.filter(|sighting| rights.reported_host(&sighting.hostname).is_some())
        else {
            return;
        };
        let Ok(last_seen) = i64::try_from(sighting.last_seen) else {
            tracing::warn!(
                "last_seen of {:?} is beyond 64 bits: not stored",
                sighting.hostname
            );
            return;
        };
        let agent_id = Some(python_trim(&sighting.agent_id).to_owned()).filter(|id| !id.is_empty());
        let stored = self.rewrite_device(rights, &sighting.hostname, |device| {
            device.last_seen = Some(last_seen);
            device.agent_id = agent_id;
        });
        if let Err(error) = stored.await {
            tracing::error!("last_seen of {:?} not stored: {error}", sighting.hostname);
        }
    }

    async fn store_user(&self, rights: &Rights, sighting: &UserSighting) -> Result<(), StoreError> {
        self.rewrite_device(rights, &sighting.hostname, |device| {
            device.last_user = Some(sighting.last_user.clone());
        })
        .await
    }

    /// Writes the sender's row again with a change, whatever it is called by now. Where nobody is checked it is the row
    /// of this host, which is made if there is none.
    async fn rewrite_device(
        &self,
        rights: &Rights,
        hostname: &str,
        change: impl FnOnce(&mut DeviceUpsert) + Send,
    ) -> Result<(), StoreError> {
        // Nobody closes it; without a turn the report would only be less patient.
        let _turn = self.storing.acquire().await;
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin_brief().await?;
        let row = match rights.device() {
            Some(guid) => work.device_row(guid.as_str()).await?,
            None => work.device_row_named(hostname).await?,
        };
        let stored = row.as_ref().map(DeviceSnapshot::from);
        let hostname = match (rights.device(), &stored) {
            (Some(_), Some(stored)) if !stored.hostname.is_empty() => &stored.hostname,
            (Some(_), _) => return Ok(()),
            (None, _) => hostname,
        };
        let mut device = DeviceUpsert::rewrite(hostname, stored.as_ref(), now);
        change(&mut device);
        work.upsert_device(&device).await?;
        work.save().await
    }
}

/// The host that an agent's event is about, under the name that it has; `None` where the sender may not report on that
/// agent or host.
fn own_host(rights: &Rights, agent_id: &str, named: Option<&str>) -> Option<Option<String>> {
    if !rights.may_act_for(agent_id) {
        return None;
    }
    match named {
        None => Some(None),
        Some(named) => Some(Some(rights.reported_host(named)?.to_owned())),
    }
}
