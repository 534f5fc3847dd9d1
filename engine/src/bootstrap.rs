//! Puts the parts together: settings, database, services, listener; and takes them apart again.

mod error;
mod listening;
mod observing;
mod storage;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;

pub use self::{error::StartError, storage::log_upgrade};
use self::{
    listening::{Answers, Listening, listen},
    observing::{MetricsListener, Observing},
    storage::{choose_sealing_keys, open_store, secret_box},
};
use crate::{
    config::{
        access_log::AccessLog,
        settings::{AccessPolicy, Settings},
    },
    domain::{clock::Clock, random::Random},
    integrations::{
        clock::SystemClock,
        github::GitHubClient,
        identity::{self, ServedCertificate, ServerIdentity},
        private_files::make_folders,
        proxy_client::ProxyClient,
        root_lock::RootLock,
    },
    interfaces::events::Hub,
    preflight::{self, Verdict},
    repositories::sqlite::SqliteStore,
    services::{
        Environment,
        certificate::CertificateKeeper,
        container::{Container, Resources},
        device_access::tokens::AccessTokens,
        published_identity::IdentityPublisher,
        realtime::Channel,
        script_signer::ScriptSigner,
    },
};

/// The server before it runs.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Starts the server on `listener` and returns once it answers.
    ///
    /// # Errors
    /// Whatever keeps this root folder from being served; nothing runs then.
    pub async fn start(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        listener: TcpListener,
    ) -> Result<RunningEngine, StartError> {
        tracing::info!("bootstrap-started");
        check_settings(&settings)?;
        make_folders(&settings.root).map_err(|source| StartError::Root {
            path: settings.root.clone(),
            source,
        })?;
        // Real time, as for sockets: another process has the lock, whatever the clock of this one says.
        let lock = Arc::new(RootLock::acquire(&settings.database_path, &SystemClock::new()).await?);
        let sealing_keys = choose_sealing_keys(&settings).await?;
        let identity = ServerIdentity::load_or_create(&settings, &*clock, &*random)?;
        for warning in identity::certificate_warnings(&settings, &*clock, &*random) {
            tracing::warn!("{warning}");
        }
        preflight::narrow_files(&settings);
        let certificate = Arc::new(ServedCertificate::load(identity.certificate)?);
        tracing::info!("tls-material-ready");
        let observing = Observing::begin(&settings)?;

        let mut store = open_store(&settings, &*clock, &*random).await?;
        if observing.measures() {
            store = store.measured_by(Arc::new(SystemClock::new()));
        }
        let environment = Environment { clock, random };
        let resources = Resources {
            store: Arc::new(store.clone()),
            tokens: AccessTokens::new(&identity.token_key)?,
            secrets: secret_box(sealing_keys, &settings, &environment)?,
            signer: ScriptSigner::new(&identity.script_key),
            publisher: IdentityPublisher::new(Arc::clone(&certificate), &identity.script_key),
            github: GitHubClient::new(&settings.github.api_url, Arc::clone(&environment.clock))?,
            proxy: ProxyClient::new(settings.proxy_reach(), Arc::clone(&environment.clock))?,
            environment: environment.clone(),
        };
        let (services, hub) = Container::new(&settings, resources, |access| {
            let hub = Arc::new(Hub::new(access, &settings));
            (Arc::clone(&hub) as Arc<dyn Channel>, hub)
        });
        services.prepare().await.map_err(|source| StartError::Store {
            path: settings.database_path.clone(),
            source,
        })?;

        let listening = listen(
            listener,
            Answers {
                settings: &settings,
                environment: &environment,
                services: &services,
                hub: &hub,
                certificate: &certificate,
                lock: &lock,
                observer: observing.observer(&environment),
            },
        )?;
        let access_log = observing.access_log();
        let metrics = observing.serve_metrics(&settings, &services, &listening.sockets)?;
        let stop_deadline = settings.timing.stop_deadline;
        let working = environment.clock.working();
        let keeper = CertificateKeeper::new(certificate, settings, environment);
        let mut background = JoinSet::new();
        background.spawn(Arc::clone(&keeper).run(working.clone()));
        services.work(&mut background, working);
        tracing::info!("bootstrap-complete");
        Ok(RunningEngine {
            listening,
            metrics,
            access_log,
            background,
            hub,
            services,
            store,
            keeper,
            lock,
            stop_deadline,
        })
    }
}

/// Logs warnings about the settings, and refuses a default secret on a public address.
fn check_settings(settings: &Settings) -> Result<(), StartError> {
    if settings.access_policy == AccessPolicy::Strict {
        tracing::info!("access policy strict");
    }
    for finding in preflight::of_settings(settings) {
        match finding.verdict {
            Verdict::Ok => {}
            Verdict::Warning => tracing::warn!("{}: {}", finding.subject, finding.text),
            Verdict::Problem | Verdict::WrongSettings => return Err(StartError::Settings(finding.text)),
        }
    }
    Ok(())
}

/// A server that answers.
#[derive(Debug)]
pub struct RunningEngine {
    listening: Listening,
    metrics: Option<MetricsListener>,
    access_log: Option<Arc<AccessLog>>,
    background: JoinSet<()>,
    hub: Arc<Hub>,
    services: Arc<Container>,
    store: SqliteStore,
    lock: Arc<RootLock>,
    keeper: Arc<CertificateKeeper>,
    stop_deadline: Duration,
}

impl RunningEngine {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Where metrics are served, where they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// Whether something goes on that takes its own time, whatever the clock says: playbooks on this machine, and work that
    /// its agent has not confirmed.
    pub fn works_by_itself(&self) -> bool {
        self.services.scheduler.under_way() > 0
    }

    /// Takes up a renewed certificate now rather than at the next look.
    pub fn reload_certificate(&self) {
        self.keeper.look_now();
    }

    /// How long [`RunningEngine::stop`] takes at most.
    pub fn stop_deadline(&self) -> Duration {
        self.stop_deadline
    }

    /// Stops in order: no new connections, running requests finished, sockets closed, background work ended, database
    /// written out and closed. Whatever does not end within [`RunningEngine::stop_deadline`] is broken off; what SQLite
    /// has committed is safe then, too.
    pub async fn stop(self) {
        let deadline = self.stop_deadline;
        if tokio::time::timeout(deadline, self.stop_in_order())
            .await
            .is_err()
        {
            tracing::error!(
                "not everything ended within {} s; the rest was broken off",
                deadline.as_secs_f32()
            );
        }
    }

    async fn stop_in_order(mut self) {
        // Each part has its share of the time.
        self.listening
            .handle
            .graceful_shutdown(Some(self.stop_deadline.mul_f32(0.6)));
        self.hub.close();
        if let Ok(Err(error)) = self.listening.server.await {
            tracing::error!(%error, "the listener failed");
        }
        // Requests whose clients have gone.
        let share = self.stop_deadline.mul_f32(0.15);
        if tokio::time::timeout(share, self.listening.detached.finished())
            .await
            .is_err()
        {
            tracing::warn!("requests that did not end in time were aborted");
        }
        // Sessions that came while the others were being ended; then what agents have reported is written down.
        self.hub.close();
        if tokio::time::timeout(share, self.hub.finished()).await.is_err() {
            tracing::warn!("events that sockets have sent were not handled in time");
        }
        self.background.shutdown().await;
        self.services.stop().await;
        if let Some(metrics) = &self.metrics {
            metrics.stop();
        }
        if let Some(log) = self.access_log {
            // What a slow disk does not take in time stays unwritten.
            let _ = tokio::task::spawn_blocking(move || log.finish()).await;
        }
        self.store.close().await;
        self.lock.release();
    }
}
