//! Who devices are: all who ask at one time are answered by one read. A fleet that comes back, or an event for
//! everybody, would otherwise queue up at the database, and whoever waits there too long gets nothing.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    domain::devices::DeviceIdentity,
    repositories::{ReadTables, Store, StoreError},
    services::device_access::authentication::DeviceClaims,
};

/// Devices that one read looks for.
const AT_A_TIME: usize = 500;
/// How often the database is waited for.
const PATIENCE: u8 = 4;

/// The store failed; it has been logged why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotLookedUp;

/// The device that a token names, if there is one.
type Answer = Result<Option<DeviceIdentity>, NotLookedUp>;

/// Looks up devices.
#[derive(Debug)]
pub(super) struct DeviceLookups {
    store: Arc<dyn Store>,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<Question>,
    /// Somebody reads, and will come to what waits.
    is_being_read: bool,
}

#[derive(Debug)]
struct Question {
    claims: DeviceClaims,
    answer: oneshot::Sender<Answer>,
}

impl DeviceLookups {
    pub(super) fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            asked: Mutex::default(),
        })
    }

    /// The device that these claims name, as it is now. The question is asked at once, whenever the answer is awaited.
    pub(super) fn find(
        self: &Arc<Self>,
        claims: &DeviceClaims,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let begins = {
            let mut asked = self.asked();
            asked.waiting.push(Question {
                claims: claims.clone(),
                answer,
            });
            !mem::replace(&mut asked.is_being_read, true)
        };
        if begins {
            // Not the asker's own work: it may break off, and others wait.
            tokio::spawn(Reading(Some(Arc::clone(self))).run());
        }
        async { answered.await.unwrap_or(Err(NotLookedUp)) }
    }

    async fn answer(&self, questions: Vec<Question>) {
        let mut view = match self.view().await {
            Ok(view) => view,
            Err(error) => {
                tracing::error!(
                    "the rights of {} connections cannot be looked up: {error}",
                    questions.len()
                );
                for question in questions {
                    // Whoever has gone needs no answer.
                    let _ = question.answer.send(Err(NotLookedUp));
                }
                return;
            }
        };
        let mut by_guid = together(&mut *view, &questions).await;
        let mut left = Vec::new();
        for question in questions {
            match by_guid.remove(question.claims.claimed_guid()) {
                Some(device) => {
                    let _ = question.answer.send(Ok(Some(device)));
                }
                // Its row has the GUID in another spelling, it is asked for twice, or something is wrong with it.
                None => left.push(question),
            }
        }
        for Question { claims, answer } in left {
            let found = claims.find(&mut *view).await.map_err(|error| {
                tracing::error!("the rights of a connection cannot be looked up: {error}");
                NotLookedUp
            });
            let _ = answer.send(found);
        }
    }

    /// Waits longer than a request would: agents are told nothing when they are refused, and wait for a minute.
    async fn view(&self) -> Result<Box<dyn ReadTables>, StoreError> {
        for _ in 1..PATIENCE {
            match self.store.view().await {
                Err(StoreError::Busy) => {}
                view => return view,
            }
        }
        self.store.view().await
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The devices that are found at once.
async fn together(view: &mut dyn ReadTables, questions: &[Question]) -> HashMap<String, DeviceIdentity> {
    if let [_] = questions {
        return HashMap::new();
    }
    let guids: Vec<&str> = questions
        .iter()
        .map(|question| question.claims.claimed_guid())
        .collect();
    // Each is then looked for alone, and its own error told.
    view.devices_with_guids(&guids).await.unwrap_or_default()
}

/// Reads until nobody waits. Where it breaks off, those that wait are told.
struct Reading(Option<Arc<DeviceLookups>>);

impl Reading {
    async fn run(mut self) {
        while let Some(lookups) = &self.0 {
            let questions = {
                let mut asked = lookups.asked();
                let questions = if asked.waiting.len() > AT_A_TIME {
                    asked.waiting.drain(..AT_A_TIME).collect()
                } else {
                    mem::take(&mut asked.waiting)
                };
                asked.is_being_read = !questions.is_empty();
                questions
            };
            if questions.is_empty() {
                self.0 = None;
            } else {
                lookups.answer(questions).await;
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(lookups) = &self.0 {
            *lookups.asked() = Asked::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::json::Json,
        testkit::{GUID, Ground},
    };

    fn claims(guid: &str) -> DeviceClaims {
        let claims = Json::object([
            ("guid", guid.into()),
            ("ssl_key_fingerprint", "ab12".into()),
            ("token_version", 1.into()),
        ]);
        DeviceClaims::read(claims.as_object().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn all_who_ask_at_one_time_get_their_own_answer() {
        let rows: String = (0..1200)
            .map(|number| {
                format!(
                    "INSERT INTO devices (guid, hostname) VALUES ('00000000-0000-4000-8000-{number:012X}', 'H{number}');"
                )
            })
            .collect();
        let ground = Ground::with(&rows).await;
        let lookups = DeviceLookups::new(ground.store());
        let mut asked = Vec::new();
        for number in (0..1201).chain([7]) {
            let guid = format!("00000000-0000-4000-8000-{number:012X}");
            // Tokens may spell it otherwise than the row.
            let guid = if number == 3 { guid.to_lowercase() } else { guid };
            asked.push((number, lookups.find(&claims(&guid))));
        }
        for (number, answer) in asked {
            let hostname = answer.await.unwrap().and_then(|device| device.hostname);
            let expected = (number < 1200).then(|| format!("H{number}"));
            assert_eq!(hostname, expected, "{number}");
        }
    }

    #[tokio::test]
    async fn what_changes_is_seen_by_the_next_who_asks() {
        let row = format!("INSERT INTO devices (guid, hostname) VALUES ('{GUID}', 'WIN-1')");
        let ground = Ground::with(&row).await;
        let lookups = DeviceLookups::new(ground.store());
        for name in ["WIN-1", "WIN-2"] {
            let found = lookups.find(&claims(GUID)).await.unwrap().unwrap();
            assert_eq!(found.hostname.as_deref(), Some(name));
            ground.sql("UPDATE devices SET hostname = 'WIN-2'").await;
        }
    }
}
