//! Keeps the server's certificate good while it is in use.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::Environment;
use crate::{
    config::settings::Settings,
    integrations::identity::{self, ServedCertificate},
};

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(60);

/// Takes up renewed files, and has the root issue another certificate once the present one has ended.
#[derive(Debug)]
pub struct CertificateKeeper {
    served: Arc<ServedCertificate>,
    settings: Settings,
    environment: Environment,
    asked: Notify,
}

impl CertificateKeeper {
    /// Keeps `served`, which lies where `settings` say.
    pub fn new(served: Arc<ServedCertificate>, settings: Settings, environment: Environment) -> Arc<Self> {
        Arc::new(Self {
            served,
            settings,
            environment,
            asked: Notify::new(),
        })
    }

    /// Asks for a look now.
    pub fn look_now(&self) {
        self.asked.notify_one();
    }

    /// Looks once a minute and when asked, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut last_failure = None;
        loop {
            let next = self.environment.clock.monotonic() + PERIOD;
            tokio::select! {
                () = self.environment.clock.sleep_until(next) => {}
                () = self.asked.notified() => {}
            }
            let keeper = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || keeper.look());
            let failure = looked.await.unwrap_or(None);
            if let Some(failure) = failure
                .as_ref()
                .filter(|failure| Some(*failure) != last_failure.as_ref())
            {
                tracing::error!("{failure}");
            }
            last_failure = failure;
        }
    }

    /// One look; why an ended certificate could not be replaced.
    fn look(&self) -> Option<String> {
        let (clock, random) = (&*self.environment.clock, &*self.environment.random);
        let failure = match identity::reissue_ended_certificate(&self.settings, clock, random) {
            Ok(true) => {
                tracing::warn!(
                    "the server's certificate has ended; its root has issued a new one, which agents accept as they did \
                     the old one"
                );
                None
            }
            Ok(false) => None,
            // What is wrong with files that are not in use is said by the look at them.
            Err(error) => Some(error.to_string()),
        };
        self.served.look();
        failure
    }
}
