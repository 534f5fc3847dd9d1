//! Playbooks that the server itself runs, over SSH.

use std::{ffi::OsString, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    channel::AgentChannel,
    credentials::{RunCredential, RunCredentials},
    events, life,
};
use crate::{
    domain::{
        assembly::{
            location::{Island, IslandPath, is_json},
            variables::Overrides,
        },
        json::{Json, JsonObject},
        json_text::compact_text,
    },
    integrations::ansible::{self, PlaybookCommand, PlaybookOutcome, WorkFile, WorkFolder},
    repositories::{
        Store, StoreError, UnitOfWork as _,
        activity_history::ActivityHistory as _,
        job_runs::{JobRuns as _, status},
        recaps::{Recap, Recaps as _},
    },
    services::{Environment, assemblies::AssemblyLibrary},
};

/// Playbooks that the server runs at one time; more wait for their turn.
const AT_ONCE: usize = 8;
/// Characters of a run's reason that are kept.
const LONGEST_REASON: usize = 1024;

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
    turns: Semaphore,
}

/// How a run ended, in the words of its rows.
struct End {
    status: &'static str,
    stdout: String,
    stderr: String,
    error: String,
}

impl End {
    fn failed(stderr: impl Into<String>) -> Self {
        let stderr = stderr.into();
        Self {
            status: status::FAILED,
            stdout: String::new(),
            error: shortened(&stderr),
            stderr,
        }
    }

    fn of(outcome: PlaybookOutcome) -> Self {
        if outcome.code == Some(0) {
            return Self {
                status: status::SUCCESS,
                stdout: outcome.stdout,
                stderr: outcome.stderr,
                error: String::new(),
            };
        }
        let code = outcome.code.unwrap_or(-1);
        let reason = [&outcome.stderr, &outcome.stdout]
            .into_iter()
            .find(|text| !text.is_empty())
            .cloned()
            .unwrap_or_else(|| format!("ansible-playbook exited with {code}"));
        Self {
            status: status::FAILED,
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            error: shortened(&reason),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
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
            turns: Semaphore::new(AT_ONCE),
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
    pub async fn run(&self, playbook: ServerPlaybook) {
        let Ok(_turn) = self.turns.acquire().await else {
            return;
        };
        tracing::info!(
            "[server_run] start run_id={} host='{}' playbook='{}' credential={}",
            playbook.run_id,
            playbook.hostname.escape_debug(),
            playbook.path.escape_debug(),
            playbook.credential_id
        );
        let begun = self.environment.clock.monotonic();
        let end = match self.execute(&playbook).await {
            Ok(outcome) => End::of(outcome),
            Err(reason) => End::failed(reason),
        };
        let took = self.environment.clock.monotonic().saturating_sub(begun);
        tracing::info!(
            "[server_run] completed run_id={} host='{}' status={} duration={}s",
            playbook.run_id,
            playbook.hostname.escape_debug(),
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

    async fn execute(&self, playbook: &ServerPlaybook) -> Result<PlaybookOutcome, String> {
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
        let mut files: Vec<WorkFile> = vec![(
            "inventory.json",
            compact_text(&inventory(playbook, &credential, &folder)).into(),
        )];
        if !credential.private_key.is_empty() {
            files.push(("ssh_key", with_final_newline(&credential.private_key).into()));
        }
        if !playbook.values.is_empty() {
            let values = Json::Object(playbook.values.clone());
            files.push(("extra_vars.json", compact_text(&values).into()));
        }
        // The stored form of a document is nothing that ansible could run (ASM-17).
        let as_document = is_json(place.file_name());
        if as_document {
            files.push(("playbook.yml", playbook.text.clone().into()));
        }
        let work = WorkFolder::create(folder, files)
            .await
            .map_err(|error| format!("the work folder cannot be made: {error}"))?;
        let file = if as_document {
            work.path().join("playbook.yml")
        } else {
            stored.clone()
        };
        let command = PlaybookCommand {
            program: "ansible-playbook".into(),
            arguments: arguments(file, &work, playbook, &credential),
            folder: stored.parent().map(PathBuf::from).unwrap_or_default(),
            patience: u64::try_from(playbook.timeout_seconds)
                .ok()
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        };
        ansible::run(command).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "[Errno 2] No such file or directory: 'ansible-playbook'".to_owned(),
            io::ErrorKind::TimedOut => {
                format!("ansible-playbook was ended after {} s", playbook.timeout_seconds)
            }
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

/// Keys in the forms that `ssh` takes end with a line feed.
fn with_final_newline(key: &str) -> String {
    if key.ends_with('\n') {
        key.to_owned()
    } else {
        format!("{key}\n")
    }
}

fn inventory(playbook: &ServerPlaybook, credential: &RunCredential, folder: &std::path::Path) -> Json {
    let mut host = JsonObject::new();
    let mut set = |name: &str, value: Json| {
        host.insert(name.to_owned(), value);
    };
    set("ansible_host", playbook.hostname.as_str().into());
    set("ansible_user", credential.username.as_str().into());
    set("ansible_connection", "ssh".into());
    set("ansible_ssh_common_args", "-o StrictHostKeyChecking=no".into());
    if !credential.password.is_empty() {
        set("ansible_password", credential.password.as_str().into());
        set("ansible_ssh_pass", credential.password.as_str().into());
    }
    if !credential.private_key.is_empty() {
        let key = folder.join("ssh_key");
        set("ansible_ssh_private_key_file", key.display().to_string().into());
    }
    let become_members = [
        ("ansible_become_method", &credential.become_method),
        ("ansible_become_user", &credential.become_username),
        ("ansible_become_password", &credential.become_password),
    ];
    if become_members.iter().any(|(_, text)| !text.is_empty()) {
        set("ansible_become", true.into());
    }
    for (name, text) in become_members {
        if !text.is_empty() {
            set(name, text.as_str().into());
        }
    }
    let hosts = JsonObject::from_iter([(playbook.hostname.clone(), Json::Object(host))]);
    Json::object([("all", Json::object([("hosts", Json::Object(hosts))]))])
}

fn arguments(
    file: PathBuf,
    work: &WorkFolder,
    playbook: &ServerPlaybook,
    credential: &RunCredential,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![
        file.into(),
        "-i".into(),
        work.path().join("inventory.json").into(),
    ];
    if !playbook.values.is_empty() {
        let mut values = OsString::from("@");
        values.push(work.path().join("extra_vars.json"));
        arguments.extend(["--extra-vars".into(), values]);
    }
    let become_options = [
        ("--become-method", &credential.become_method),
        ("--become-user", &credential.become_username),
    ];
    if become_options.iter().any(|(_, text)| !text.is_empty()) || !credential.become_password.is_empty() {
        arguments.push("--become".into());
        for (option, text) in become_options {
            if !text.is_empty() {
                arguments.extend([option.into(), text.into()]);
            }
        }
    }
    arguments
}

/// A recap as it is shown: no text is null, its numbers are parsed.
pub fn recap_json(recap: &Recap) -> Json {
    let text = |text: &Option<String>| Json::from(text.clone().unwrap_or_default());
    let numbers = recap
        .recap_json
        .as_deref()
        .and_then(|text| crate::domain::json_reader::read_text(text).ok());
    Json::object([
        ("id", recap.id.into()),
        ("run_id", recap.run_id.as_str().into()),
        ("hostname", text(&recap.hostname)),
        ("agent_id", text(&recap.agent_id)),
        ("playbook_path", text(&recap.playbook_path)),
        ("playbook_name", text(&recap.playbook_name)),
        ("scheduled_job_id", recap.scheduled_job_id.into()),
        ("scheduled_run_id", recap.scheduled_run_id.into()),
        ("activity_job_id", recap.activity_job_id.into()),
        ("status", text(&recap.status)),
        ("recap_text", text(&recap.recap_text)),
        ("recap_json", numbers.into()),
        ("started_ts", recap.started_ts.into()),
        ("finished_ts", recap.finished_ts.into()),
        ("created_at", recap.created_at.into()),
        ("updated_at", recap.updated_at.into()),
    ])
}
