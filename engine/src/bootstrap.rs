//! Puts the parts together: settings, database, services, router, listener. The only place that knows them all.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum_server::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tower::service_fn;
use tracing::Instrument as _;

use crate::{
    config::settings::{AccessPolicy, Settings},
    domain::{clock::Clock, random::Random},
    integrations::{
        ansible::WorkRoot,
        assembly_files::AssemblyFiles,
        clock::SystemClock,
        github::GitHubClient,
        identity::{self, IdentityError, ServedCertificate, ServerIdentity, sealing_key},
        listener, open_files,
        private_files::make_folders,
        root_lock::{LockError, RootLock},
    },
    interfaces::{
        events::{Hub, SocketEndpoint},
        http::{
            accept_errors::AcceptErrors,
            browser::BrowserGuard,
            carried::CarriedRequests,
            compat::{
                cors::AllowedOrigins,
                session::{SESSION_MAX_AGE, SessionCodec},
            },
            connections::Connections,
            http_service, routes,
            server::with_limits,
            state::AppState,
        },
    },
    preflight::{self, Verdict},
    repositories::{
        StoreError,
        sqlite::{self, MigrationError, SqliteStore, Upgraded},
    },
    services::{
        Environment,
        access_tokens::{AccessTokens, SigningError},
        activity::ActivityService,
        agents::Agents,
        approvals::ApprovalService,
        assemblies::AssemblyLibrary,
        audit::{self, Actor},
        certificate::CertificateKeeper,
        credentials::CredentialService,
        device_gate::DeviceGate,
        device_reports::DeviceReportService,
        enrollment::EnrollmentService,
        github::GitHubService,
        heartbeat::HeartbeatService,
        hosts::HostRules,
        install_codes::InstallCodeService,
        operators::{OperatorService, login::LoginService, users::UserService},
        proofs::Proofs,
        prune::{prune_daily, prune_once},
        published_identity::IdentityPublisher,
        quick_run::QuickRunService,
        readiness::ReadinessService,
        realtime::{Channel, ChannelAccess, RealtimeService},
        recaps::RecapService,
        refresh::RefreshService,
        scheduled_jobs::ScheduledJobService,
        scheduler::{
            Limits, Parts, Scheduler,
            channel::AgentChannel,
            credentials::RunCredentials,
            delivery::Delivery,
            playbook_run::{PlaybookPlaces, ServerPlaybooks},
        },
        script_signer::ScriptSigner,
        sealing_keys::{NoKeyOpens, SealingKeys},
        secret_box::SecretBox,
        service_accounts::ServiceAccountService,
    },
};

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listener(#[source] std::io::Error),
    /// The settings would let everybody in.
    #[error("{0}")]
    Settings(String),
    /// Another engine works in this root folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The root folder is not there, and cannot be made.
    #[error("the root folder {} cannot be made: {source}", path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Going on would lose every stored secret.
    #[error(transparent)]
    Secrets(#[from] NoKeyOpens),
    /// Certificate or keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What GitHub would be asked with.
    #[error("cannot speak TLS with GitHub: {0}")]
    GitHub(#[from] rustls::Error),
    /// The token key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The database.
    #[error("{}", preflight::told(path, source))]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    /// The tables.
    #[error("{}", preflight::told_of_upgrade(path, source))]
    Migration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MigrationError,
    },
}

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
        look_at(&settings)?;
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
        let store = open_store(&settings, &*clock, &*random).await?;
        let environment = Environment {
            clock: Arc::clone(&clock),
            random,
        };
        let secrets = secret_box(sealing_keys, &settings, &environment)?;
        let tokens = AccessTokens::new(&identity.token_key)?;
        let publisher = IdentityPublisher::new(Arc::clone(&certificate), &identity.script_key);
        let operators = Arc::new(OperatorService::new(
            store.clone(),
            environment.clone(),
            settings.access_policy,
            settings.operator_token_ttl.unwrap_or(0).max(SESSION_MAX_AGE),
        ));
        let store_failed = |source| StartError::Store {
            path: settings.database_path.clone(),
            source,
        };
        let by_itself = audit::span("console");
        by_itself.in_scope(|| audit::acts(Actor::Server));
        operators
            .ensure_default_admin()
            .instrument(by_itself)
            .await
            .map_err(&store_failed)?;
        operators.note_accounts().await.map_err(&store_failed)?;
        let hosts = HostRules::new(settings.access_policy);
        let agents = Agents::restore(Arc::clone(&clock), &store, hosts)
            .await
            .map_err(&store_failed)?;
        if let Err(error) = prune_once(&store, &environment, &operators).await {
            tracing::error!("prune job failure: {error}");
        }
        let agents = Arc::new(agents);
        let access = Arc::new(ChannelAccess::new(
            store.clone(),
            environment.clone(),
            tokens.clone(),
            Arc::clone(&operators),
            settings.access_policy,
        ));
        let hub = Arc::new(Hub::new(access, &settings));
        let realtime = Arc::new(RealtimeService::new(
            store.clone(),
            environment.clone(),
            Arc::clone(&agents),
            hosts,
            Arc::clone(&hub) as Arc<dyn Channel>,
        ));
        let proofs = Arc::new(Proofs::new(environment.clone()));
        let github = Arc::new(GitHubService::new(
            store.clone(),
            environment.clone(),
            GitHubClient::new(&settings.github.api_url, Arc::clone(&clock))?,
            &settings.github,
        ));
        let credentials = Arc::new(CredentialService::new(
            store.clone(),
            environment.clone(),
            secrets.clone(),
        ));
        let channel = Arc::clone(&realtime) as Arc<dyn AgentChannel>;
        let jobs = Jobs::new(
            &settings,
            &store,
            &environment,
            &ScriptSigner::new(&identity.script_key),
            &channel,
            &credentials,
            &secrets,
        );
        let service_accounts = ServiceAccountService::new(
            store.clone(),
            environment.clone(),
            secrets.clone(),
            Arc::clone(&agents),
            hosts,
        );
        service_accounts.assign().await.map_err(&store_failed)?;
        let state = AppState {
            readiness: Arc::new(ReadinessService::new(store.clone(), environment.clone())),
            enrollment: Arc::new(EnrollmentService::new(
                store.clone(),
                environment.clone(),
                tokens.clone(),
                publisher.clone(),
                hosts,
                settings.anonymous_bounds().map(|bounds| bounds.pending_requests),
            )),
            device_gate: Arc::new(DeviceGate::new(
                store.clone(),
                environment.clone(),
                tokens.clone(),
                Arc::clone(&proofs),
                hosts,
            )),
            refresh: Arc::new(RefreshService::new(
                store.clone(),
                environment.clone(),
                tokens,
                proofs,
            )),
            heartbeats: Arc::new(HeartbeatService::new(
                store.clone(),
                environment.clone(),
                Arc::clone(&agents),
                hosts,
            )),
            device_reports: Arc::new(DeviceReportService::new(
                store.clone(),
                environment.clone(),
                Arc::clone(&agents),
                hosts,
            )),
            service_accounts: Arc::new(service_accounts),
            publisher,
            access_policy: settings.access_policy,
            anonymous_bounds: settings.anonymous_bounds(),
            realtime,
            agents,
            approvals: Arc::new(ApprovalService::new(store.clone(), environment.clone(), hosts)),
            install_codes: Arc::new(InstallCodeService::new(store.clone(), environment.clone())),
            github: Arc::clone(&github),
            credentials,
            scheduled_jobs: Arc::new(ScheduledJobService::new(
                store.clone(),
                environment.clone(),
                Arc::clone(&channel),
                AssemblyLibrary::new(AssemblyFiles::new(settings.root.join("Assemblies"))),
                settings.access_policy,
                settings.time_zone.clone(),
                settings.job_history_days,
            )),
            quick_runs: Arc::clone(&jobs.quick_runs),
            activity: Arc::new(ActivityService::new(store.clone())),
            recaps: Arc::new(RecapService::new(
                store.clone(),
                environment.clone(),
                hosts,
                Arc::clone(&channel),
            )),
            operators: Arc::clone(&operators),
            logins: Arc::new(LoginService::new(
                store.clone(),
                environment.clone(),
                settings.mfa_issuer.clone(),
                settings.access_policy,
            )),
            users: Arc::new(UserService::new(store.clone(), environment.clone())),
            sessions: Arc::new(SessionCodec::new(&settings)),
            clock: Arc::clone(&clock),
        };
        jobs.scheduler.begin().await;
        let sockets = Arc::new(SocketEndpoint::new(
            Arc::clone(&hub),
            Arc::clone(&state.realtime),
            Arc::clone(&state.sessions),
            environment.clone(),
            Arc::new(SystemClock::new()),
            &settings,
        ));
        let endpoint = service_fn(move |request| {
            let sockets = Arc::clone(&sockets);
            async move { Ok::<_, Infallible>(sockets.answer(request).await) }
        });
        let carried = CarriedRequests::default();
        let guard = (settings.access_policy == AccessPolicy::Strict).then(|| BrowserGuard {
            origins: AllowedOrigins::new(&settings),
            sessions: Arc::clone(&state.sessions),
            random: Arc::clone(&environment.random),
            certificate: settings.speaks_tls().then(|| Arc::clone(&certificate)),
        });
        let service = http_service(
            routes::table().with_state(state).with_socket_endpoint(endpoint),
            &settings,
            &carried,
            guard,
        )
        .into_make_service_with_connect_info::<SocketAddr>();

        listener.set_nonblocking(true).map_err(StartError::Listener)?;
        listener::limit_unsent(&listener).map_err(StartError::Listener)?;
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let handle = Handle::new();
        let connections = Connections::new(&settings, open_files::limit());
        let accept_errors = AcceptErrors::new(Arc::new(SystemClock::new()));
        let server = if settings.speaks_tls() {
            let server = axum_server::from_tcp_rustls(listener, certificate.listener())
                .map_err(StartError::Listener)?;
            serve(
                with_limits(server, &settings.timing, accept_errors, connections)
                    .handle(handle.clone())
                    .serve(service),
                &lock,
            )
        } else {
            let server = axum_server::from_tcp(listener).map_err(StartError::Listener)?;
            serve(
                with_limits(server, &settings.timing, accept_errors, connections)
                    .handle(handle.clone())
                    .serve(service),
                &lock,
            )
        };
        let stop_deadline = settings.timing.stop_deadline;
        let keeper = CertificateKeeper::new(certificate, settings, environment.clone());
        let mut background = JoinSet::new();
        let working = clock.working();
        background.spawn(Arc::clone(&keeper).run(working.clone()));
        background.spawn(prune_daily(
            store.clone(),
            environment,
            operators,
            working.clone(),
        ));
        let fresh = working.clone();
        background.spawn(async move { github.keep_fresh(fresh).await });
        background.spawn(Arc::clone(&jobs.scheduler).run(working.clone()));
        background.spawn(Arc::clone(&jobs.quick_runs).run(working));
        tracing::info!("bootstrap-complete");
        Ok(RunningEngine {
            address,
            handle,
            server,
            background,
            hub,
            carried,
            jobs,
            store,
            keeper,
            lock,
            stop_deadline,
        })
    }
}

/// What runs jobs.
#[derive(Debug)]
struct Jobs {
    scheduler: Arc<Scheduler<SqliteStore>>,
    quick_runs: Arc<QuickRunService<SqliteStore>>,
}

impl Jobs {
    fn new(
        settings: &Settings,
        store: &SqliteStore,
        environment: &Environment,
        signer: &ScriptSigner,
        channel: &Arc<dyn AgentChannel>,
        credentials: &Arc<CredentialService<SqliteStore>>,
        secrets: &SecretBox,
    ) -> Self {
        let delivery = Delivery::new(
            store.clone(),
            environment.clone(),
            Arc::clone(channel),
            HostRules::new(settings.access_policy),
        );
        let library = AssemblyLibrary::new(AssemblyFiles::new(settings.root.join("Assemblies")));
        let credentials = Arc::clone(credentials) as Arc<dyn RunCredentials>;
        let playbooks = Arc::new(ServerPlaybooks::new(
            store.clone(),
            environment.clone(),
            Arc::clone(channel),
            Arc::clone(&credentials),
            library.clone(),
            PlaybookPlaces {
                work_root: WorkRoot::new(settings.root.join("Data/Engine/playbook_runs")),
                former_root: settings.root.join("Logs/Server/AnsibleRuns"),
                inherited: settings.playbook_environment.clone(),
            },
        ));
        let parts = Parts {
            library: library.clone(),
            signer: signer.clone(),
            channel: Arc::clone(channel),
            credentials,
            limits: Limits {
                assumed_seconds: settings.assumed_run_seconds,
                history_days: settings.job_history_days,
            },
            policy: settings.access_policy,
        };
        Self {
            scheduler: Scheduler::new(
                store.clone(),
                environment.clone(),
                Arc::clone(&delivery),
                playbooks,
                parts,
            ),
            quick_runs: Arc::new(
                QuickRunService::new(
                    store.clone(),
                    environment.clone(),
                    library,
                    signer.clone(),
                    secrets.clone(),
                    Arc::clone(channel),
                    delivery,
                )
                .under(settings.access_policy),
            ),
        }
    }
}

/// Says what was done to an older database, and where the copy of it lies.
pub fn log_upgrade(upgraded: &Upgraded) {
    if let Some(backup) = &upgraded.backup {
        tracing::warn!(
            "the database was of an older server and was upgraded; as it was before, it lies in {}",
            backup.display()
        );
    }
    for change in &upgraded.changes {
        tracing::info!("upgrade: {change}");
    }
}

async fn open_store(
    settings: &Settings,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<SqliteStore, StartError> {
    let path = || settings.database_path.clone();
    let store = SqliteStore::open_with(&settings.database_path, settings.timing.database_deadline)
        .await
        .map_err(|source| StartError::Store { path: path(), source })?;
    if settings.auto_migrate {
        tracing::info!("migrations-start");
        let upgraded = store
            .upgrade(clock.now(), random)
            .await
            .map_err(|source| StartError::Migration { path: path(), source })?;
        log_upgrade(&upgraded);
        tracing::info!("migrations-complete");
    } else {
        store
            .make_own_tables()
            .await
            .map_err(|source| StartError::Store { path: path(), source })?;
        tracing::info!("migrations-skipped");
    }
    Ok(store)
}

/// Serves for as long as the lock is held: also when nobody waits for its end.
fn serve(
    server: impl Future<Output = std::io::Result<()>> + Send + 'static,
    lock: &Arc<RootLock>,
) -> JoinHandle<std::io::Result<()>> {
    let lock = Arc::clone(lock);
    tokio::spawn(async move {
        let served = server.await;
        drop(lock);
        served
    })
}

/// Decides with which keys stored secrets are opened, before anything is changed.
async fn choose_sealing_keys(settings: &Settings) -> Result<SealingKeys, StartError> {
    let path = &settings.database_path;
    let stored = sqlite::stored_secrets(path)
        .await
        .map_err(|source| StartError::Store {
            path: path.clone(),
            source,
        })?;
    let keys = SealingKeys::choose(sealing_key::find(settings)?, &stored);
    match keys.refuse_loss() {
        Err(refusal) if !settings.accept_lost_secrets => return Err(refusal.into()),
        _ => {}
    }
    if let Some(preference) = keys.preference() {
        tracing::warn!("{preference}");
    }
    if let Some(loss) = keys.loss() {
        tracing::error!("{loss}");
    }
    Ok(keys)
}

/// What seals and opens secrets, with a key that is made where there is none.
fn secret_box(
    keys: SealingKeys,
    settings: &Settings,
    environment: &Environment,
) -> Result<SecretBox, StartError> {
    let main = match keys.main {
        Some(main) => main,
        None => sealing_key::make(settings, &*environment.random)?,
    };
    let former = keys.others.into_iter().map(|other| other.key).collect();
    Ok(SecretBox::new(main.key, environment.clone()).with_former_keys(former))
}

/// Logs what the settings give cause to, and goes no further with a secret that everybody knows on a public address.
fn look_at(settings: &Settings) -> Result<(), StartError> {
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
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    server: JoinHandle<std::io::Result<()>>,
    background: JoinSet<()>,
    hub: Arc<Hub<SqliteStore>>,
    carried: CarriedRequests,
    jobs: Jobs,
    store: SqliteStore,
    lock: Arc<RootLock>,
    keeper: Arc<CertificateKeeper>,
    stop_deadline: Duration,
}

impl RunningEngine {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes up a renewed certificate now rather than at the next look.
    pub fn reload_certificate(&self) {
        self.keeper.look_now();
    }

    /// How long [`RunningEngine::stop`] takes at most.
    pub fn stop_deadline(&self) -> Duration {
        self.stop_deadline
    }

    /// Stops in order: no new connections, running requests finished, sockets told, background work ended, database
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
        self.handle
            .graceful_shutdown(Some(self.stop_deadline.mul_f32(0.6)));
        self.hub.close();
        if let Ok(Err(error)) = self.server.await {
            tracing::error!("the listener failed: {error}");
        }
        // Requests whose clients have gone.
        let share = self.stop_deadline.mul_f32(0.15);
        if tokio::time::timeout(share, self.carried.finished())
            .await
            .is_err()
        {
            tracing::warn!("requests that did not come to an end were cut short");
        }
        // Sessions that came while the others were being ended; then what agents have reported is written down.
        self.hub.close();
        if tokio::time::timeout(share, self.hub.finished()).await.is_err() {
            tracing::warn!("events that sockets have sent are left unhandled");
        }
        self.background.shutdown().await;
        self.jobs.scheduler.stop().await;
        self.jobs.quick_runs.stop();
        self.store.close().await;
        self.lock.release();
    }
}
