//! What handlers share.

use std::sync::Arc;

use super::compat::session::SessionCodec;
use crate::{
    config::settings::AccessPolicy,
    domain::clock::Clock,
    services::{
        agents::Agents, approvals::ApprovalService, device_gate::DeviceGate,
        device_reports::DeviceReportService, enrollment::EnrollmentService, github::GitHubService,
        heartbeat::HeartbeatService, install_codes::InstallCodeService, operators::OperatorService,
        published_identity::IdentityPublisher, realtime::RealtimeService, refresh::RefreshService,
        service_accounts::ServiceAccountService,
    },
};

/// The services, cheap to hand to every request.
#[derive(Debug)]
pub struct AppState<S> {
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
    /// Who is calling.
    pub operators: Arc<OperatorService<S>>,
    /// The operators' cookies.
    pub sessions: Arc<SessionCodec>,
    /// The time at which cookies are read and written.
    pub clock: Arc<dyn Clock>,
}

impl<S> Clone for AppState<S> {
    fn clone(&self) -> Self {
        Self {
            enrollment: Arc::clone(&self.enrollment),
            device_gate: Arc::clone(&self.device_gate),
            refresh: Arc::clone(&self.refresh),
            heartbeats: Arc::clone(&self.heartbeats),
            device_reports: Arc::clone(&self.device_reports),
            service_accounts: Arc::clone(&self.service_accounts),
            publisher: self.publisher.clone(),
            access_policy: self.access_policy,
            realtime: Arc::clone(&self.realtime),
            agents: Arc::clone(&self.agents),
            approvals: Arc::clone(&self.approvals),
            install_codes: Arc::clone(&self.install_codes),
            github: Arc::clone(&self.github),
            operators: Arc::clone(&self.operators),
            sessions: Arc::clone(&self.sessions),
            clock: Arc::clone(&self.clock),
        }
    }
}
