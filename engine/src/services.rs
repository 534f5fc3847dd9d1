//! The rules: what may happen, in which order, in one transaction. No SQL, no HTTP.

pub mod activity;
mod agent_owners;
pub mod agents;
pub mod approvals;
pub mod assemblies;
pub mod audit;
pub mod certificate;
pub mod container;
pub mod credentials;
pub mod device_access;
pub mod device_reports;
pub mod device_views;
pub mod devices;
pub mod enrollment;
pub mod github;
pub mod health;
pub mod hosts;
pub mod install_codes;
pub mod operators;
pub mod playbooks;
pub mod proxy;
pub mod prune;
pub mod published_identity;
pub mod quick_run;
pub mod realtime;
pub mod remote_devices;
pub mod scheduled_jobs;
pub mod scheduler;
pub mod script_signer;
pub mod sealing_keys;
pub mod search;
pub mod secret_box;
pub mod server_time;
pub mod service_accounts;
pub mod sites;

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{clock::Clock, random::Random, timestamp::iso_utc};
/// What services fail with where the store does.
pub use crate::repositories::StoreError;

/// Time and randomness, handed to every service.
#[derive(Clone, Debug)]
pub struct Environment {
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Random>,
}

/// One moment in the forms that tables hold.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) time: Timestamp,
    pub(crate) iso: String,
}

impl Environment {
    pub(crate) fn now(&self) -> Moment {
        let time = self.clock.now();
        Moment {
            time,
            iso: iso_utc(time),
        }
    }

    /// A new row id: a random UUID in lower case.
    pub(crate) fn new_id(&self) -> String {
        crate::domain::random::random_uuid(&*self.random).to_string()
    }
}
