//! What handlers share.

use std::sync::Arc;

use super::compat::session::SessionCodec;
use crate::{
    config::{bounds::AnonymousBounds, settings::AccessPolicy},
    domain::clock::Clock,
    services::{
        activity::ActivityService,
        agents::Agents,
        approvals::ApprovalService,
        credentials::CredentialService,
        device_gate::DeviceGate,
        device_reports::DeviceReportService,
        enrollment::EnrollmentService,
        github::GitHubService,
        heartbeat::HeartbeatService,
        install_codes::InstallCodeService,
        operators::{OperatorService, login::LoginService, users::UserService},
        published_identity::IdentityPublisher,
        quick_run::QuickRunService,
        readiness::ReadinessService,
        realtime::RealtimeService,
        recaps::RecapService,
        refresh::RefreshService,
        scheduled_jobs::ScheduledJobService,
        service_accounts::ServiceAccountService,
    },
};

/// The services, cheap to hand to every request.
#[derive(Debug)]
pub struct AppState<S> {
    /// Whether the server can do its work.
    pub readiness: Arc<ReadinessService<S>>,
    /// Devices join.
    pub enrollment: Arc<EnrollmentService<S>>,
    /// Devices come in.
    pub device_gate: Arc<DeviceGate<S>>,
    /// Devices renew their tokens.
    pub refresh: Arc<RefreshService<S>>,
    /// Devices report.
    pub heartbeats: Arc<HeartbeatService<S>>,
    /// Devices report their documents and hashes.
    pub device_reports: Arc<DeviceReportService<S>>,
    /// Agents get their service accounts.
    pub service_accounts: Arc<ServiceAccountService<S>>,
    /// What agents may know of the server.
    pub publisher: IdentityPublisher,
    /// Who may call what the legacy leaves open.
    pub access_policy: AccessPolicy,
    /// What those may take who show no identity; `None` where nobody is asked for one.
    pub anonymous_bounds: Option<AnonymousBounds>,
    /// The realtime channel's rules.
    pub realtime: Arc<RealtimeService<S>>,
    /// The agent registry.
    pub agents: Arc<Agents>,
    /// Operators decide.
    pub approvals: Arc<ApprovalService<S>>,
    /// Install codes.
    pub install_codes: Arc<InstallCodeService<S>>,
    /// Heads of repositories, and the token.
    pub github: Arc<GitHubService<S>>,
    /// What jobs log in with.
    pub credentials: Arc<CredentialService<S>>,
    /// Who is calling.
    pub operators: Arc<OperatorService<S>>,
    /// Operators log in.
    pub logins: Arc<LoginService<S>>,
    /// Operators' accounts.
    pub users: Arc<UserService<S>>,
    /// Jobs as operators see them.
    pub scheduled_jobs: Arc<ScheduledJobService<S>>,
    /// Scripts that run now.
    pub quick_runs: Arc<QuickRunService<S>>,
    /// What ran on hosts.
    pub activity: Arc<ActivityService<S>>,
    /// How far playbooks are.
    pub recaps: Arc<RecapService<S>>,
    /// The operators' cookies.
    pub sessions: Arc<SessionCodec>,
    /// The time at which cookies are read and written.
    pub clock: Arc<dyn Clock>,
}

impl<S> Clone for AppState<S> {
    fn clone(&self) -> Self {
        Self {
            readiness: Arc::clone(&self.readiness),
            enrollment: Arc::clone(&self.enrollment),
            device_gate: Arc::clone(&self.device_gate),
            refresh: Arc::clone(&self.refresh),
            heartbeats: Arc::clone(&self.heartbeats),
            device_reports: Arc::clone(&self.device_reports),
            service_accounts: Arc::clone(&self.service_accounts),
            publisher: self.publisher.clone(),
            access_policy: self.access_policy,
            anonymous_bounds: self.anonymous_bounds,
            realtime: Arc::clone(&self.realtime),
            agents: Arc::clone(&self.agents),
            approvals: Arc::clone(&self.approvals),
            install_codes: Arc::clone(&self.install_codes),
            github: Arc::clone(&self.github),
            credentials: Arc::clone(&self.credentials),
            operators: Arc::clone(&self.operators),
            logins: Arc::clone(&self.logins),
            users: Arc::clone(&self.users),
            scheduled_jobs: Arc::clone(&self.scheduled_jobs),
            quick_runs: Arc::clone(&self.quick_runs),
            activity: Arc::clone(&self.activity),
            recaps: Arc::clone(&self.recaps),
            sessions: Arc::clone(&self.sessions),
            clock: Arc::clone(&self.clock),
        }
    }
}
