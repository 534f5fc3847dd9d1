//! What the tick does to runs before it looks at jobs: time-outs, assumed ends, retention.

use super::{Scheduler, delivery::NO_RESULT, events, run_status};
use crate::{
    domain::{
        job_runs::{OpenRun, status},
        schedule::expiration_seconds,
    },
    repositories::StoreError,
};

/// Seconds in a day.
const DAY: i64 = 86_400;

impl Scheduler {
    /// Ends what ran too long, takes what was delivered long enough ago for a success (SCH-4), gives up quick runs of which
    /// no result came, and deletes old runs.
    pub(super) async fn keep_house(&self, now: i64) -> Result<(), StoreError> {
        let mut ended = Vec::new();
        let mut work = self.store.begin().await?;
        for open in work.open_runs().await? {
            if let Some(word) = self.end_of(&open, now) {
                if word == status::TIMED_OUT {
                    tracing::warn!(run_id = open.run.id, job_id = open.run.job_id, "a run timed out");
                }
                ended.push(run_status::end(&mut *work, open.run, word, "", now).await?);
            }
        }
        let mut unanswered = Vec::new();
        for id in work.take_overdue_results(now).await? {
            unanswered.extend(work.end_activity(id, status::FAILED, NO_RESULT).await?);
        }
        let pruned = work.prune_runs(self.oldest_kept(now)).await?;
        work.forget_orphaned_work().await?;
        work.save().await?;
        if pruned > 0 {
            tracing::info!(pruned, "old runs are deleted");
        }
        for ended in &ended {
            events::run_completed(&*self.channel, ended).await;
        }
        for activity in &unanswered {
            tracing::warn!("activity {} failed: {NO_RESULT}", activity.id);
            events::activity_ended(&*self.channel, activity).await;
        }
        Ok(())
    }

    /// Forgets for which devices deleted activities were.
    pub(super) async fn forget_orphaned_devices(&self) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        work.forget_orphaned_devices().await?;
        work.save().await
    }

    /// Ends the activities of runs that have ended without a word of theirs: nobody waits for them any more. A result
    /// that comes later is stored all the same.
    pub(super) async fn end_outliving_activities(&self, now: i64) -> Result<(), StoreError> {
        let begun_by = now.saturating_sub(self.limits.assumed_seconds);
        let outliving = self
            .store
            .view()
            .await?
            .activities_outliving_their_runs(begun_by)
            .await?;
        if outliving.is_empty() {
            return Ok(());
        }
        let mut ended = Vec::new();
        let mut work = self.store.begin().await?;
        for (id, word) in outliving {
            ended.extend(work.end_activity(id, &word, "").await?);
        }
        work.save().await?;
        for activity in &ended {
            events::activity_ended(&*self.channel, activity).await;
        }
        Ok(())
    }

    /// Runs from before then are not kept.
    pub(super) fn oldest_kept(&self, now: i64) -> i64 {
        now.saturating_sub(self.limits.history_days.saturating_mul(DAY))
    }

    fn end_of(&self, open: &OpenRun, now: i64) -> Option<&'static str> {
        if open.on_server {
            // Its process says when it ends; one that takes too long is ended, and so is its run.
            return None;
        }
        let started = open.run.started_ts.filter(|started| *started != 0)?;
        let limit = open.expiration.as_deref().and_then(expiration_seconds);
        if limit.is_some_and(|limit| limit != 0 && started.saturating_add(limit) <= now) {
            return Some(status::TIMED_OUT);
        }
        let assumed = started.saturating_add(self.limits.assumed_seconds) <= now;
        (assumed && !open.undelivered).then_some(status::SUCCESS)
    }
}
