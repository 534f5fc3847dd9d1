//! Scripts and playbooks that run now, on hosts that an operator names.
//!
//! Long because what is prepared, stored and sent must be the same after a restart as before it.

mod playbooks;

use std::{io, path::Path, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, oneshot};
use tracing::Instrument as _;

pub use self::playbooks::{Execution, QuickPlaybookError, StartedPlaybook};
use self::playbooks::{PlaybookRequest, read_playbook_request};
use super::{
    Environment,
    assemblies::AssemblyLibrary,
    hosts::{HostDevice, HostRules},
    scheduler::{
        channel::{AgentChannel, Recipient},
        credentials::RunCredentials,
        delivery::{Delivery, Next, OFFLINE, QUARANTINED, Tasks, WENT_AWAY, Work},
        events,
        payload::{quick_playbook_event, script_event, script_members},
        playbook_run::ServerPlaybooks,
    },
    script_signer::ScriptSigner,
    secret_box::SecretBox,
};
use crate::{
    builders::quick_run::{QuickRun, WantedHost},
    config::settings::AccessPolicy,
    domain::{
        activity::{EndedActivity, NewActivity},
        assembly::{
            document::Document,
            location::{Island, IslandPath},
            variables::{EscapingValue, overrides_of},
        },
        base64,
        clock::Working,
        job_runs::status,
        json::{Json, JsonObject},
        json_reader,
        json_text::compact_text,
        mask::shown,
        text::python_trim,
        undelivered_work::{NewUndelivered, Source, UndeliveredQuickRun},
        work_devices::BoundTo,
    },
    repositories::{Store, StoreError},
    services::audit,
};

/// Between two looks at scripts that have not reached their agents.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Seconds for which a script waits for its agent: an operator who wants it to run now does not want it to run
/// tomorrow.
const AGENT_TIMEOUT: i64 = 300;
/// Seconds that a result may take beyond the script's own time: the agent has to end it, and to be back with the result.
const LAST_WORD: i64 = 60;
/// Seconds that what names no time may take.
const LONGEST_RUN: i64 = 86_400;

/// The event that carries a playbook.
const PLAYBOOK_EVENT: &str = "ansible_playbook_run";

/// Why a script does not run.
#[derive(Debug, thiserror::Error)]
pub enum QuickRunError {
    /// There is no such file below `Scripts`.
    #[error("Script not found")]
    NotFound,
    /// It is no PowerShell script.
    #[error("Unsupported script type '{0}'. Only powershell is supported for Quick Job currently.")]
    Unsupported(String),
    /// A host is named by nothing that a database takes for a name (SCH-11).
    #[error("a host is no name")]
    UnusableHost,
    /// A value could get out of the text that it stands in.
    #[error(transparent)]
    Escaping(#[from] EscapingValue),
    /// The file cannot be read.
    #[error("the script cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server stopped; what is stored goes on after its next start.
    #[error("the server is stopping")]
    Stopping,
}

/// A script that began to run on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedRun {
    /// The host as the caller named it.
    pub hostname: Json,
    /// The row in the activity history.
    pub activity_id: i64,
    /// Why it failed before it was sent.
    pub refused: Option<String>,
}

/// Runs scripts now.
#[derive(Debug)]
pub struct QuickRunService {
    store: Arc<dyn Store>,
    environment: Environment,
    library: AssemblyLibrary,
    signer: ScriptSigner,
    secrets: SecretBox,
    hosts: HostRules,
    channel: Arc<dyn AgentChannel>,
    delivery: Arc<Delivery>,
    credentials: Arc<dyn RunCredentials>,
    /// Runs the playbooks that agents cannot.
    server: Arc<ServerPlaybooks>,
    policy: AccessPolicy,
    tasks: Tasks,
    /// Notified when there is work that may not arrive at once.
    begun: Notify,
}

/// An activity that was begun.
struct BegunActivity {
    id: i64,
    /// For whom it is.
    device: HostDevice,
    /// Its end, where its device gets no work.
    refused: Option<EndedActivity>,
}

/// A script or playbook, ready to be sent.
struct Prepared {
    name: String,
    /// What every host gets alike.
    members: JsonObject,
    /// A digest of its text, a script's variables filled in.
    digest: String,
    /// Seconds that its result may take once it has arrived.
    patience: Option<i64>,
    kind: Kind,
}

/// What is sent.
enum Kind {
    Script,
    Playbook {
        /// The id of its run, where an older engine sealed it with the request.
        sealed_run_id: Option<String>,
    },
}

impl Prepared {
    /// What a host's agent gets; `run_id` is a playbook's.
    fn event(&self, activity_id: i64, target: Json, run_id: Option<&str>) -> (&'static str, Json) {
        let members = self.members.clone();
        match &self.kind {
            Kind::Script => ("quick_job_run", script_event(activity_id.into(), target, members)),
            Kind::Playbook { sealed_run_id } => {
                let run_id = run_id.or(sealed_run_id.as_deref()).unwrap_or_default();
                (
                    PLAYBOOK_EVENT,
                    quick_playbook_event(run_id, target, members, activity_id),
                )
            }
        }
    }
}

fn digest(text: &str) -> String {
    base64::encode(&Sha256::digest(text.as_bytes()))
}

impl QuickRunService {
    /// Over this store. `secrets` seals what an operator gave to a script, `delivery` gets it to agents; with
    /// `credentials` playbooks log in, `server` runs those that agents cannot.
    #[allow(clippy::too_many_arguments, reason = "each is another part of the server")]
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        library: AssemblyLibrary,
        signer: ScriptSigner,
        secrets: SecretBox,
        channel: Arc<dyn AgentChannel>,
        delivery: Arc<Delivery>,
        credentials: Arc<dyn RunCredentials>,
        server: Arc<ServerPlaybooks>,
    ) -> Self {
        Self {
            store,
            environment,
            library,
            signer,
            secrets,
            hosts: delivery.hosts(),
            channel,
            delivery,
            credentials,
            server,
            policy: AccessPolicy::Strict,
            tasks: Tasks::default(),
            begun: Notify::new(),
        }
    }

    /// Under another policy than the strict one, which refuses values that could become code.
    pub fn under(self, policy: AccessPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Runs a script on its hosts, in order; hosts need not be registered or online. What is stored is sent whether or
    /// not the caller waits for the end of this. Where a value could become code, the runs are there and have failed.
    ///
    /// # Errors
    /// [`QuickRunError`]; nothing is written or sent then.
    pub async fn start(self: &Arc<Self>, quick_run: QuickRun) -> Result<Vec<StartedRun>, QuickRunError> {
        let prepared = match self.prepare(&quick_run).await {
            Ok(_) | Err(QuickRunError::Escaping(_)) if quick_run.has_unusable_host => {
                return Err(QuickRunError::UnusableHost);
            }
            Err(QuickRunError::Escaping(refused)) => {
                return self.refuse(quick_run, &refused.to_string()).await;
            }
            prepared => prepared?,
        };
        let (sender, receiver) = oneshot::channel();
        let service = Arc::clone(self);
        let running = async move {
            // Nobody waits any more where this fails: the caller has left.
            let _ = sender.send(service.store_and_send(quick_run, prepared).await);
        };
        self.tasks.spawn(running.in_current_span());
        Ok(receiver.await.map_err(|_| QuickRunError::Stopping)??)
    }

    /// Sends again what has not reached its agent, for ever.
    pub async fn run(self: Arc<Self>, mut working: Working) {
        let clock = &self.environment.clock;
        loop {
            match self.send_again().await {
                Ok(0) => {
                    drop(working);
                    self.begun.notified().await;
                    working = clock.working();
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "undelivered quick runs"),
            }
            let sleep = clock.sleep_until(clock.monotonic() + RETRY_INTERVAL);
            drop(working);
            working = sleep.await;
        }
    }

    /// Ends what is being sent. What has not arrived goes on after the next start.
    pub fn stop(&self) {
        self.tasks.abort();
    }

    async fn prepare(&self, quick_run: &QuickRun) -> Result<Prepared, QuickRunError> {
        let document = self.document(&quick_run.script_path).await?;
        let name = shown_name(self.library.root(), &document, &quick_run.script_path);
        let (text, members) = script_members(
            &self.signer,
            &document,
            &quick_run.script_path,
            &name,
            &quick_run.run_mode,
            &overrides_of(&quick_run.variable_values),
            self.policy,
        )?;
        Ok(Prepared {
            name,
            members,
            digest: digest(&text),
            patience: self.patience(document.run_seconds()),
            kind: Kind::Script,
        })
    }

    /// How long a result may take of what may run so many seconds; 0 names no time. Where devices are not known, as with
    /// the legacy, nothing shows that it arrived, and it is waited for ever.
    fn patience(&self, seconds: i64) -> Option<i64> {
        let seconds = match seconds {
            1.. => seconds.min(LONGEST_RUN),
            _ => LONGEST_RUN,
        };
        self.hosts.is_strict().then_some(seconds + LAST_WORD)
    }

    /// Stores the runs as failed, for this reason; nothing is sent.
    async fn refuse(&self, quick_run: QuickRun, reason: &str) -> Result<Vec<StartedRun>, QuickRunError> {
        let name = shown_name(
            self.library.root(),
            &self.document(&quick_run.script_path).await?,
            &quick_run.script_path,
        );
        let now = self.environment.clock.now().as_second();
        let mut refused = Vec::with_capacity(quick_run.hosts.len());
        let mut work = self.store.begin().await?;
        for host in quick_run.hosts {
            let activity = NewActivity {
                hostname: host.stored.as_deref(),
                script_path: &quick_run.script_path,
                script_name: &name,
                script_type: "powershell",
                // Nobody is sent it, so nobody reports on it.
                bound_to: &BoundTo::Nobody,
            };
            let activity_id = work.insert_activity(&activity, now).await?;
            work.end_activity(activity_id, status::FAILED, reason).await?;
            refused.push(StartedRun {
                hostname: host.given,
                activity_id,
                refused: Some(reason.to_owned()),
            });
        }
        work.save().await?;
        for run in &refused {
            audit::changed("script.run", run.activity_id);
        }
        tracing::warn!(
            path = %shown(&quick_run.script_path),
            reason = %shown(reason),
            "a quick run is not sent"
        );
        for run in &refused {
            audit::changed("script.refused", run.activity_id);
            events::activity_created(
                &*self.channel,
                &run.hostname.python_str(),
                run.activity_id,
                "quick_job",
            )
            .await;
        }
        Ok(refused)
    }

    async fn document(&self, script_path: &str) -> Result<Document, QuickRunError> {
        let path =
            IslandPath::of_quick_run(self.library.root(), script_path).ok_or(QuickRunError::NotFound)?;
        let loaded = self.library.load(Island::Scripts, &path, "powershell").await?;
        let document = loaded.ok_or(QuickRunError::NotFound)?.document;
        if document.kind == "powershell" {
            Ok(document)
        } else {
            Err(QuickRunError::Unsupported(document.kind))
        }
    }

    async fn store_and_send(
        self: Arc<Self>,
        quick_run: QuickRun,
        prepared: Prepared,
    ) -> Result<Vec<StartedRun>, StoreError> {
        let activities = self.store_activities(&quick_run, &prepared).await?;
        self.begun.notify_one();
        let mut started = Vec::with_capacity(activities.len());
        for (host, activity) in quick_run.hosts.into_iter().zip(activities) {
            let WantedHost { given, stored } = host;
            let recipient = Recipient {
                hostname: &stored.unwrap_or_default(),
                device: activity.device.guid.as_ref(),
            };
            let activity_id = activity.id;
            if activity.refused.is_none() {
                let event = prepared.event(activity_id, given.clone(), None);
                self.send(activity_id, recipient, event).await;
            }
            events::activity_created(&*self.channel, &given.python_str(), activity_id, "quick_job").await;
            if let Some(ended) = &activity.refused {
                tracing::warn!(activity_id, reason = QUARANTINED, "an activity failed");
                events::activity_ended(&*self.channel, ended).await;
            }
            started.push(StartedRun {
                hostname: given,
                activity_id,
                refused: activity.refused.is_some().then(|| QUARANTINED.to_owned()),
            });
        }
        tracing::info!(path = %quick_run.script_path.escape_debug(), hosts = started.len(), "quick run");
        Ok(started)
    }

    /// The activities, and with them the rows of undelivered work. Their request is stored once, whatever the number of
    /// hosts.
    async fn store_activities(
        &self,
        quick_run: &QuickRun,
        prepared: &Prepared,
    ) -> Result<Vec<BegunActivity>, StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut stored_request = None;
        let mut begun = Vec::with_capacity(quick_run.hosts.len());
        let mut work = self.store.begin().await?;
        let named: Vec<&str> = quick_run
            .hosts
            .iter()
            .filter_map(|host| host.stored.as_deref())
            .collect();
        let devices = self.hosts.devices(&mut *work, &named).await?;
        for host in &quick_run.hosts {
            let device = host
                .stored
                .as_ref()
                .and_then(|name| devices.get(name))
                .cloned()
                .unwrap_or_default();
            let activity = NewActivity {
                hostname: host.stored.as_deref(),
                script_path: &quick_run.script_path,
                script_name: &prepared.name,
                script_type: "powershell",
                bound_to: &device.binding(),
            };
            let id = work.insert_activity(&activity, now).await?;
            let refused = if device.is_quarantined {
                work.end_activity(id, status::FAILED, QUARANTINED).await?
            } else {
                let request_id = match stored_request {
                    Some(request_id) => request_id,
                    None => {
                        let request = request(quick_run, &prepared.digest);
                        let sealed = self.secrets.seal(&compact_text(&request));
                        *stored_request.insert(work.store_quick_run_request(&sealed).await?)
                    }
                };
                work.note_undelivered(&NewUndelivered {
                    activity_id: id,
                    source: Source::QuickRun {
                        request_id,
                        run_id: None,
                        patience: prepared.patience,
                    },
                })
                .await?;
                None
            };
            begun.push(BegunActivity { id, device, refused });
        }
        work.save().await?;
        for activity in &begun {
            audit::changed("script.run", activity.id);
        }
        Ok(begun)
    }

    async fn send(&self, activity_id: i64, recipient: Recipient<'_>, (event, payload): (&'static str, Json)) {
        let work = Work {
            activity_id,
            recipient,
            event,
            payload: &payload,
        };
        self.delivery.send(work).await;
    }

    /// Sends what has not arrived, also what an earlier start of the server left, and ends what nobody came for. Says
    /// how much is left.
    pub(crate) async fn send_again(&self) -> Result<usize, StoreError> {
        let now = self.environment.clock.now().as_second();
        let waiting = self.store.view().await?.undelivered_quick_runs().await?;
        let left = waiting.len();
        // The hosts of one request stand together and get the same. One at a time is in memory: all of them may be as long
        // as all bodies that came in five minutes.
        let mut current: Option<(i64, Result<Prepared, Unprepared>)> = None;
        for note in waiting {
            let UndeliveredQuickRun {
                activity_id,
                sends,
                request_id,
                run_id,
                hostname,
                asked_at,
                activity_status,
            } = note;
            if self
                .delivery
                .next_step(activity_id, &activity_status, sends)
                .await?
                == Next::Skip
            {
                continue;
            }
            let device = {
                let mut view = self.store.view().await?;
                self.hosts.recipient(&mut *view, activity_id, &hostname).await?
            };
            if device.is_quarantined {
                self.delivery
                    .give_up(activity_id, status::FAILED, QUARANTINED)
                    .await?;
                continue;
            }
            if asked_at.saturating_add(AGENT_TIMEOUT) <= now {
                let reason = if sends == 0 { OFFLINE } else { WENT_AWAY };
                self.delivery.give_up(activity_id, status::FAILED, reason).await?;
                continue;
            }
            let same = current.take().filter(|(of, _)| Some(*of) == request_id);
            let prepared = match same {
                Some((_, prepared)) => prepared,
                None => {
                    let Some(sealed) = self.request_of(activity_id).await? else {
                        continue;
                    };
                    self.prepare_again(&sealed).await
                }
            };
            match &prepared {
                Ok(prepared) => {
                    let event = prepared.event(activity_id, hostname.as_str().into(), run_id.as_deref());
                    let recipient = Recipient {
                        hostname: &hostname,
                        device: device.guid.as_ref(),
                    };
                    self.send(activity_id, recipient, event).await;
                }
                Err(Unprepared::ForGood(reason)) => {
                    self.delivery.give_up(activity_id, status::FAILED, reason).await?;
                }
                Err(Unprepared::ForNow) => {}
            }
            current = request_id.map(|request_id| (request_id, prepared));
        }
        Ok(left)
    }

    /// How the quick run of an activity was asked for, sealed; `None` where it has arrived or ended meanwhile.
    async fn request_of(&self, activity_id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.view().await?.quick_run_request(activity_id).await
    }

    /// The script of a stored request, as it was asked for or not at all.
    async fn prepare_again(&self, sealed: &[u8]) -> Result<Prepared, Unprepared> {
        let unreadable = Unprepared::ForGood("What was asked for cannot be read any more");
        let Ok(text) = self.secrets.open(sealed) else {
            return Err(unreadable);
        };
        let (quick_run, digest) = match read_request(&text) {
            Some(Request::Script(quick_run, digest)) => (quick_run, digest),
            Some(Request::Playbook(request)) => return self.prepare_playbook_again(request).await,
            None => return Err(unreadable),
        };
        match self.prepare(&quick_run).await {
            Ok(prepared) if prepared.digest == digest => Ok(prepared),
            Ok(_) => Err(Unprepared::ForGood(
                "The script was changed before it reached the device",
            )),
            Err(QuickRunError::Escaping(_)) => Err(Unprepared::ForGood(
                "A value of the script is refused: it could become code",
            )),
            Err(QuickRunError::NotFound | QuickRunError::Unsupported(_)) => Err(Unprepared::ForGood(
                "The script was removed before it reached the device",
            )),
            Err(error) => {
                tracing::error!(%error, "a quick run is not sent yet");
                Err(Unprepared::ForNow)
            }
        }
    }
}

/// Why a stored request is not sent.
enum Unprepared {
    /// It never will be, for this reason.
    ForGood(&'static str),
    /// It may be later.
    ForNow,
}

/// What makes a script anew: everything but its hosts.
fn request(quick_run: &QuickRun, digest: &str) -> Json {
    Json::object([
        ("script_path", quick_run.script_path.as_str().into()),
        ("run_mode", quick_run.run_mode.as_str().into()),
        ("variable_values", Json::Object(quick_run.variable_values.clone())),
        ("digest", digest.into()),
    ])
}

/// What was asked for, and the digest of what was to be sent then.
enum Request {
    Script(QuickRun, String),
    Playbook(PlaybookRequest),
}

fn read_request(text: &str) -> Option<Request> {
    let request = json_reader::read_text(text).ok()?;
    if let Some(playbook) = read_playbook_request(&request) {
        return Some(Request::Playbook(playbook));
    }
    let text = |name| request.get(name).and_then(Json::as_text).map(str::to_owned);
    let quick_run = QuickRun {
        script_path: text("script_path")?,
        hosts: Vec::new(),
        has_unusable_host: false,
        run_mode: text("run_mode")?,
        variable_values: request.get("variable_values")?.as_object()?.clone(),
    };
    Some(Request::Script(quick_run, text("digest")?))
}

/// The document's name without blanks around it, else the file's.
fn shown_name(root: &Path, document: &Document, script_path: &str) -> String {
    match python_trim(&document.name) {
        "" => IslandPath::of_quick_run(root, script_path)
            .map(|path| path.file_name().to_owned())
            .unwrap_or_default(),
        name => name.to_owned(),
    }
}
