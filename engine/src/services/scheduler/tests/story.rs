//! A scheduler over a store of its own, with agents and operators that only write down.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use ed25519_dalek::SigningKey;
use tokio::sync::{Notify, oneshot};

use super::super::{
    Limits, Parts, Scheduler,
    channel::{AgentChannel, Eventual, PendingReceipt, Receipt, Recipient},
    credentials::{CredentialError, RunCredential, RunCredentials},
    delivery::Delivery,
    playbook_run::{PlaybookPlaces, ServerPlaybooks},
};
use crate::{
    builders::quick_run::quick_run,
    config::settings::AccessPolicy,
    domain::{clock::BoxFuture, fernet::FernetKey, json::Json},
    integrations::{ansible::WorkRoot, assembly_files::AssemblyFiles},
    services::{
        assemblies::AssemblyLibrary, hosts::HostRules, quick_run::QuickRunService,
        script_signer::ScriptSigner, secret_box::SecretBox,
    },
    testkit::{Ground, stores::Backend},
};

/// A whole minute: 2030-06-15T12:34:00Z.
pub(super) const M: i64 = 1_907_757_240;

/// Where the server dies while it sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Death {
    /// Before the send is counted.
    Uncounted,
    /// After it was counted, before anything was sent.
    Counted,
    /// After it was sent, before its receipt.
    Sent,
}

/// Agents and operators that write down what they get.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) online: Mutex<HashSet<String>>,
    /// The server dies at its next send.
    pub(super) death: Mutex<Option<Death>>,
    /// Told when it has.
    pub(super) died: Notify,
    /// What receipts say; without one here it has arrived.
    pub(super) receipts: Mutex<Vec<Receipt>>,
    /// Holds receipts back: they come when these are told.
    pub(super) held: Mutex<Vec<oneshot::Sender<Receipt>>>,
    pub(super) holds: Mutex<bool>,
    sent: Mutex<Vec<(String, String, Json)>>,
    told: Mutex<Vec<(String, Json)>>,
}

impl Wire {
    /// The server dies here, or it does not.
    async fn dies(&self, here: Death) {
        let dies = self
            .death
            .lock()
            .unwrap()
            .take_if(|death| *death == here)
            .is_some();
        if dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn connect(&self, hosts: &[&str]) {
        *self.online.lock().unwrap() = hosts.iter().map(|host| (*host).to_owned()).collect();
    }

    /// What was sent since this was asked last: host, event, payload.
    pub(super) fn sent(&self) -> Vec<(String, String, Json)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    /// Hosts and events alone.
    pub(super) fn sent_to(&self) -> Vec<String> {
        self.sent()
            .into_iter()
            .map(|(host, event, _)| format!("{host} {event}"))
            .collect()
    }

    /// What operators were told since this was asked last.
    pub(super) fn told(&self) -> Vec<(String, Json)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl AgentChannel for Wire {
    fn online_among<'a>(&'a self, hosts: &'a [String]) -> Eventual<'a, HashSet<String>> {
        let online = self.online.lock().unwrap();
        let there = hosts
            .iter()
            .filter(|host| online.contains(*host))
            .cloned()
            .collect();
        Box::pin(async { there })
    }

    fn hand_over<'a>(
        &'a self,
        recipient: Recipient<'a>,
        event: &'static str,
        payload: &'a Json,
        before: Eventual<'a, bool>,
    ) -> Eventual<'a, PendingReceipt> {
        let hostname = recipient.hostname;
        Box::pin(async move {
            if !self.online.lock().unwrap().contains(hostname) {
                return PendingReceipt::ready(Receipt::NotConnected);
            }
            self.dies(Death::Uncounted).await;
            if !before.await {
                return PendingReceipt::ready(Receipt::Cancelled);
            }
            self.dies(Death::Counted).await;
            let sent = (hostname.to_owned(), event.to_owned(), payload.clone());
            self.sent.lock().unwrap().push(sent);
            self.dies(Death::Sent).await;
            if *self.holds.lock().unwrap() {
                let (tell, told) = oneshot::channel();
                self.held.lock().unwrap().push(tell);
                return PendingReceipt::new(async { told.await.unwrap_or(Receipt::Unknown) });
            }
            let receipt = self.receipts.lock().unwrap().pop();
            PendingReceipt::ready(receipt.unwrap_or(Receipt::Delivered))
        })
    }

    fn notify_operators<'a>(&'a self, event: &'static str, payload: &'a Json) -> BoxFuture<'a> {
        self.told
            .lock()
            .unwrap()
            .push((event.to_owned(), payload.clone()));
        Box::pin(async {})
    }
}

/// Credentials by number; 13 is sealed with another key.
#[derive(Debug, Default)]
struct Vault(HashMap<i64, RunCredential>);

impl RunCredentials for Vault {
    fn fetch(&self, id: i64) -> Eventual<'_, Result<Option<RunCredential>, CredentialError>> {
        Box::pin(async move {
            if id == 13 {
                return Err(CredentialError::Sealed);
            }
            Ok(self.0.get(&id).cloned())
        })
    }
}

pub(super) struct Story {
    pub(super) ground: Ground,
    pub(super) wire: Arc<Wire>,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) quick_runs: Arc<QuickRunService>,
}

impl Story {
    pub(super) async fn begin() -> Self {
        Self::over(Backend::Sqlite).await
    }

    /// Over a store of this kind.
    pub(super) async fn over(backend: Backend) -> Self {
        let ground = Ground::over(backend, M).await;
        let wire = Arc::new(Wire::default());
        let (scheduler, quick_runs) = services(&ground, &wire);
        let story = Self {
            ground,
            wire,
            scheduler,
            quick_runs,
        };
        story.file("Scripts/hello.ps1", "Write-Output $env:WHO\n");
        story.file("Ansible_Playbooks/p.yml", "- hosts: all\n");
        story
    }

    /// The server stops and starts again over the same root.
    pub(super) async fn restart(&mut self) {
        self.scheduler.stop().await;
        self.quick_runs.stop();
        (self.scheduler, self.quick_runs) = services(&self.ground, &self.wire);
    }

    /// An operator runs a script now.
    pub(super) async fn quick_run(&self, body: Json) -> Vec<i64> {
        let wish = quick_run(body.as_object().unwrap()).unwrap();
        let started = self.quick_runs.start(wish).await.unwrap();
        self.quiet().await;
        started.into_iter().map(|run| run.activity_id).collect()
    }

    /// Quick runs are looked after.
    pub(super) async fn look(&self, now: i64) -> usize {
        self.ground.set_clock(now);
        let left = self.quick_runs.send_again().await.unwrap();
        self.quiet().await;
        left
    }

    /// Status and reason of every activity.
    pub(super) async fn activities(&self) -> Vec<String> {
        let lines = self
            .column("SELECT status || ' ' || COALESCE(stderr, '') FROM activity_history ORDER BY id")
            .await;
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }

    pub(super) fn root(&self) -> &std::path::Path {
        self.ground.root()
    }

    pub(super) fn file(&self, path: &str, text: &str) {
        let path = self.root().join("Assemblies").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes a job of these components and targets; `more` are further columns with their values.
    pub(super) async fn job(&self, components: &str, targets: &str, more: &[(&str, &str)]) -> i64 {
        let mut columns = vec![
            ("name", "'job'".to_owned()),
            ("components_json", format!("'{components}'")),
            ("targets_json", format!("'{targets}'")),
            ("schedule_type", "'immediately'".to_owned()),
            ("execution_context", "'system'".to_owned()),
            ("use_service_account", "0".to_owned()),
            ("created_at", M.to_string()),
        ];
        for (name, value) in more {
            columns.retain(|(known, _)| known != name);
            columns.push((name, (*value).to_owned()));
        }
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<_> = columns.iter().map(|(_, value)| value.as_str()).collect();
        self.sql(&format!(
            "INSERT INTO scheduled_jobs ({}) VALUES ({})",
            names.join(", "),
            values.join(", ")
        ))
        .await;
        self.column("SELECT CAST(MAX(id) AS TEXT) FROM scheduled_jobs")
            .await[0]
            .parse()
            .unwrap()
    }

    pub(super) async fn sql(&self, statement: &str) {
        self.ground.sql(statement).await;
    }

    /// The one column of every row, as text.
    pub(super) async fn column(&self, sql: &str) -> Vec<String> {
        let column = self.ground.column(sql).await.into_iter();
        column
            .map(|value| value.unwrap_or_else(|| "-".to_owned()))
            .collect()
    }

    /// Job, host, status, error and whether it started and ended, of every run.
    pub(super) async fn runs(&self) -> Vec<String> {
        self.column(
            "SELECT job_id || ' ' || COALESCE(target_hostname, '-') || ' ' || status || ' ' || COALESCE(error, '') \
             FROM scheduled_job_runs ORDER BY id",
        )
        .await
        .into_iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
    }

    pub(super) async fn tick(&self, now: i64) {
        self.ground.set_clock(now);
        self.scheduler.tick(now).await;
        self.quiet().await;
    }

    /// A tick in which the server may die, and then starts again. Says whether it did.
    pub(super) async fn tick_and_die(&mut self, now: i64, death: Death) -> bool {
        *self.wire.death.lock().unwrap() = Some(death);
        let died = tokio::select! {
            () = self.tick(now) => false,
            () = self.wire.died.notified() => true,
        };
        *self.wire.death.lock().unwrap() = None;
        if died {
            self.restart().await;
        }
        died
    }

    /// Waits until what the tick began in the background is done, but for receipts that are held back.
    pub(super) async fn quiet(&self) {
        while self.scheduler.under_way() > self.wire.held.lock().unwrap().len() {
            tokio::task::yield_now().await;
        }
    }
}

fn services(ground: &Ground, wire: &Arc<Wire>) -> (Arc<Scheduler>, Arc<QuickRunService>) {
    let environment = ground.environment.clone();
    let library = AssemblyLibrary::new(AssemblyFiles::new(ground.root().join("Assemblies")));
    let channel = Arc::clone(wire) as Arc<dyn AgentChannel>;
    let credential = RunCredential {
        connection_type: "winrm".to_owned(),
        username: "bob".to_owned(),
        password: "s3cret".to_owned(),
        winrm_transport: Some("kerberos".to_owned()),
        ..RunCredential::default()
    };
    let ssh = RunCredential {
        connection_type: "ssh".to_owned(),
        username: "alice".to_owned(),
        password: "t0psecret".to_owned(),
        private_key: "KEY".to_owned(),
        become_method: "sudo".to_owned(),
        become_username: "root".to_owned(),
        ..RunCredential::default()
    };
    let credentials: Arc<dyn RunCredentials> = Arc::new(Vault(HashMap::from([(1, credential), (2, ssh)])));
    let playbooks = ServerPlaybooks::new(
        ground.store(),
        environment.clone(),
        Arc::clone(&channel),
        Arc::clone(&credentials),
        library.clone(),
        PlaybookPlaces {
            work_root: WorkRoot::new(ground.root().join("runs")),
            former_root: ground.root().join("Logs/Server/AnsibleRuns"),
            inherited: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        },
    );
    let playbooks = Arc::new(playbooks.with_program("sh"));
    let hosts = HostRules::new(AccessPolicy::Strict);
    let parts = Parts {
        library,
        signer: ScriptSigner::new(&SigningKey::from_bytes(&[7; 32])),
        channel,
        credentials,
        limits: Limits {
            assumed_seconds: 30,
            history_days: 10,
        },
        policy: AccessPolicy::Strict,
    };
    let delivery = Delivery::new(
        ground.store(),
        environment.clone(),
        Arc::clone(&parts.channel),
        hosts,
    );
    let quick_runs = QuickRunService::new(
        ground.store(),
        environment.clone(),
        parts.library.clone(),
        parts.signer.clone(),
        SecretBox::new(FernetKey::from_bytes([9; 32]), environment.clone()),
        Arc::clone(&parts.channel),
        Arc::clone(&delivery),
        Arc::clone(&parts.credentials),
        Arc::clone(&playbooks),
    );
    let scheduler = Scheduler::new(ground.store(), environment, delivery, playbooks, parts);
    (scheduler, Arc::new(quick_runs))
}
