//! Playbooks that run now: on the hosts' agents, or on the server with what it logs in with.
//!
//! Long because what is checked, stored and sent is one story, for agents and for the server.

use std::{io, sync::Arc};

use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{Kind, PLAYBOOK_EVENT, Prepared, QuickRunService, Unprepared, digest};
use crate::{
    builders::quick_run::QuickPlaybook,
    config::settings::AccessPolicy,
    domain::{
        activity::NewActivity,
        assembly::{
            document::Document,
            location::{Island, IslandPath},
            variables::Overrides,
        },
        guid::Guid,
        job_runs::status,
        json::Json,
        json_text::compact_text,
        mask::shown,
        playbooks::ServerRun,
        random::random_uuid,
        text::python_trim,
        undelivered_work::{NewUndelivered, Source},
        work_devices::BoundTo,
    },
    integrations::assembly_files::FileError,
    repositories::StoreError,
    services::{
        audit,
        credentials::or_default,
        scheduled_jobs::JobAuthor,
        scheduler::{
            channel::Recipient,
            credentials::CredentialError,
            delivery::QUARANTINED,
            events,
            manifest::reserved_name,
            payload::{playbook_members, quick_playbook_event},
            playbook_run::ServerPlaybook,
        },
    },
};

/// Why a playbook does not run.
#[derive(Debug, thiserror::Error)]
pub enum QuickPlaybookError {
    /// It would log in with a stored credential, and the caller may not have that.
    #[error("forbidden")]
    Forbidden,
    #[error("Credential not found")]
    CredentialNotFound,
    /// No playbook logs in this way.
    #[error("Credential connection '{0}' not supported")]
    UnsupportedConnection(String),
    /// The path leads out of the playbooks.
    #[error("invalid path")]
    InvalidPath,
    #[error("Playbook not found")]
    NotFound,
    /// A playbook on the server may not have a variable of this name.
    #[error("the variable {0} is not allowed")]
    VariableNotAllowed(String),
    /// The file cannot be read.
    #[error("the playbook cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server stopped; what is stored goes on after its next start, or has ended.
    #[error("the server is stopping")]
    Stopping,
}

/// Where a playbook runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Execution {
    Agent,
    Server,
}

/// A playbook that began to run on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedPlaybook {
    /// The host as the caller named it.
    pub hostname: Json,
    /// The run's own id.
    pub run_id: String,
    /// The row in the activity history.
    pub activity_id: i64,
    pub execution: Execution,
    /// Why it failed before it was sent or started.
    pub refused: Option<String>,
}

/// How a playbook is to run.
struct PreparedPlaybook {
    wanted: QuickPlaybook,
    document: Document,
    name: String,
    execution: Execution,
    /// Given values; for WinRM with the login.
    values: Arc<Overrides>,
    /// Why it cannot run at all.
    refused: Option<String>,
}

/// A run that was stored.
struct BegunPlaybook {
    run_id: String,
    activity_id: i64,
    device: Option<Guid>,
    refused: Option<String>,
}

/// A playbook run that has not reached its agent, as it was asked for.
pub(super) struct PlaybookRequest {
    path: String,
    /// Its id, where an older engine sealed it: requests were each host's own.
    run_id: Option<String>,
    credential_id: Option<i64>,
    values: Overrides,
    digest: String,
}

/// What makes a playbook anew: everything but its hosts and their runs' ids.
fn playbook_request(wanted: &QuickPlaybook, digest: &str) -> Json {
    Json::object([
        ("playbook_path", wanted.playbook_path.as_str().into()),
        ("credential_id", wanted.credential_id.into()),
        ("variable_values", Json::Object(wanted.variable_values.clone())),
        ("digest", digest.into()),
    ])
}

pub(super) fn read_playbook_request(request: &Json) -> Option<PlaybookRequest> {
    let text = |name| request.get(name).and_then(Json::as_text).map(str::to_owned);
    Some(PlaybookRequest {
        path: text("playbook_path")?,
        run_id: text("run_id"),
        credential_id: request.get("credential_id").and_then(Json::as_int),
        values: request.get("variable_values")?.as_object()?.clone(),
        digest: text("digest")?,
    })
}

impl QuickRunService {
    /// Runs a playbook on its hosts, in order; hosts need not be registered or online. What is stored is sent whether or
    /// not the caller waits for the end of this.
    ///
    /// # Errors
    /// [`QuickPlaybookError`]; nothing is written or sent then.
    pub async fn start_playbook(
        self: &Arc<Self>,
        author: &JobAuthor,
        wanted: QuickPlaybook,
    ) -> Result<Vec<StartedPlaybook>, QuickPlaybookError> {
        let prepared = self.prepare_playbook(author, wanted).await?;
        let (sender, receiver) = oneshot::channel();
        let service = Arc::clone(self);
        let running = async move {
            // Nobody waits any more where this fails: the caller has left.
            let _ = sender.send(service.store_and_start(prepared).await);
        };
        self.tasks.spawn(running.in_current_span());
        Ok(receiver.await.map_err(|_| QuickPlaybookError::Stopping)??)
    }

    async fn prepare_playbook(
        &self,
        author: &JobAuthor,
        wanted: QuickPlaybook,
    ) -> Result<PreparedPlaybook, QuickPlaybookError> {
        let is_strict = self.policy == AccessPolicy::Strict;
        if is_strict && wanted.credential_id.is_some() && !author.may_use_credentials {
            tracing::warn!(
                by = %shown(&author.name),
                path = %shown(&wanted.playbook_path),
                "refused: runs that use a stored credential are the admins'"
            );
            return Err(QuickPlaybookError::Forbidden);
        }
        let execution = match wanted.credential_id {
            None => Execution::Agent,
            Some(id) => self.execution(id).await?,
        };
        let path = IslandPath::resolve(self.library.root(), Island::Playbooks, &wanted.playbook_path)
            .ok_or(QuickPlaybookError::InvalidPath)?;
        let document = self.playbook(&path).await?;
        let mut values = wanted.variable_values.clone();
        let reserved = (is_strict && execution == Execution::Server)
            .then(|| reserved_name(&values, Some(&document)))
            .flatten();
        if let Some(name) = reserved {
            tracing::warn!(
                by = %shown(&author.name),
                variable = %shown(&name),
                "refused: no playbook on the server may have this variable"
            );
            return Err(QuickPlaybookError::VariableNotAllowed(name));
        }
        let refused = match (execution, wanted.credential_id) {
            (Execution::Agent, Some(id)) => match self.winrm_login(id).await {
                Ok(login) => {
                    values.extend(login);
                    None
                }
                Err(reason) => Some(reason),
            },
            _ => None,
        };
        let name = match python_trim(&document.name) {
            "" => path.file_name().to_owned(),
            name => name.to_owned(),
        };
        Ok(PreparedPlaybook {
            wanted,
            document,
            name,
            execution,
            values: values.into(),
            refused,
        })
    }

    /// Where a playbook runs that logs in with this credential.
    async fn execution(&self, credential_id: i64) -> Result<Execution, QuickPlaybookError> {
        let credential = self.store.view().await?.find_credential(credential_id).await?;
        let credential = credential.ok_or(QuickPlaybookError::CredentialNotFound)?;
        let connection = or_default(&credential.connection_type, "ssh").to_lowercase();
        match connection.as_str() {
            "ssh" | "linux" | "unix" => Ok(Execution::Server),
            "winrm" | "psrp" => Ok(Execution::Agent),
            _ => Err(QuickPlaybookError::UnsupportedConnection(connection)),
        }
    }

    async fn playbook(&self, path: &IslandPath) -> Result<Document, QuickPlaybookError> {
        let loaded = self
            .library
            .load_checked(Island::Playbooks, path, "ansible")
            .await;
        match loaded {
            Ok(Some(loaded)) => Ok(loaded.document),
            Ok(None) => {
                tracing::info!(path = %shown(&path.text()), "[quick_run] playbook not found");
                Err(QuickPlaybookError::NotFound)
            }
            Err(FileError::Outside) => Err(QuickPlaybookError::InvalidPath),
            Err(FileError::System { source, .. }) => Err(source.into()),
            Err(error) => Err(io::Error::other(error).into()),
        }
    }

    async fn winrm_login(&self, id: i64) -> Result<Overrides, String> {
        let credential = self.credentials.fetch(id).await;
        let credential = credential.map_err(|error: CredentialError| error.to_string())?;
        Ok(credential.ok_or("Credential not found")?.winrm_values())
    }

    async fn store_and_start(
        self: Arc<Self>,
        prepared: PreparedPlaybook,
    ) -> Result<Vec<StartedPlaybook>, StoreError> {
        let members = playbook_members(&self.signer, &prepared.document, &prepared.name, &prepared.values);
        let begun = self.store_playbooks(&prepared).await?;
        self.begun.notify_one();
        let path = &prepared.wanted.playbook_path;
        let text: Arc<str> = prepared.document.script.as_str().into();
        let mut started = Vec::with_capacity(begun.len());
        for (host, begun) in prepared.wanted.hosts.iter().zip(begun) {
            let hostname = host.stored.as_deref().unwrap_or_default();
            let BegunPlaybook {
                run_id,
                activity_id,
                device,
                refused,
            } = begun;
            let is_agents = refused.is_none() && prepared.execution == Execution::Agent;
            if is_agents {
                tracing::info!(
                    host = %format_args!("'{}'", shown(hostname)),
                    run_id,
                    job_id = activity_id,
                    path = %shown(path),
                    "[quick_run] emit ansible_playbook_run"
                );
                let recipient = Recipient {
                    hostname,
                    device: device.as_ref(),
                };
                let payload = quick_playbook_event(&run_id, hostname.into(), members.clone(), activity_id);
                self.send(activity_id, recipient, (PLAYBOOK_EVENT, payload)).await;
            }
            events::activity_created(&*self.channel, hostname, activity_id, "ansible").await;
            match &refused {
                Some(reason) => {
                    tracing::warn!(activity_id, reason = %shown(reason), "an activity failed");
                    events::activity_updated(
                        &*self.channel,
                        hostname,
                        activity_id,
                        status::FAILED,
                        "ansible",
                    )
                    .await;
                }
                None if is_agents => {}
                None => self.server.begin(ServerPlaybook {
                    run_id: run_id.clone(),
                    hostname: hostname.to_owned(),
                    path: path.clone(),
                    text: Arc::clone(&text),
                    values: Arc::clone(&prepared.values),
                    timeout_seconds: prepared.document.run_seconds(),
                    job_id: None,
                    expiration: None,
                    waits_until: None,
                    credential_id: prepared.wanted.credential_id.unwrap_or(0),
                }),
            }
            started.push(StartedPlaybook {
                hostname: host.given.clone(),
                run_id,
                activity_id,
                execution: prepared.execution,
                refused,
            });
        }
        Ok(started)
    }

    /// The activities, and with them the rows of undelivered work or of runs on the server. The request is stored once,
    /// whatever the number of hosts.
    async fn store_playbooks(&self, prepared: &PreparedPlaybook) -> Result<Vec<BegunPlaybook>, StoreError> {
        let now = self.environment.clock.now().as_second();
        let wanted = &prepared.wanted;
        let mut stored_request = None;
        let mut begun = Vec::with_capacity(wanted.hosts.len());
        let mut work = self.store.begin().await?;
        let named: Vec<&str> = wanted
            .hosts
            .iter()
            .filter_map(|host| host.stored.as_deref())
            .collect();
        let devices = self.hosts.devices(&mut *work, &named).await?;
        for hostname in named {
            let device = devices.get(hostname).cloned().unwrap_or_default();
            let run_id = random_uuid(&*self.environment.random).simple().to_string();
            let binding = match prepared.execution {
                Execution::Agent => device.binding(),
                Execution::Server => BoundTo::Nobody,
            };
            let activity = NewActivity {
                hostname: Some(hostname),
                script_path: &wanted.playbook_path,
                script_name: &prepared.name,
                script_type: "ansible",
                bound_to: &binding,
            };
            let activity_id = work.insert_activity(&activity, now).await?;
            let quarantined = device.is_quarantined.then(|| QUARANTINED.to_owned());
            let refused = prepared.refused.clone().or(quarantined);
            if let Some(reason) = &refused {
                work.end_activity(activity_id, status::FAILED, reason).await?;
            } else if prepared.execution == Execution::Agent {
                let request_id = match stored_request {
                    Some(request_id) => request_id,
                    None => {
                        let request = playbook_request(wanted, &digest(&prepared.document.script));
                        let sealed = self.secrets.seal(&compact_text(&request));
                        *stored_request.insert(work.store_quick_run_request(&sealed).await?)
                    }
                };
                work.note_undelivered(&NewUndelivered {
                    activity_id,
                    source: Source::QuickRun {
                        request_id,
                        run_id: Some(&run_id),
                        // Its agent is told of no limit.
                        patience: self.patience(0),
                    },
                })
                .await?;
            } else {
                let run = ServerRun {
                    run_id: &run_id,
                    hostname,
                    playbook_path: &wanted.playbook_path,
                    playbook_name: &prepared.name,
                    scheduled: None,
                    activity_id: Some(activity_id),
                };
                work.begin_server_run(&run, now).await?;
                work.store_progress(activity_id, Some(status::PENDING), None)
                    .await?;
            }
            begun.push(BegunPlaybook {
                run_id,
                activity_id,
                device: device.guid,
                refused,
            });
        }
        work.save().await?;
        for run in &begun {
            audit::changed("playbook.run", run.activity_id);
        }
        Ok(begun)
    }

    /// The playbook of a stored request, as it was asked for or not at all.
    pub(super) async fn prepare_playbook_again(
        &self,
        request: PlaybookRequest,
    ) -> Result<Prepared, Unprepared> {
        let removed = Unprepared::ForGood("The playbook was removed before it reached the device");
        let Some(path) = IslandPath::parse(self.library.root(), Island::Playbooks, &request.path) else {
            return Err(removed);
        };
        let document = match self.playbook(&path).await {
            Ok(document) => document,
            Err(QuickPlaybookError::NotFound | QuickPlaybookError::InvalidPath) => return Err(removed),
            Err(error) => {
                tracing::error!(%error, "a playbook is not sent yet");
                return Err(Unprepared::ForNow);
            }
        };
        if digest(&document.script) != request.digest {
            return Err(Unprepared::ForGood(
                "The playbook was changed before it reached the device",
            ));
        }
        let mut values = request.values;
        if let Some(id) = request.credential_id {
            let login = self.winrm_login(id).await;
            values.extend(login.map_err(|reason| {
                tracing::warn!(reason = %shown(&reason), "a playbook is not sent");
                Unprepared::ForGood("The playbook's credential cannot be used any more")
            })?);
        }
        let name = match python_trim(&document.name) {
            "" => path.file_name().to_owned(),
            name => name.to_owned(),
        };
        Ok(Prepared {
            members: playbook_members(&self.signer, &document, &name, &values),
            name,
            digest: request.digest,
            patience: self.patience(0),
            kind: Kind::Playbook {
                sealed_run_id: request.run_id,
            },
        })
    }
}
