//! What handlers share.

use std::{ops::Deref, sync::Arc};

use super::{compat::session::SessionCodec, set_apart::shared::SharedLists};
use crate::{
    config::{
        bounds::AnonymousBounds,
        settings::{AccessPolicy, Settings},
    },
    domain::clock::Clock,
    services::{Environment, container::Container},
};

/// The services, and what else handlers share; cheap to hand to every request.
#[derive(Clone, Debug)]
pub struct AppState {
    services: Arc<Container>,
    /// Who may call what the legacy leaves open.
    pub access_policy: AccessPolicy,
    /// What those may take who show no identity; `None` where nobody is asked for one.
    pub anonymous_bounds: Option<AnonymousBounds>,
    /// The operators' cookies.
    pub sessions: Arc<SessionCodec>,
    /// The time at which cookies are read and written.
    pub clock: Arc<dyn Clock>,
    /// Lists that are made for several operators at once.
    pub shared_lists: SharedLists,
}

impl AppState {
    pub fn new(
        settings: &Settings,
        services: Arc<Container>,
        sessions: Arc<SessionCodec>,
        environment: &Environment,
    ) -> Self {
        Self {
            services,
            access_policy: settings.access_policy,
            anonymous_bounds: settings.anonymous_bounds(),
            sessions,
            clock: Arc::clone(&environment.clock),
            shared_lists: SharedLists::default(),
        }
    }
}

impl Deref for AppState {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.services
    }
}
