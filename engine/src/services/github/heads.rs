//! The cache of heads, in memory and on disk.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    config::github::GitHubSettings,
    domain::repository_head::{Head, HeadCache},
    integrations::github::head_file,
};

/// Shared by all look-ups.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cache: Mutex<HeadCache>,
    file: PathBuf,
    /// Whoever writes the file holds this, so that the last state is the one that stays.
    writing: Mutex<()>,
}

impl Heads {
    /// Reads the engine's file, or the legacy's where there is none. `now` counts for entries without a time.
    pub(super) fn load(settings: &GitHubSettings, now: f64) -> Self {
        let mut cache = HeadCache::new(&settings.default_branch);
        let files = [settings.head_file.as_path(), settings.legacy_head_file.as_path()];
        if let Err(error) = head_file::read(&files, now, &mut cache) {
            tracing::warn!("failed to hydrate repo hash cache: {error}");
        }
        Self {
            inner: Arc::new(Inner {
                cache: Mutex::new(cache),
                file: settings.head_file.clone(),
                writing: Mutex::new(()),
            }),
        }
    }

    /// The cached head under `key`.
    pub(super) fn get(&self, key: &str) -> Option<Head> {
        self.inner.cache().get(key).cloned()
    }

    /// Remembers a head and writes the file. A file that cannot be written is logged: what is in memory counts.
    pub(super) async fn store(&self, key: String, head: Head) {
        self.inner.cache().insert(key, head);
        let inner = Arc::clone(&self.inner);
        // It fails only where the runtime is ending.
        let _ = tokio::task::spawn_blocking(move || inner.persist()).await;
    }
}

impl Inner {
    fn cache(&self) -> std::sync::MutexGuard<'_, HeadCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn persist(&self) {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let heads = self.cache().clone();
        if let Err(error) = head_file::write(&self.file, &heads) {
            tracing::warn!("failed to persist repo hash cache: {error}");
        }
    }
}
