//! Playbooks that the server itself runs, over SSH.
//!
//! Long because it is one run from its start to its end, whatever cuts it short.

use std::{collections::BTreeMap, ffi::OsString, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    channel::AgentChannel,
    credentials::RunCredentials,
    delivery::Tasks,
    events,
    playbook_end::End,
    playbook_files::{arguments, environment, unreachable, work_files},
    run_status,
};
use crate::{
    domain::{
        assembly::{
            location::{Island, IslandPath, is_json},
            variables::Overrides,
        },
        clock::Working,
        job_runs::status,
        mask::shown,
        measures,
    },
    integrations::ansible::{self, PlaybookCommand, RunningPlaybook, WorkFolder, WorkRoot},
    repositories::{Store, StoreError},
    services::{Environment, assemblies::AssemblyLibrary},
};

/// Playbooks that the server runs at one time; more wait for their turn.
const AT_ONCE: usize = 8;
/// Seconds after which a run is ended whose playbook names no limit: one that hangs must not hold its turn for ever.
const LONGEST_RUN: i64 = 86_400;
/// Until an end that the store would not take is stored again.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);

/// A playbook for one host. Its rows are written already, as `Pending`.
pub struct ServerPlaybook {
    /// The run's own id.
    pub run_id: String,
    pub hostname: String,
    /// The playbook's path in its island.
    pub path: String,
    /// Its decoded text. Runs on other hosts that wait for their turns share it.
    pub text: Arc<str>,
    /// Its variables' values, which they share, too.
    pub values: Arc<Overrides>,
    /// Seconds that it may take; 0 is no limit.
    pub timeout_seconds: i64,
    /// The job that it belongs to; `None` for one that an operator runs now.
    pub job_id: Option<i64>,
    /// Seconds after which the job's runs time out, where they do.
    pub expiration: Option<i64>,
    /// Until when it may wait for its turn, in Unix seconds, where its job has an expiration.
    pub waits_until: Option<i64>,
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

/// What playbooks on the server have of the machine.
#[derive(Clone, Debug)]
pub struct PlaybookPlaces {
    /// Where the folders of runs lie.
    pub work_root: WorkRoot,
    /// Where earlier versions and the legacy keep them.
    pub former_root: PathBuf,
    /// What of the server's own environment they get.
    pub inherited: BTreeMap<String, String>,
}

/// A playbook that got its turn, before its end: its process, and the folder that it works in.
struct Started {
    running: RunningPlaybook,
    _work: WorkFolder,
    limit: Limit,
}

/// How long a run may take, and what it is called when it took longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Limit {
    seconds: i64,
    word: &'static str,
}

impl Limit {
    /// The playbook's own, or the time that its job's runs have: whatever comes first.
    fn of(playbook: &ServerPlaybook, as_document: bool) -> Self {
        // Only a document names a limit (ASM-24).
        let seconds = match playbook.timeout_seconds {
            seconds @ 1.. if as_document => seconds.min(LONGEST_RUN),
            _ => LONGEST_RUN,
        };
        match playbook.expiration {
            Some(expiration) if expiration < seconds => Self {
                seconds: expiration.max(0),
                word: status::TIMED_OUT,
            },
            _ => Self {
                seconds,
                word: status::FAILED,
            },
        }
    }
}

/// Runs playbooks on the server and stores what came of them.
#[derive(Debug)]
pub struct ServerPlaybooks {
    store: Arc<dyn Store>,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    credentials: Arc<dyn RunCredentials>,
    library: AssemblyLibrary,
    places: PlaybookPlaces,
    program: OsString,
    turns: Semaphore,
    tasks: Tasks,
}

impl ServerPlaybooks {
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        channel: Arc<dyn AgentChannel>,
        credentials: Arc<dyn RunCredentials>,
        library: AssemblyLibrary,
        places: PlaybookPlaces,
    ) -> Self {
        Self {
            store,
            environment,
            channel,
            credentials,
            library,
            places,
            program: "ansible-playbook".into(),
            turns: Semaphore::new(AT_ONCE),
            tasks: Tasks::default(),
        }
    }

    /// Runs a playbook in the background.
    pub fn begin(self: &Arc<Self>, playbook: ServerPlaybook) {
        let playbooks = Arc::clone(self);
        let working = self.environment.clock.working();
        self.tasks
            .spawn(async move { playbooks.run(playbook, working).await });
    }

    /// Ends all that run, and those that wait for their turn: the processes are killed, and their runs end `Failed`.
    pub async fn stop(&self) {
        self.tasks.shutdown().await;
        if let Err(error) = self.end_left_over().await {
            tracing::error!(%error, "[server_run] playbooks that the stop interrupted");
        }
    }

    /// How many run or wait for their turn.
    pub fn running(&self) -> usize {
        self.tasks.running()
    }

    /// Runs another program in place of `ansible-playbook`.
    #[cfg(test)]
    pub(crate) fn with_program(self, program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            ..self
        }
    }

    /// Ends the playbooks that a crash of the server left at work, and removes what is left of their files: there are keys
    /// and passwords in it.
    pub async fn clear_work(&self) {
        match self.places.work_root.end_left_over().await {
            Ok(0) => {}
            Ok(processes) => tracing::warn!(
                processes,
                "[server_run] processes of playbooks that an earlier run of the server left were ended"
            ),
            Err(error) => tracing::error!(%error, "[server_run] earlier playbooks may still run"),
        }
        if let Err(error) = self.places.work_root.empty().await {
            tracing::error!(%error, "[server_run] files of earlier playbooks cannot be removed");
        }
        let former = &self.places.former_root;
        match ansible::remove_left_over(former.clone()).await {
            Ok(false) => {}
            Ok(true) => tracing::warn!(
                path = %former.display(),
                "[server_run] files of earlier playbooks were removed"
            ),
            Err(error) => tracing::error!(
                path = %former.display(),
                %error,
                "[server_run] files of earlier playbooks stay"
            ),
        }
    }

    /// Ends the runs that a stop of the server cut short: nobody is working on them (ASM-24).
    pub async fn end_left_over(&self) -> Result<(), StoreError> {
        let left = self.store.view().await?.open_server_runs().await?;
        for unfinished in left {
            tracing::warn!(
                run_id = %unfinished.reported.run_id,
                "[server_run] interrupted by a stop of the server"
            );
            let end = End::failed(
                if unfinished.reported.status.as_deref() == Some(status::PENDING) {
                    "The server was stopped before the run got its turn"
                } else {
                    "The server was stopped during the run"
                },
            );
            self.store_end(&unfinished.reported.run_id, &end).await?;
        }
        Ok(())
    }

    /// Runs a playbook to its end, whatever that is.
    async fn run(&self, playbook: ServerPlaybook, mut working: Working) {
        let turn = match self.turns.try_acquire() {
            Ok(turn) => Some(turn),
            Err(_) => {
                drop(std::mem::take(&mut working));
                let _waiting = measures::playbook_waits();
                let (turn, now_working) = self.wait_for_turn(playbook.waits_until).await;
                working = now_working;
                turn
            }
        };
        let Some(_turn) = turn else {
            let end = End::expired("The run did not get its turn before it expired");
            return self.store_at_last(&playbook.run_id, &end, working).await;
        };
        tracing::info!(
            run_id = %playbook.run_id,
            host = %format_args!("'{}'", shown(&playbook.hostname)),
            playbook = %format_args!("'{}'", shown(&playbook.path)),
            credential = %playbook.credential_id,
            "[server_run] start"
        );
        let begun = self.environment.clock.monotonic();
        let _running = measures::playbook_runs();
        let end = match self.start(&playbook).await {
            Err(reason) => End::failed(reason),
            Ok(started) => {
                if let Err(error) = self.store_start(&playbook).await {
                    tracing::error!(run_id = %playbook.run_id, %error, "[server_run] database update failed");
                }
                // From here on it takes its own time, whatever the server's clock says.
                drop(std::mem::take(&mut working));
                let end = finished(started).await;
                working = self.environment.clock.working();
                end
            }
        };
        let took = self.environment.clock.monotonic().saturating_sub(begun);
        tracing::info!(
            run_id = %playbook.run_id,
            host = %format_args!("'{}'", shown(&playbook.hostname)),
            status = %end.status,
            duration = %format_args!("{}s", took.as_secs()),
            "[server_run] completed"
        );
        self.store_at_last(&playbook.run_id, &end, working).await;
    }

    /// `None` where its time is over before.
    async fn wait_for_turn(&self, until: Option<i64>) -> (Option<SemaphorePermit<'_>>, Working) {
        let clock = &self.environment.clock;
        let expiry = async {
            match until {
                None => std::future::pending().await,
                Some(until) => {
                    let left = until.saturating_sub(clock.now().as_second()).max(0);
                    let left = Duration::from_secs(left.unsigned_abs());
                    clock.sleep_until(clock.monotonic() + left).await
                }
            }
        };
        tokio::select! {
            biased;
            turn = self.turns.acquire() => (turn.ok(), clock.working()),
            working = expiry => (None, working),
        }
    }

    /// Stores an end, whenever the store takes it.
    async fn store_at_last(&self, run_id: &str, end: &End, mut working: Working) {
        let clock = &self.environment.clock;
        while let Err(error) = self.store_end(run_id, end).await {
            tracing::error!(run_id, %error, "[server_run] database update failed");
            let sleep = clock.sleep_until(clock.monotonic() + RETRY_INTERVAL);
            drop(std::mem::take(&mut working));
            working = sleep.await;
        }
    }

    /// Starts the playbook's process; the error is the end that the run then has.
    async fn start(&self, playbook: &ServerPlaybook) -> Result<Started, String> {
        if let Some(job) = playbook.job_id {
            let is_there = self.has_job(job).await.map_err(|error| error.to_string())?;
            if !is_there {
                return Err("The job was deleted before its playbook got its turn".to_owned());
            }
        }
        if let Some(reason) = unreachable(&playbook.hostname) {
            return Err(reason.to_owned());
        }
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
        let root = self.library.root();
        let place = IslandPath::parse(root, Island::Playbooks, &playbook.path).ok_or("invalid path")?;
        let stored = self.library.place(Island::Playbooks, &place);
        let folder = self.places.work_root.folder(&playbook.run_id);
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
        let limit = Limit::of(playbook, as_document);
        let command = PlaybookCommand {
            program: self.program.clone(),
            arguments: arguments(file, &work, playbook, &credential),
            folder: stored.parent().map(PathBuf::from).unwrap_or_default(),
            environment: environment(&self.places.inherited, &work),
            patience: Some(Duration::from_secs(limit.seconds.unsigned_abs())),
        };
        let running = ansible::start(&command).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "[Errno 2] No such file or directory: 'ansible-playbook'".to_owned(),
            _ => error.to_string(),
        })?;
        Ok(Started {
            running,
            _work: work,
            limit,
        })
    }

    async fn has_job(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.store.view().await?.find_job(id).await?.is_some())
    }

    /// Stores that the playbook's process runs, and notifies operators.
    async fn store_start(&self, playbook: &ServerPlaybook) -> Result<(), StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        work.start_server_run(&playbook.run_id, now).await?;
        let Some(stored) = work.find_playbook_run(&playbook.run_id).await? else {
            return Ok(());
        };
        if let Some(activity) = stored.reported.activity_job_id {
            work.store_progress(activity, Some(status::RUNNING), None).await?;
        }
        let mut started = None;
        if let Some(id) = stored.reported.scheduled_run_id
            && let Some(mut run) = work.find_run(id).await?
            && run.status == status::PENDING
        {
            status::RUNNING.clone_into(&mut run.status);
            run.started_ts = Some(now);
            work.set_run_state(&run, now).await?;
            let job = work.find_job(run.job_id).await?;
            started = Some((run, job.map(|job| job.schedule_type).unwrap_or_default()));
        }
        work.save().await?;
        if let Some(activity) = stored.reported.activity_job_id {
            events::activity_updated(
                &*self.channel,
                &playbook.hostname,
                activity,
                status::RUNNING,
                "ansible",
            )
            .await;
        }
        if let Some((run, schedule_type)) = started {
            events::run_started(&*self.channel, &run, &schedule_type).await;
        }
        Ok(())
    }

    async fn store_end(&self, run_id: &str, end: &End) -> Result<(), StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        work.finish_server_run(run_id, end.status, &end.stdout, now)
            .await?;
        let Some(stored) = work.find_playbook_run(run_id).await? else {
            return Ok(());
        };
        if let Some(activity) = stored.reported.activity_job_id {
            work.store_result(activity, end.status, &end.stdout, &end.stderr, Some(now))
                .await?;
        }
        let mut ended = None;
        if let Some(id) = stored.reported.scheduled_run_id
            && let Some(mut run) = work.find_run(id).await?
            && stored.reported.scheduled_job_id == Some(run.job_id)
        {
            // What failed first is the reason of the whole.
            if run.error.is_empty() {
                run.error.clone_from(&end.error);
            }
            if work.has_open_server_run(id).await? {
                work.set_run_state(&run, now).await?;
            } else {
                let was_open = [status::RUNNING, status::PENDING].contains(&run.status.as_str());
                let word = match end.status {
                    status::SUCCESS if !run.error.is_empty() => status::FAILED,
                    word => word,
                };
                if end.status != status::EXPIRED {
                    run.started_ts = run.started_ts.or(Some(now));
                }
                let error = run.error.clone();
                let end = run_status::end(&mut *work, run, word, &error, now).await?;
                ended = was_open.then_some(end);
            }
        }
        work.save().await?;
        let activity = stored.reported.activity_job_id;
        events::playbook_updated(&*self.channel, &stored, activity, end.status).await;
        if let Some(ended) = ended {
            events::run_completed(&*self.channel, &ended).await;
        }
        Ok(())
    }
}

/// Waits for the end of a playbook's process.
async fn finished(started: Started) -> End {
    let Started {
        running,
        _work,
        limit,
    } = started;
    match running.finish().await {
        Ok(outcome) if outcome.timed_out => {
            let reason = format!("ansible-playbook was ended after {} s", limit.seconds);
            End::ended(limit.word, &reason, outcome)
        }
        Ok(outcome) => End::of(outcome),
        Err(error) => End::failed(error.to_string()),
    }
}
