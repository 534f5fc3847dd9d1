//! Runs scheduled jobs: a tick at start and at each minute, one at a time. No error stops it.

pub mod channel;
pub mod credentials;
pub mod delivery;
pub mod events;
mod housekeeping;
mod jobs;
pub mod manifest;
pub mod payload;
mod plan;
pub mod playbook_end;
mod playbook_files;
pub mod playbook_run;
mod redelivery;
pub mod run_status;

use std::{sync::Arc, time::Duration};

use self::{
    channel::AgentChannel, credentials::RunCredentials, delivery::Delivery, manifest::ManifestBuilder,
    playbook_run::ServerPlaybooks,
};
use super::{Environment, assemblies::AssemblyLibrary, hosts::HostRules, script_signer::ScriptSigner};
use crate::{config::settings::AccessPolicy, domain::clock::Working, repositories::Store};

/// Seconds between ticks.
const MINUTE: i64 = 60;
/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// The scheduler's settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Seconds after which a run whose work arrived is taken for a success (SCH-4).
    pub assumed_seconds: i64,
    /// Days for which runs are kept.
    pub history_days: i64,
}

/// What the scheduler works with.
#[derive(Debug)]
pub struct Parts {
    /// Where scripts and playbooks lie.
    pub library: AssemblyLibrary,
    /// Who signs them.
    pub signer: ScriptSigner,
    /// The way to agents and operators.
    pub channel: Arc<dyn AgentChannel>,
    /// What remote runs log in with.
    pub credentials: Arc<dyn RunCredentials>,
    pub limits: Limits,
    /// Whether names and values are refused that could become code.
    pub policy: AccessPolicy,
}

/// Runs scheduled jobs.
#[derive(Debug)]
pub struct Scheduler {
    store: Arc<dyn Store>,
    environment: Environment,
    library: AssemblyLibrary,
    signer: ScriptSigner,
    channel: Arc<dyn AgentChannel>,
    credentials: Arc<dyn RunCredentials>,
    hosts: HostRules,
    playbooks: Arc<ServerPlaybooks>,
    limits: Limits,
    policy: AccessPolicy,
    delivery: Arc<Delivery>,
}

impl Scheduler {
    /// Over this store. `delivery` gets work to agents, `playbooks` runs those that agents cannot.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        delivery: Arc<Delivery>,
        playbooks: Arc<ServerPlaybooks>,
        parts: Parts,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            environment,
            library: parts.library,
            signer: parts.signer,
            channel: parts.channel,
            credentials: parts.credentials,
            hosts: delivery.hosts(),
            playbooks,
            limits: parts.limits,
            policy: parts.policy,
            delivery,
        })
    }

    /// The first tick, before anybody is connected: what a stop of the server cut short is ended, the rest goes on.
    pub async fn begin(self: &Arc<Self>) {
        self.playbooks.clear_work().await;
        if let Err(error) = self.playbooks.end_left_over().await {
            tracing::error!(%error, "[Scheduler] left over playbooks");
        }
        if let Err(error) = self.forget_orphaned_devices().await {
            tracing::error!(%error, "[Scheduler] notes of deleted activities");
        }
        self.tick(self.now()).await;
    }

    /// Ticks at each minute for ever.
    pub async fn run(self: Arc<Self>, mut working: Working) {
        loop {
            let time = self.environment.clock.now().as_microsecond();
            let due = time
                .div_euclid(MINUTE * SECOND)
                .saturating_add(1)
                .saturating_mul(MINUTE);
            let wait = due.saturating_mul(SECOND).saturating_sub(time).unsigned_abs();
            let deadline = self.environment.clock.monotonic() + Duration::from_micros(wait);
            let sleep = self.environment.clock.sleep_until(deadline);
            drop(working);
            working = sleep.await;
            let now = self.now();
            if now < due {
                // The wall clock was set back meanwhile.
                continue;
            }
            // A tick belongs to its minute even where the wake-up came some seconds late. After a longer pause (the
            // machine slept) the present counts.
            let is_prompt = now.saturating_sub(due) < MINUTE;
            self.tick(if is_prompt { due } else { now }).await;
        }
    }

    /// Ends what runs in the background. Work that has not arrived is recorded and goes on after the next start;
    /// playbooks that run on the server are killed, and end `Failed`, as do those that wait for their turn.
    pub async fn stop(&self) {
        self.delivery.stop();
        self.playbooks.stop().await;
    }

    /// How much goes on that takes its own time, whatever the clock says: playbooks on this machine, and work that its agent
    /// has not confirmed.
    pub fn under_way(&self) -> usize {
        self.playbooks.running() + self.delivery.waiting()
    }

    /// One tick, as of `now` in seconds.
    async fn tick(self: &Arc<Self>, now: i64) {
        if let Err(error) = self.keep_house(now).await {
            tracing::error!(%error, "[Scheduler] running jobs cannot be checked");
        }
        if let Err(error) = self.end_outliving_activities(now).await {
            tracing::error!(%error, "[Scheduler] activities of ended runs");
        }
        if let Err(error) = self.deliver_again(now).await {
            tracing::error!(%error, "[Scheduler] undelivered work");
        }
        self.work_on_jobs(now).await;
    }

    fn manifests(&self) -> ManifestBuilder<'_> {
        ManifestBuilder {
            library: &self.library,
            signer: &self.signer,
            credentials: &*self.credentials,
            policy: self.policy,
        }
    }

    fn now(&self) -> i64 {
        self.environment.clock.now().as_second()
    }
}

#[cfg(test)]
mod tests;
