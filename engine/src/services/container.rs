//! Every service, and what each is made of. The one place to look up who uses what.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{
    Environment,
    activity::ActivityService,
    agents::Agents,
    approvals::ApprovalService,
    assemblies::{AssemblyLibrary, AssemblyService},
    audit::{self, Actor},
    credentials::CredentialService,
    device_reports::DeviceReportService,
    device_views::DeviceViewService,
    devices::DeviceService,
    enrollment::EnrollmentService,
    github::GitHubService,
    hosts::HostRules,
    install_codes::InstallCodeService,
    operators::{OperatorService, login::LoginService, users::UserService},
    playbooks::PlaybookService,
    proxy::ProxyService,
    prune::{prune_daily, prune_once},
    published_identity::IdentityPublisher,
    quick_run::QuickRunService,
    realtime::{Channel, ChannelAccess, RealtimeService},
    remote_devices::RemoteDeviceService,
    scheduled_jobs::ScheduledJobService,
    scheduler::{
        Limits, Parts, Scheduler,
        channel::AgentChannel,
        credentials::RunCredentials,
        delivery::Delivery,
        playbook_run::{PlaybookPlaces, ServerPlaybooks},
    },
    script_signer::ScriptSigner,
    search::SearchService,
    secret_box::SecretBox,
    server_time::ServerTimeService,
    service_accounts::ServiceAccountService,
    sites::SiteService,
};
use crate::{
    config::settings::Settings,
    domain::{clock::Working, measures, operator_session::SESSION_MAX_AGE},
    integrations::{
        ansible::WorkRoot, assembly_files::AssemblyFiles, github::GitHubClient, proxy_client::ProxyClient,
    },
    repositories::{Store, StoreError},
    services::{
        device_access::{
            authentication::DeviceAuthenticator, dpop::Proofs, refresh::RefreshService, tokens::AccessTokens,
        },
        device_reports::heartbeat::HeartbeatService,
        health::ReadinessService,
    },
};

/// What services are made of.
#[derive(Debug)]
pub struct Resources {
    pub store: Arc<dyn Store>,
    pub environment: Environment,
    /// Makes and reads devices' tokens.
    pub tokens: AccessTokens,
    /// Seals and opens stored secrets.
    pub secrets: SecretBox,
    /// Signs what agents run.
    pub signer: ScriptSigner,
    /// What agents may know of the server.
    pub publisher: IdentityPublisher,
    /// Asks GitHub.
    pub github: GitHubClient,
    /// Asks what operators name.
    pub proxy: ProxyClient,
}

#[derive(Debug)]
pub struct Container {
    store: Arc<dyn Store>,
    environment: Environment,
    hosts: HostRules,
    /// Whether the server can do its work.
    pub readiness: ReadinessService,
    /// Devices join.
    pub enrollment: EnrollmentService,
    /// Devices are authenticated.
    pub device_authenticator: DeviceAuthenticator,
    /// Devices renew their tokens.
    pub refresh: RefreshService,
    /// Devices report.
    pub heartbeats: HeartbeatService,
    /// Devices report their documents and hashes.
    pub device_reports: DeviceReportService,
    /// Devices as operators see them.
    pub devices: DeviceService,
    /// Those that the server reaches over SSH or WinRM.
    pub remote_devices: RemoteDeviceService,
    pub sites: SiteService,
    /// Views of the device list.
    pub device_views: DeviceViewService,
    pub search: SearchService,
    /// Scripts, workflows and playbooks as files.
    pub assemblies: AssemblyService,
    /// Agents get their service accounts.
    pub service_accounts: ServiceAccountService,
    /// What agents may know of the server.
    pub publisher: IdentityPublisher,
    /// The channel's rules.
    pub realtime: Arc<RealtimeService>,
    /// The agent registry.
    pub agents: Arc<Agents>,
    /// Operators decide about requests to enroll.
    pub approvals: ApprovalService,
    pub install_codes: InstallCodeService,
    /// Heads of repositories, and the token.
    pub github: GitHubService,
    /// Asks other servers for operators.
    pub proxy: ProxyService,
    /// What the clock shows.
    pub server_time: ServerTimeService,
    /// What jobs log in with.
    pub credentials: Arc<CredentialService>,
    /// Who is calling.
    pub operators: Arc<OperatorService>,
    /// Operators log in.
    pub logins: LoginService,
    /// Operators' accounts.
    pub users: UserService,
    /// Jobs as operators see them.
    pub scheduled_jobs: ScheduledJobService,
    /// Runs them.
    pub scheduler: Arc<Scheduler>,
    /// Scripts and playbooks that run at once.
    pub quick_runs: Arc<QuickRunService>,
    /// What ran on hosts.
    pub activity: ActivityService,
    /// Playbook runs, and how far they are.
    pub playbooks: PlaybookService,
}

impl Container {
    /// Makes every service. `open_channel` makes the sockets, which ask the rules that they are given who may come in;
    /// what it returns beside them comes back.
    pub fn new<H>(
        settings: &Settings,
        resources: Resources,
        open_channel: impl FnOnce(Arc<ChannelAccess>) -> (Arc<dyn Channel>, H),
    ) -> (Arc<Self>, H) {
        let Resources {
            tokens,
            secrets,
            signer,
            publisher,
            github,
            proxy,
            ..
        } = resources;
        // What nearly every service is made of.
        let store = || Arc::clone(&resources.store);
        let environment = || resources.environment.clone();
        let policy = settings.access_policy;
        let hosts = HostRules::new(policy);
        let agents = Arc::new(Agents::new(environment().clock));
        let proofs = Arc::new(Proofs::new(environment()));
        let assembly_files = AssemblyFiles::new(settings.root.join("Assemblies"));
        let library = AssemblyLibrary::new(assembly_files.clone());

        let operators = Arc::new(OperatorService::new(
            store(),
            environment(),
            policy,
            settings.operator_token_ttl.unwrap_or(0).max(SESSION_MAX_AGE),
        ));
        let access = Arc::new(ChannelAccess::new(
            store(),
            environment(),
            tokens.clone(),
            Arc::clone(&operators),
            policy,
        ));
        let (sockets, opened) = open_channel(access);
        let realtime = Arc::new(RealtimeService::new(
            store(),
            environment(),
            Arc::clone(&agents),
            hosts,
            sockets,
        ));
        let channel = Arc::clone(&realtime) as Arc<dyn AgentChannel>;

        let credentials = Arc::new(CredentialService::new(store(), environment(), secrets.clone()));
        let (scheduler, quick_runs) = RunParts {
            store: store(),
            environment: environment(),
            channel: Arc::clone(&channel),
            hosts,
            library: library.clone(),
            signer,
            secrets: secrets.clone(),
            credentials: Arc::clone(&credentials) as Arc<dyn RunCredentials>,
        }
        .services(settings);

        let services = Self {
            readiness: ReadinessService::new(store(), environment()),
            enrollment: EnrollmentService::new(
                store(),
                environment(),
                tokens.clone(),
                publisher.clone(),
                hosts,
                settings.anonymous_bounds().map(|bounds| bounds.pending_requests),
            ),
            device_authenticator: DeviceAuthenticator::new(
                store(),
                environment(),
                tokens.clone(),
                Arc::clone(&proofs),
                hosts,
            ),
            refresh: RefreshService::new(store(), environment(), tokens, proofs),
            heartbeats: HeartbeatService::new(store(), environment(), Arc::clone(&agents), hosts),
            device_reports: DeviceReportService::new(store(), environment(), Arc::clone(&agents), hosts),
            devices: DeviceService::new(store(), environment()),
            remote_devices: RemoteDeviceService::new(store(), environment(), hosts),
            sites: SiteService::new(store(), environment()),
            device_views: DeviceViewService::new(store(), environment()),
            search: SearchService::new(store()),
            assemblies: AssemblyService::new(
                assembly_files,
                store(),
                environment(),
                policy,
                settings.time_zone.clone(),
            ),
            service_accounts: ServiceAccountService::new(
                store(),
                environment(),
                secrets,
                Arc::clone(&agents),
                hosts,
            ),
            publisher,
            realtime,
            agents,
            approvals: ApprovalService::new(store(), environment(), hosts),
            install_codes: InstallCodeService::new(store(), environment()),
            github: GitHubService::new(store(), environment(), github, &settings.github),
            proxy: ProxyService::new(proxy),
            server_time: ServerTimeService::new(environment(), settings.time_zone.clone()),
            credentials,
            operators,
            logins: LoginService::new(store(), environment(), settings.mfa_issuer.clone(), policy),
            users: UserService::new(store(), environment()),
            scheduled_jobs: ScheduledJobService::new(
                store(),
                environment(),
                Arc::clone(&channel),
                library,
                policy,
                settings.time_zone.clone(),
                settings.job_history_days,
            ),
            scheduler,
            quick_runs: Arc::new(quick_runs),
            activity: ActivityService::new(store()),
            playbooks: PlaybookService::new(store(), environment(), hosts, channel),
            store: store(),
            environment: environment(),
            hosts,
        };
        (Arc::new(services), opened)
    }

    /// Does what has to be done before anybody is served.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let by_itself = audit::span("console");
        by_itself.in_scope(|| audit::acts(Actor::Server));
        self.operators
            .ensure_default_admin()
            .instrument(by_itself)
            .await?;
        self.operators.refresh_accounts().await?;
        self.agents.restore(&*self.store, self.hosts).await?;
        if let Err(error) = prune_once(&*self.store, &self.environment, &self.operators).await {
            tracing::error!("prune job failure: {error}");
        }
        self.service_accounts.assign().await?;
        self.assemblies.prepare().await;
        self.scheduler.begin().await;
        Ok(())
    }

    /// Begins what goes on for as long as the server runs.
    pub fn work(self: &Arc<Self>, background: &mut JoinSet<()>, working: Working) {
        background.spawn(prune_daily(
            Arc::clone(&self.store),
            self.environment.clone(),
            Arc::clone(&self.operators),
            working.clone(),
        ));
        let services = Arc::clone(self);
        let fresh = working.clone();
        background.spawn(async move { services.github.keep_fresh(fresh).await });
        background.spawn(Arc::clone(&self.scheduler).run(working.clone()));
        background.spawn(Arc::clone(&self.quick_runs).run(working));
    }

    /// Looks at what is a state of this moment, for the metrics.
    pub async fn measure(&self) {
        let counts = match self.store.view().await {
            Ok(mut view) => view.count_undelivered().await.ok(),
            Err(_) => None,
        };
        measures::undelivered(
            counts.map(|counts| counts.of_jobs),
            counts.map(|counts| counts.of_quick_runs),
        );
    }

    /// Ends what jobs are at. The background work has ended before.
    pub async fn stop(&self) {
        self.quick_runs.stop();
        self.scheduler.stop().await;
    }
}

/// What scheduled jobs and quick runs are made of.
struct RunParts {
    store: Arc<dyn Store>,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    hosts: HostRules,
    library: AssemblyLibrary,
    signer: ScriptSigner,
    secrets: SecretBox,
    credentials: Arc<dyn RunCredentials>,
}

impl RunParts {
    /// Both of them, which share how work is delivered and how playbooks run on this machine.
    fn services(self, settings: &Settings) -> (Arc<Scheduler>, QuickRunService) {
        let delivery = Delivery::new(
            Arc::clone(&self.store),
            self.environment.clone(),
            Arc::clone(&self.channel),
            self.hosts,
        );
        let playbooks = Arc::new(ServerPlaybooks::new(
            Arc::clone(&self.store),
            self.environment.clone(),
            Arc::clone(&self.channel),
            Arc::clone(&self.credentials),
            self.library.clone(),
            PlaybookPlaces {
                work_root: WorkRoot::new(settings.root.join("Data/Engine/playbook_runs")),
                former_root: settings.root.join("Logs/Server/AnsibleRuns"),
                inherited: settings.playbook_environment.clone(),
            },
        ));
        let scheduler = Scheduler::new(
            Arc::clone(&self.store),
            self.environment.clone(),
            Arc::clone(&delivery),
            Arc::clone(&playbooks),
            Parts {
                library: self.library.clone(),
                signer: self.signer.clone(),
                channel: Arc::clone(&self.channel),
                credentials: Arc::clone(&self.credentials),
                limits: Limits {
                    assumed_seconds: settings.assumed_run_seconds,
                    history_days: settings.job_history_days,
                },
                policy: settings.access_policy,
            },
        );
        let quick_runs = QuickRunService::new(
            self.store,
            self.environment,
            self.library,
            self.signer,
            self.secrets,
            self.channel,
            delivery,
            self.credentials,
            playbooks,
        )
        .under(settings.access_policy);
        (scheduler, quick_runs)
    }
}
