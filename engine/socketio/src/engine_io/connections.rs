//! All connections of a server.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::task::TaskTracker;

use super::Client;

/// Ended connections that are remembered.
const MOST_ENDED: usize = 1024;

/// All clients that are connected, by the ids of their connections.
pub struct Connections<C> {
    by_id: Mutex<HashMap<String, Arc<C>>>,
    /// The ids of those that ended last, and whose client has not been told.
    ended: Mutex<VecDeque<String>>,
    /// What works for connections, and for those that have ended meanwhile.
    tasks: TaskTracker,
}

impl<C> fmt::Debug for Connections<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl<C> Default for Connections<C> {
    fn default() -> Self {
        Self {
            by_id: Mutex::default(),
            ended: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }
}

impl<C: Client> Connections<C> {
    /// The client whose connection has this id.
    pub fn get(&self, id: &str) -> Option<Arc<C>> {
        self.by_id().get(id).cloned()
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<C>> {
        self.by_id().values().cloned().collect()
    }

    /// Those of which this is true, in no order. It is asked while nobody can connect, so it has to be quick.
    pub fn select(&self, is_meant: impl Fn(&C) -> bool) -> Vec<Arc<C>> {
        let by_id = self.by_id();
        by_id
            .values()
            .filter(|client| is_meant(client))
            .cloned()
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every connection without a word: client libraries take a good-bye for a request to stay away,
    /// and a connection that only ends they make again.
    pub fn end_all(&self) {
        for client in self.all() {
            client.connection().end();
        }
    }

    /// Completes once everything that ended connections have sent is handled.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn add(&self, client: Arc<C>) {
        let id = client.connection().id().to_owned();
        self.by_id().insert(id, client);
    }

    /// Removes a connection; whether it was there.
    pub(super) fn remove(&self, id: &str) -> bool {
        self.by_id().remove(id).is_some()
    }

    /// Removes a connection that ended, and remembers its id until [`Connections::forget_ended`].
    pub(super) fn remove_and_remember(&self, id: &str) {
        let mut ended = self.ended();
        if self.remove(id) {
            if ended.len() >= MOST_ENDED {
                ended.pop_front();
            }
            ended.push_back(id.to_owned());
        }
    }

    /// Forgets a connection that ended; whether it was remembered.
    pub(super) fn forget_ended(&self, id: &str) -> bool {
        let mut ended = self.ended();
        let at = ended.iter().position(|remembered| remembered == id);
        at.and_then(|at| ended.remove(at)).is_some()
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn ended(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<String, Arc<C>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
