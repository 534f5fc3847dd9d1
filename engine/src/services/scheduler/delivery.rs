//! Gets work to agents once, and a second time only where nothing shows that the first arrived.
//!
//! Work is noted in the transaction that begins it. Each send is counted in its note before the first byte leaves, so
//! that not even a kill makes a third; the agent's receipt, or a result, deletes the note. A script may well be what
//! ends the connection (it restarts its machine), so work whose second receipt stays out is given up: its activity and
//! its run end `Failed`.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    channel::{AgentChannel, Eventual, PendingReceipt, Receipt, Recipient},
    events, life,
};
use crate::{
    domain::{job_runs::status, json::Json},
    repositories::{Store, StoreError},
    services::{Environment, hosts::HostRules},
};

/// Sends of one piece of work, at most.
const MOST_SENDS: i64 = 2;
/// Until an arrival that the store would not take is stored again.
const PAUSE: Duration = Duration::from_secs(15);

/// Why work is not sent a third time.
const SENT_TWICE: &str = "Sent twice, and both times the connection ended before the device confirmed it. It may have \
                          run; it is not sent again";

/// Why a device gets no work.
pub const QUARANTINED: &str = "Device quarantined";
/// Why work is given up that was never sent.
pub const OFFLINE: &str = "Device offline";
/// Why work is given up that was sent once.
pub const WENT_AWAY: &str = "The connection ended before the device confirmed it, and the device did not come back in \
                             time. It may have run; it is not sent again";

/// Background work that ends with the server.
#[derive(Debug, Default)]
pub struct Tasks {
    tasks: Mutex<JoinSet<()>>,
}

impl Tasks {
    /// Runs a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // What has ended is let go, so the set holds no more than what runs.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// How many have not ended.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    /// Ends them all, and waits until they have.
    pub async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// Ends them all.
    pub fn abort(&self) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

/// Noted work, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Its row in the activity history.
    pub activity_id: i64,
    /// For whom it is.
    pub recipient: Recipient<'a>,
    /// The event that carries it.
    pub event: &'static str,
    /// What the agent gets.
    pub payload: &'a Json,
}

/// Whether noted work is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It is, where its agent is there.
    Send,
    /// It is on its way, or was just dealt with.
    Leave,
}

/// Gets work to agents.
#[derive(Debug)]
pub struct Delivery {
    store: Arc<dyn Store>,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    hosts: HostRules,
    /// Activities whose work was sent and whose receipt has not come.
    in_flight: Mutex<HashSet<i64>>,
    tasks: Tasks,
}

impl Delivery {
    /// Over this store and channel; `hosts` knows whom work is for.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        channel: Arc<dyn AgentChannel>,
        hosts: HostRules,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            environment,
            channel,
            hosts,
            in_flight: Mutex::default(),
            tasks: Tasks::default(),
        })
    }

    /// Which devices hosts are.
    pub fn hosts(&self) -> HostRules {
        self.hosts
    }

    /// Ends what waits for receipts. Work that has not arrived is noted and goes on after the next start.
    pub fn stop(&self) {
        self.tasks.abort();
    }

    /// Receipts that have not come.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.tasks.running()
    }

    /// Sends noted work, unless it is on its way, its activity has ended or it was sent often enough. Returns once it
    /// is sent; what becomes of it is seen to in the background.
    pub async fn send(self: &Arc<Self>, work: Work<'_>) {
        let Some(flight) = Flight::begin(self, work.activity_id) else {
            return;
        };
        let mut sends = 0;
        let counted: Eventual<'_, bool> = Box::pin(async {
            match self.begin_send(work.activity_id).await {
                Ok(number) => {
                    sends = number.unwrap_or(0);
                    number.is_some()
                }
                Err(error) => {
                    // What is not counted is not sent.
                    tracing::error!("activity {} is not sent: {error}", work.activity_id);
                    false
                }
            }
        });
        let receipt = self
            .channel
            .hand_over(work.recipient, work.event, work.payload, counted)
            .await;
        self.tasks.spawn(flight.await_receipt(sends, receipt));
    }

    async fn begin_send(&self, activity_id: i64) -> Result<Option<i64>, StoreError> {
        let mut work = self.store.begin().await?;
        let number = work.begin_send(activity_id, MOST_SENDS).await?;
        work.save().await?;
        Ok(number)
    }

    /// What is to be done with work that is still noted. Sees to it that notes go whose activity has ended, and that
    /// work is given up that was sent often enough: the server was stopped before the second receipt.
    pub async fn look_at(
        &self,
        activity_id: i64,
        activity_status: &str,
        sends: i64,
    ) -> Result<Next, StoreError> {
        if self.in_flight().contains(&activity_id) {
            return Ok(Next::Leave);
        }
        if activity_status != status::RUNNING {
            self.note_arrival(activity_id).await?;
            return Ok(Next::Leave);
        }
        if sends >= MOST_SENDS {
            self.give_up(activity_id, status::FAILED, SENT_TWICE).await?;
            return Ok(Next::Leave);
        }
        Ok(Next::Send)
    }

    async fn note_arrival(&self, activity_id: i64) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        work.note_delivered(activity_id).await?;
        work.save().await
    }

    /// Ends work that does not reach its agent, and its run where that is open. Nothing happens where a receipt or a
    /// result came meanwhile.
    ///
    /// # Errors
    /// The store failed; nothing has changed.
    pub async fn give_up(&self, activity_id: i64, word: &str, reason: &str) -> Result<(), StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        if !work.note_delivered(activity_id).await? {
            return Ok(());
        }
        let activity = work.end_activity(activity_id, word, reason).await?;
        let run = work.run_of_activity(activity_id).await?;
        let mut ended = None;
        if let Some(run) = run.filter(|run| run.status == status::RUNNING) {
            ended = Some(life::end(&mut *work, run, word, reason, now).await?);
        }
        work.save().await?;
        tracing::warn!("activity {activity_id} is not sent again: {reason}");
        if let Some(activity) = activity {
            events::activity_ended(&*self.channel, &activity).await;
        }
        if let Some(ended) = ended {
            events::run_completed(&*self.channel, &ended).await;
        }
        Ok(())
    }

    fn in_flight(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that is on its way; it is not for as long as this is dropped.
struct Flight {
    delivery: Arc<Delivery>,
    activity_id: i64,
}

impl Flight {
    /// `None` where it is on its way already.
    fn begin(delivery: &Arc<Delivery>, activity_id: i64) -> Option<Self> {
        delivery.in_flight().insert(activity_id).then(|| Self {
            delivery: Arc::clone(delivery),
            activity_id,
        })
    }

    async fn await_receipt(self, sends: i64, receipt: PendingReceipt) {
        let id = self.activity_id;
        let delivery = &self.delivery;
        match receipt.wait().await {
            Receipt::Arrived => {
                // It stays in flight meanwhile: better that than to run the work twice.
                while let Err(error) = delivery.note_arrival(id).await {
                    tracing::error!("the arrival of activity {id} is not stored: {error}");
                    let clock = &delivery.environment.clock;
                    let _working = clock.sleep_until(clock.monotonic() + PAUSE).await;
                }
            }
            Receipt::Unknown if sends >= MOST_SENDS => {
                if let Err(error) = delivery.give_up(id, status::FAILED, SENT_TWICE).await {
                    // The next look at it finds the same.
                    tracing::error!("activity {id} cannot be ended yet: {error}");
                }
            }
            Receipt::Unknown => {
                tracing::warn!(
                    "activity {id}: the agent went away before it confirmed it; it is sent once more when it is back"
                );
            }
            Receipt::NobodyThere => {
                tracing::info!("activity {id}: no agent is connected; it is sent when one is");
            }
            Receipt::CalledOff => {}
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.delivery.in_flight().remove(&self.activity_id);
    }
}
