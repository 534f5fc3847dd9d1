//! Nobody who has the database waits for it again. With a handful of readers and one writer, a few requests that each hold
//! one and wait for another wait for each other, until their deadlines are over. Debug builds, and so all tests, panic where
//! a task asks for a second one; release builds know nothing of it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task;

/// The tasks that have the database.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders(Arc<Mutex<HashSet<task::Id>>>);

impl Holders {
    /// Notes that the task has the database until what is returned is dropped.
    ///
    /// # Panics
    /// In debug builds, where the task has it already.
    pub(super) fn hold(&self) -> Hold {
        let holder = task::try_id().filter(|_| cfg!(debug_assertions));
        if let Some(task) = holder {
            let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
            assert!(
                is_first,
                "a task that has the database waits for it a second time: a few at once would wait for each other"
            );
        }
        Hold {
            holders: self.clone(),
            holder,
        }
    }
}

/// Drop it together with the access.
#[derive(Debug)]
pub(super) struct Hold {
    holders: Holders,
    holder: Option<task::Id>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(task) = self.holder {
            self.holders
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&task);
        }
    }
}
