//! All connections of a server.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::task::TaskTracker;

use super::Client;

/// All clients that are connected, by the ids of their connections.
pub struct Connections<C> {
    by_id: Mutex<HashMap<String, Arc<C>>>,
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

    pub(super) fn remove(&self, id: &str) {
        self.by_id().remove(id);
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<String, Arc<C>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
