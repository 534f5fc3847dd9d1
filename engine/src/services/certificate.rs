//! Reissues the server's certificate in time, and loads a renewed one while the server runs.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::Environment;
use crate::{
    config::settings::Settings,
    domain::clock::Working,
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
    /// Keeps `served`, whose files `settings` name.
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
    pub async fn run(self: Arc<Self>, mut working: Working) {
        let clock = &*self.environment.clock;
        let mut last_failure = None;
        loop {
            let next = clock.sleep_until(clock.monotonic() + PERIOD);
            drop(working);
            working = tokio::select! {
                now_working = next => now_working,
                () = self.asked.notified() => clock.working(),
            };
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
        // What is in use first: it may have been renewed already.
        self.served.look();
        if !self.served.has_ended(clock.now()) {
            return None;
        }
        let failure = match identity::reissue_ended_certificate(&self.settings, clock, random) {
            Ok(true) => {
                tracing::warn!(
                    "the server's certificate has ended; its root has issued a new one, which agents accept as they did \
                     the old one"
                );
                None
            }
            Ok(false) => None,
            Err(error) => Some(error.to_string()),
        };
        self.served.look();
        failure
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        domain::clock::Clock as _,
        integrations::{clock::ManualClock, identity::ServerIdentity, random::SeededRandom},
        testkit::{START, clock_at},
    };

    /// Lets minutes pass until `happened`.
    #[allow(
        clippy::disallowed_methods,
        reason = "what is waited for happens in real time"
    )]
    async fn pass_minutes_until(clock: &ManualClock, happened: impl Fn() -> bool) {
        for _ in 0..3000 {
            if happened() {
                return;
            }
            clock.set(clock.now() + SignedDuration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen");
    }

    #[tokio::test]
    async fn renewed_files_come_into_use_and_an_ended_certificate_is_reissued_without_a_restart() {
        let root = tempfile::tempdir().unwrap();
        let variables = [("BOREALIS_ROOT".to_owned(), root.path().display().to_string())];
        let settings = Settings::from_map(&variables.into(), root.path()).unwrap();
        let clock = clock_at(START);
        let random = Arc::new(SeededRandom::new(1));
        let made = ServerIdentity::load_or_create(&settings, &*clock, &*random).unwrap();
        let served = Arc::new(ServedCertificate::load(made.certificate).unwrap());
        let environment = Environment {
            clock: clock.clone(),
            random: random.clone(),
        };
        let keeper = CertificateKeeper::new(Arc::clone(&served), settings.clone(), environment);
        let running = tokio::spawn(Arc::clone(&keeper).run(clock.working()));

        let first = served.bundle();
        identity::renew_certificate(&settings, &*clock, &*random).unwrap();
        pass_minutes_until(&clock, || served.bundle() != first).await;

        let second = served.bundle();
        clock.set(clock.now() + SignedDuration::from_hours(24 * 1900));
        pass_minutes_until(&clock, || served.bundle() != second).await;
        let described = identity::describe_certificate(&settings, &*clock, &*random).unwrap();
        assert!(!described.ended && described.verifiable.is_ok(), "{described:?}");

        let third = served.bundle();
        identity::renew_certificate(&settings, &*clock, &*random).unwrap();
        keeper.look_now();
        // The clock stands still now.
        for _ in 0..3000 {
            if served.bundle() != third {
                break;
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "what is waited for happens in real time"
            )]
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_ne!(served.bundle(), third);
        running.abort();
    }
}
