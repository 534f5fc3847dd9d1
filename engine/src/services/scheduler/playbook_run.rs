//! Playbooks that the server itself runs, over SSH.

use std::{ffi::OsString, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    channel::AgentChannel,
    credentials::RunCredentials,
    events, life,
    playbook_end::{End, recap_json},
    playbook_files::{arguments, work_files},
};
use crate::{
    domain::{
        assembly::{
            location::{Island, IslandPath, is_json},
            variables::Overrides,
        },
        clock::Working,
        json::Json,
        mask::shown,
    },
    integrations::ansible::{self, PlaybookCommand, PlaybookOutcome, WorkFolder},
    repositories::{
        Store, StoreError, UnitOfWork as _,
        activity_history::ActivityHistory as _,
        job_runs::{JobRuns as _, status},
        recaps::Recaps as _,
    },
    services::{Environment, assemblies::AssemblyLibrary},
};

/// Playbooks that the server runs at one time; more wait for their turn.
const AT_ONCE: usize = 8;
/// Seconds after which a run is ended whose playbook names no limit: one that hangs must not hold its turn for ever.
const LONGEST_RUN: i64 = 86_400;

/// A playbook for one host. Its rows are written already, as `Running`.
pub struct ServerPlaybook {
    /// The run's own id.
    pub run_id: String,
    /// The host.
    pub hostname: String,
    /// The playbook's path in its island.
    pub path: String,
    /// Its decoded text.
    pub text: String,
    /// Its variables' values.
    pub values: Overrides,
    /// Seconds that it may take; 0 is no limit.
    pub timeout_seconds: i64,
    /// What it logs in with.
    pub credential_id: i64,
}

impl std::fmt::Debug for ServerPlaybook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServerPlaybook")
            .field("run_id", &self.run_id)
            .finish_non_exhaustive()
    }
}

/// Runs playbooks on the server and stores what came of them.
#[derive(Debug)]
pub struct ServerPlaybooks<S> {
    store: S,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    credentials: Arc<dyn RunCredentials>,
    library: AssemblyLibrary,
    work_root: PathBuf,
    program: OsString,
    turns: Semaphore,
}

impl<S: Store> ServerPlaybooks<S> {
    /// With work folders below `work_root`.
    pub fn new(
        store: S,
        environment: Environment,
        channel: Arc<dyn AgentChannel>,
        credentials: Arc<dyn RunCredentials>,
        library: AssemblyLibrary,
        work_root: PathBuf,
    ) -> Self {
        Self {
            store,
            environment,
            channel,
            credentials,
            library,
            work_root,
            program: "ansible-playbook".into(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Runs another program in place of `ansible-playbook`.
    #[cfg(test)]
    pub(crate) fn with_program(self, program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            ..self
        }
    }

    /// Ends the runs that a stop of the server cut short: nobody is working on them (ASM-24).
    ///
    /// # Errors
    /// The store failed.
    pub async fn end_left_over(&self) -> Result<(), StoreError> {
        let left = self.store.view().await?.open_server_runs().await?;
        for recap in left {
            tracing::warn!(
                "[server_run] run_id={} was cut short by a stop of the server",
                recap.run_id
            );
            let end = End::failed("The server was stopped during the run");
            self.store_end(&recap.run_id, &end).await?;
        }
        Ok(())
    }

    /// Runs a playbook to its end, whatever that is.
    pub async fn run(&self, playbook: ServerPlaybook, mut working: Working) {
        let turn = match self.turns.try_acquire() {
            Ok(turn) => Ok(turn),
            Err(_) => {
                drop(std::mem::take(&mut working));
                self.turns.acquire().await
            }
        };
        let Ok(_turn) = turn else {
            return;
        };
        tracing::info!(
            "[server_run] start run_id={} host='{}' playbook='{}' credential={}",
            playbook.run_id,
            shown(&playbook.hostname),
            shown(&playbook.path),
            playbook.credential_id
        );
        let begun = self.environment.clock.monotonic();
        let end = match self.execute(&playbook, &mut working).await {
            Ok(outcome) => End::of(outcome),
            Err(reason) => End::failed(reason),
        };
        let took = self.environment.clock.monotonic().saturating_sub(begun);
        tracing::info!(
            "[server_run] completed run_id={} host='{}' status={} duration={}s",
            playbook.run_id,
            shown(&playbook.hostname),
            end.status,
            took.as_secs()
        );
        if let Err(error) = self.store_end(&playbook.run_id, &end).await {
            tracing::error!(
                "[server_run] database update failed run_id={}: {error}",
                playbook.run_id
            );
        }
    }

    async fn execute(
        &self,
        playbook: &ServerPlaybook,
        working: &mut Working,
    ) -> Result<PlaybookOutcome, String> {
        let credential = self
            .credentials
            .fetch(playbook.credential_id)
            .await
            .map_err(|error| error.to_string())?
            .ok_or("Credential not found")?;
        if credential.connection_type != "ssh" {
            return Err(format!(
                "Unsupported credential connection type '{}' for server execution",
                credential.connection_type
            ));
        }
        let place = IslandPath::parse(Island::Playbooks, &playbook.path).ok_or("invalid path")?;
        let stored = self.library.place(Island::Playbooks, &place);
        let folder = self.work_root.join(&playbook.run_id);
        let as_document = is_json(place.file_name());
        let files = work_files(playbook, &credential, &folder, as_document);
        let work = WorkFolder::create(folder, files)
            .await
            .map_err(|error| format!("the work folder cannot be made: {error}"))?;
        let file = if as_document {
            work.path().join("playbook.yml")
        } else {
            stored.clone()
        };
        // Only a document names a limit (ASM-24).
        let limit = match playbook.timeout_seconds {
            seconds @ 1.. if as_document => seconds.min(LONGEST_RUN),
            _ => LONGEST_RUN,
        };
        let command = PlaybookCommand {
            program: self.program.clone(),
            arguments: arguments(file, &work, playbook, &credential),
            folder: stored.parent().map(PathBuf::from).unwrap_or_default(),
            patience: Some(Duration::from_secs(limit.unsigned_abs())),
        };
        let running = ansible::start(&command).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "[Errno 2] No such file or directory: 'ansible-playbook'".to_owned(),
            _ => error.to_string(),
        })?;
        // From here on it takes its own time, whatever the server's clock says.
        drop(std::mem::take(working));
        let outcome = running.finish().await;
        *working = self.environment.clock.working();
        outcome.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => format!("ansible-playbook was ended after {limit} s"),
            _ => error.to_string(),
        })
    }

    async fn store_end(&self, run_id: &str, end: &End) -> Result<(), StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        work.finish_server_run(run_id, end.status, &end.stdout, now)
            .await?;
        let Some(recap) = work.find_recap(run_id).await? else {
            return Ok(());
        };
        if let Some(activity) = recap.activity_job_id {
            work.store_result(activity, end.status, &end.stdout, &end.stderr, Some(now))
                .await?;
        }
        let mut ended = None;
        if let Some(id) = recap.scheduled_run_id
            && let Some(run) = work.find_run(id).await?
            && recap.scheduled_job_id == Some(run.job_id)
        {
            let was_open = run.status == status::RUNNING;
            let end = life::end(&mut work, run, end.status, &end.error, now).await?;
            ended = was_open.then_some(end);
        }
        work.save().await?;
        self.channel
            .tell_operators("ansible_recap_update", &recap_json(&recap))
            .await;
        if let Some(activity) = recap.activity_job_id {
            let payload = Json::object([
                ("hostname", recap.hostname.clone().unwrap_or_default().into()),
                ("activity_id", activity.into()),
                ("status", end.status.into()),
                ("change", "updated".into()),
                ("source", "ansible".into()),
            ]);
            self.channel
                .tell_operators("device_activity_changed", &payload)
                .await;
        }
        if let Some(ended) = ended {
            events::run_completed(&*self.channel, &ended).await;
        }
        Ok(())
    }
}
