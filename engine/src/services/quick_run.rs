//! Scripts that run now, on hosts that an operator names.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Environment,
    assemblies::AssemblyLibrary,
    scheduler::{
        channel::{AgentChannel, PendingReceipt, Receipt},
        events,
        payload::script_members,
    },
    script_signer::ScriptSigner,
};
use crate::{
    builders::quick_run::{QuickRun, WantedHost},
    domain::{
        assembly::{
            document::Document,
            location::{Island, IslandPath},
            variables::overrides_of,
        },
        json::{Json, JsonObject},
        text::python_trim,
    },
    repositories::{
        Store, StoreError, UnitOfWork as _,
        activity_history::{ActivityHistory as _, NewActivity},
        job_runs::status,
    },
};

/// Between two tries to reach an agent that went away.
const PAUSE: Duration = Duration::from_secs(15);
/// Tries in all: an operator who wants a script to run now does not want it to run tomorrow.
const TRIES: usize = 20;
/// Scripts that may wait for their agents at one time.
const MOST_WAITING: usize = 1_000;

/// Why a script does not run.
#[derive(Debug, thiserror::Error)]
pub enum QuickRunError {
    /// There is no such file below `Scripts`.
    #[error("Script not found")]
    NotFound,
    /// It is no PowerShell script.
    #[error("Unsupported script type '{0}'. Only powershell is supported for Quick Job currently.")]
    Unsupported(String),
    /// The file cannot be read.
    #[error("the script cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A script that began to run on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedRun {
    /// The host as the caller named it.
    pub hostname: Json,
    /// The row in the activity history.
    pub activity_id: i64,
}

/// Runs scripts now.
#[derive(Debug)]
pub struct QuickRunService<S> {
    store: S,
    environment: Environment,
    library: AssemblyLibrary,
    signer: ScriptSigner,
    channel: Arc<dyn AgentChannel>,
    places: Arc<Semaphore>,
    waiting: Mutex<JoinSet<()>>,
}

/// A script on its way to a host.
struct Sending {
    activity_id: i64,
    hostname: String,
    payload: Json,
}

impl<S: Store> QuickRunService<S> {
    /// Over this store.
    pub fn new(
        store: S,
        environment: Environment,
        library: AssemblyLibrary,
        signer: ScriptSigner,
        channel: Arc<dyn AgentChannel>,
    ) -> Self {
        Self {
            store,
            environment,
            library,
            signer,
            channel,
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            waiting: Mutex::default(),
        }
    }

    /// Runs a script on its hosts, in order; hosts need not be known or online.
    ///
    /// # Errors
    /// [`QuickRunError`]; nothing is written or sent then.
    pub async fn start(self: &Arc<Self>, wish: QuickRun) -> Result<Vec<StartedRun>, QuickRunError> {
        let document = self.document(&wish.script_path).await?;
        let name = shown_name(&document, &wish.script_path);
        let values = overrides_of(&wish.variable_values);
        let (_, members) = script_members(
            &self.signer,
            &document,
            &wish.script_path,
            &name,
            &wish.run_mode,
            &values,
        );
        let ids = self.store_activities(&wish, &name).await?;
        let mut started = Vec::with_capacity(ids.len());
        for (host, activity_id) in wish.hosts.into_iter().zip(ids) {
            self.send(&host, activity_id, members.clone()).await;
            started.push(StartedRun {
                hostname: host.given,
                activity_id,
            });
        }
        tracing::info!(
            "quick run of {} on {} hosts",
            wish.script_path.escape_debug(),
            started.len()
        );
        Ok(started)
    }

    /// Ends what waits for agents.
    pub fn stop(&self) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }

    async fn document(&self, script_path: &str) -> Result<Document, QuickRunError> {
        let path = IslandPath::of_quick_run(script_path).ok_or(QuickRunError::NotFound)?;
        let loaded = self.library.load(Island::Scripts, &path, "powershell").await?;
        let document = loaded.ok_or(QuickRunError::NotFound)?.document;
        if document.kind == "powershell" {
            Ok(document)
        } else {
            Err(QuickRunError::Unsupported(document.kind))
        }
    }

    async fn store_activities(&self, wish: &QuickRun, name: &str) -> Result<Vec<i64>, StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut ids = Vec::with_capacity(wish.hosts.len());
        let mut work = self.store.begin().await?;
        for host in &wish.hosts {
            let activity = NewActivity {
                hostname: host.stored.as_deref(),
                script_path: &wish.script_path,
                script_name: name,
                script_type: "powershell",
            };
            ids.push(work.insert_activity(&activity, now).await?);
        }
        work.save().await?;
        Ok(ids)
    }

    async fn send(self: &Arc<Self>, host: &WantedHost, activity_id: i64, mut members: JsonObject) {
        members.insert("job_id".to_owned(), activity_id.into());
        members.insert("target_hostname".to_owned(), host.given.clone());
        let sending = Sending {
            activity_id,
            hostname: host.stored.clone().unwrap_or_default(),
            payload: members.into(),
        };
        let receipt = self.hand_over(&sending).await;
        events::activity_created(&*self.channel, &host.given.python_str(), activity_id, "quick_job").await;
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!("too many scripts wait for agents: activity {activity_id} is not sent again");
            return;
        };
        let service = Arc::clone(self);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.try_join_next().is_some() {}
        waiting.spawn(async move {
            service.see_to_arrival(sending, receipt).await;
            drop(place);
        });
    }

    async fn hand_over(&self, sending: &Sending) -> PendingReceipt {
        self.channel
            .hand_over(&sending.hostname, "quick_job_run", &sending.payload)
            .await
    }

    /// Sends again until the script arrives, is seen to run, or nobody comes back.
    async fn see_to_arrival(&self, sending: Sending, mut receipt: PendingReceipt) {
        for _ in 1..TRIES {
            if receipt.wait().await == Receipt::Arrived {
                return;
            }
            let deadline = self.environment.clock.monotonic() + PAUSE;
            let _working = self.environment.clock.sleep_until(deadline).await;
            match self.is_open(sending.activity_id).await {
                Ok(true) => receipt = self.hand_over(&sending).await,
                Ok(false) => return,
                Err(error) => {
                    tracing::error!("activity {} is not sent again: {error}", sending.activity_id);
                    return;
                }
            }
        }
        tracing::warn!(
            "activity {}: no agent of {} came back",
            sending.activity_id,
            sending.hostname.escape_debug()
        );
    }

    async fn is_open(&self, activity_id: i64) -> Result<bool, StoreError> {
        let activity = self.store.view().await?.find_activity(activity_id).await?;
        Ok(activity.is_some_and(|activity| activity.status.as_deref() == Some(status::RUNNING)))
    }
}

/// The document's name without blanks around it, else the file's.
fn shown_name(document: &Document, script_path: &str) -> String {
    match python_trim(&document.name) {
        "" => IslandPath::of_quick_run(script_path)
            .map(|path| path.file_name().to_owned())
            .unwrap_or_default(),
        name => name.to_owned(),
    }
}
