//! Uses of refresh tokens, written together: whoever gets the writer first writes for all that wait.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    domain::refresh_tokens::UsedRefreshToken,
    repositories::{
        StoreError,
        device_access::RefreshNotes,
        sqlite::{SqliteStore, together::let_others_come, writer::Turn},
    },
};

pub(in crate::repositories::sqlite) const NOTE: &str = "UPDATE refresh_tokens SET last_used_at = note.value ->> 1, \
    dpop_jkt = COALESCE(note.value ->> 2, dpop_jkt) FROM json_each($1) AS note WHERE refresh_tokens.id = note.value ->> 0";

/// What waits for its turn to be written.
#[derive(Clone, Debug, Default)]
pub(in crate::repositories::sqlite) struct WaitingNotes(Arc<Mutex<Vec<WaitingNote>>>);

#[derive(Debug)]
struct WaitingNote {
    used: UsedRefreshToken,
    written: oneshot::Sender<()>,
}

impl WaitingNotes {
    fn add(&self, used: UsedRefreshToken) -> oneshot::Receiver<()> {
        let (written, outcome) = oneshot::channel();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(WaitingNote { used, written });
        outcome
    }

    fn take(&self) -> Vec<WaitingNote> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes all that waits, in one statement and so in one transaction.
    async fn write(&self, mut turn: Turn) -> Result<(), StoreError> {
        let_others_come().await;
        let notes = self.take();
        if notes.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = notes
            .iter()
            .map(|note| (&note.used.id, &note.used.used_at, &note.used.dpop_jkt))
            .collect();
        let rows = serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
        turn.execute(|| sqlx::query(NOTE).bind(rows.clone())).await?;
        for note in notes {
            // Whoever has gone needs no answer.
            let _ = note.written.send(());
        }
        Ok(())
    }
}

#[async_trait]
impl RefreshNotes for SqliteStore {
    async fn note_refresh(&self, used: UsedRefreshToken) -> Result<(), StoreError> {
        let writing = async {
            loop {
                let outcome = self.notes.add(used.clone());
                tokio::select! {
                    biased;
                    written = outcome => match written {
                        Ok(()) => return Ok(()),
                        // Who wrote for all failed or has gone: this one tries for itself.
                        Err(_) => continue,
                    },
                    turn = self.writer.turn() => return self.notes.write(turn?).await,
                }
            }
        };
        self.writer.within_deadline(writing).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::{domain::refresh_tokens::NewRefreshToken, repositories::Store as _};

    #[tokio::test]
    async fn uses_that_come_together_are_all_stored_and_bindings_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("database.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let mut work = store.begin().await.unwrap();
        for number in 0..100 {
            work.insert_refresh_token(&NewRefreshToken {
                id: &number.to_string(),
                guid: "A",
                token_hash: &number.to_string(),
                created_at: "",
                expires_at: "",
            })
            .await
            .unwrap();
        }
        work.save().await.unwrap();
        for dpop_jkt in [Some("key".to_owned()), None] {
            let mut uses = JoinSet::new();
            for number in 0..100 {
                let (store, dpop_jkt) = (store.clone(), dpop_jkt.clone());
                uses.spawn(async move {
                    let used_at = format!("{}{number}", if dpop_jkt.is_some() { "bound " } else { "then " });
                    let id = number.to_string();
                    store
                        .note_refresh(UsedRefreshToken {
                            id,
                            used_at,
                            dpop_jkt,
                        })
                        .await
                });
            }
            while let Some(stored) = uses.join_next().await {
                stored.unwrap().unwrap();
            }
        }
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT id, last_used_at, dpop_jkt FROM refresh_tokens")
                .fetch_all(&store.readers)
                .await
                .unwrap();
        assert_eq!(rows.len(), 100);
        for (id, used_at, dpop_jkt) in rows {
            assert_eq!((used_at, dpop_jkt.as_str()), (format!("then {id}"), "key"));
        }
    }
}
