//! Delivers work to agents: once, and a second time only where nothing shows that the first delivery arrived.
//!
//! Undelivered work has a row, written in the transaction that begins it. Each send is counted there before the first
//! byte leaves, so that not even a kill makes a third; the agent's acknowledgement, or a result, deletes the row. A
//! script may well be what ends the connection (it restarts its machine), so work that is not acknowledged after the
//! second send is given up: its activity and its run end `Failed`.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    channel::{AgentChannel, Eventual, PendingReceipt, Receipt, Recipient},
    events, run_status,
};
use crate::{
    domain::{job_runs::status, json::Json},
    repositories::{Store, StoreError},
    services::{Environment, hosts::HostRules},
};

/// How often work is sent at most: once, and one retry.
const MOST_SENDS: i64 = 2;
/// Until an acknowledgement that the store would not take is stored again.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);

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

/// Why a script that arrived is given up.
pub(super) const NO_RESULT: &str = "The device confirmed it, and no result came in the time that it may take";

/// Background work that ends with the server.
#[derive(Debug, Default)]
pub struct Tasks {
    tasks: Mutex<JoinSet<()>>,
}

impl Tasks {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // What has ended is let go, so the set holds no more than what runs.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// How many have not ended.
    pub fn running(&self) -> usize {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    /// Ends them all, and waits until they have.
    pub async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    pub fn abort(&self) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

/// Undelivered work, ready to be sent.
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

/// Whether undelivered work is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It is, where its agent is connected.
    Send,
    /// It is in flight, or was just ended.
    Skip,
}

/// Delivers work to agents.
#[derive(Debug)]
pub struct Delivery {
    store: Arc<dyn Store>,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    hosts: HostRules,
    /// Activities whose work was sent and is not acknowledged.
    in_flight: Mutex<HashSet<i64>>,
    tasks: Tasks,
}

impl Delivery {
    /// Over this store and channel; `hosts` finds the device that work is for.
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

    /// The rules that map hosts to devices.
    pub fn hosts(&self) -> HostRules {
        self.hosts
    }

    /// Ends the tasks that wait for acknowledgements. Undelivered work goes on after the next start.
    pub fn stop(&self) {
        self.tasks.abort();
    }

    /// Receipts that have not come.
    pub fn waiting(&self) -> usize {
        self.tasks.running()
    }

    /// Sends undelivered work, unless it is in flight, its activity has ended or it was sent `MOST_SENDS` times.
    /// Returns once it is sent; the acknowledgement is handled in the background.
    pub async fn send(self: &Arc<Self>, work: Work<'_>) {
        let Some(flight) = InFlight::begin(self, work.activity_id) else {
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
                    tracing::error!(activity_id = work.activity_id, %error, "an activity is not sent");
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

    /// Whether undelivered work is to be sent now. Deletes the row where the activity has ended, and gives up work that
    /// was sent `MOST_SENDS` times: the server was stopped before the second acknowledgement.
    pub async fn next_step(
        &self,
        activity_id: i64,
        activity_status: &str,
        sends: i64,
    ) -> Result<Next, StoreError> {
        if self.in_flight().contains(&activity_id) {
            return Ok(Next::Skip);
        }
        if activity_status != status::RUNNING {
            self.forget(activity_id).await?;
            return Ok(Next::Skip);
        }
        if sends >= MOST_SENDS {
            self.give_up(activity_id, status::FAILED, SENT_TWICE).await?;
            return Ok(Next::Skip);
        }
        Ok(Next::Send)
    }

    async fn forget(&self, activity_id: i64) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        work.note_delivered(activity_id).await?;
        work.save().await
    }

    async fn store_arrival(&self, activity_id: i64) -> Result<(), StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        work.note_arrived(activity_id, now).await?;
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
            ended = Some(run_status::end(&mut *work, run, word, reason, now).await?);
        }
        work.save().await?;
        tracing::warn!(activity_id, %reason, "an activity is not sent again");
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

/// Work is in flight for as long as this exists.
struct InFlight {
    delivery: Arc<Delivery>,
    activity_id: i64,
}

impl InFlight {
    /// `None` where it is in flight already.
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
            Receipt::Delivered => {
                // It stays in flight meanwhile: better that than to run the work twice.
                while let Err(error) = delivery.store_arrival(id).await {
                    tracing::error!(activity_id = id, %error, "the arrival of an activity is not stored");
                    let clock = &delivery.environment.clock;
                    let _working = clock.sleep_until(clock.monotonic() + RETRY_INTERVAL).await;
                }
            }
            Receipt::Unknown if sends >= MOST_SENDS => {
                if let Err(error) = delivery.give_up(id, status::FAILED, SENT_TWICE).await {
                    // The next look at it finds the same.
                    tracing::error!(activity_id = id, %error, "an activity cannot be ended yet");
                }
            }
            Receipt::Unknown => {
                tracing::warn!(
                    activity_id = id,
                    "the agent went away before it acknowledged an activity; it is sent once more when it is back"
                );
            }
            Receipt::NotConnected => {
                tracing::info!(
                    activity_id = id,
                    "no agent is connected; the activity is sent when one is"
                );
            }
            Receipt::Cancelled => {}
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.delivery.in_flight().remove(&self.activity_id);
    }
}
