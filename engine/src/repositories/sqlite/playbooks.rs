//! Table `ansible_play_recaps`.

use async_trait::async_trait;
use sqlx::{
    Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    Access, SqliteWork,
    rows::{Columns, ReadRows as _},
};
use crate::{
    domain::playbooks::{PlaybookReport, PlaybookRun, SERVER, ServerRun},
    repositories::{
        StoreError,
        playbooks::{ReadPlaybookRuns, WritePlaybookRuns},
    },
};

macro_rules! select_playbook_runs {
    ($condition:literal) => {
        select_playbook_runs!("CAST(recap_text AS TEXT)", "CAST(recap_json AS TEXT)", $condition)
    };
    ($text:literal, $json:literal, $condition:literal) => {
        concat!(
            "SELECT id, run_id, CAST(hostname AS TEXT) AS hostname, CAST(agent_id AS TEXT) AS agent_id, ",
            "CAST(playbook_path AS TEXT) AS playbook_path, CAST(playbook_name AS TEXT) AS playbook_name, ",
            "CAST(scheduled_job_id AS INTEGER) AS scheduled_job_id, ",
            "CAST(scheduled_run_id AS INTEGER) AS scheduled_run_id, ",
            "CAST(activity_job_id AS INTEGER) AS activity_job_id, CAST(status AS TEXT) AS status, ",
            $text,
            " AS recap_text, ",
            $json,
            " AS recap_json, ",
            "CAST(started_ts AS INTEGER) AS started_ts, CAST(finished_ts AS INTEGER) AS finished_ts, ",
            "CAST(created_at AS INTEGER) AS created_at, CAST(updated_at AS INTEGER) AS updated_at ",
            "FROM ansible_play_recaps ",
            $condition
        )
    };
}

fn read(row: &SqliteRow) -> Result<PlaybookRun, StoreError> {
    let row = Columns::of("ansible_play_recaps", row);
    Ok(PlaybookRun {
        id: row.get("id")?,
        reported: PlaybookReport {
            run_id: row.get("run_id")?,
            hostname: row.get("hostname")?,
            agent_id: row.get("agent_id")?,
            playbook_path: row.get("playbook_path")?,
            playbook_name: row.get("playbook_name")?,
            scheduled_job_id: row.get("scheduled_job_id")?,
            scheduled_run_id: row.get("scheduled_run_id")?,
            activity_job_id: row.get("activity_job_id")?,
            status: row.get("status")?,
            recap_text: row.get("recap_text")?,
            recap_json: row.get("recap_json")?,
            started_ts: row.get("started_ts")?,
            finished_ts: row.get("finished_ts")?,
        },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The columns of a playbook run, in the order of both statements that write one.
fn bound<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    run: &'q PlaybookRun,
) -> Query<'q, Sqlite, SqliteArguments> {
    let reported = &run.reported;
    query
        .bind(&reported.run_id)
        .bind(&reported.hostname)
        .bind(&reported.agent_id)
        .bind(&reported.playbook_path)
        .bind(&reported.playbook_name)
        .bind(reported.scheduled_job_id)
        .bind(reported.scheduled_run_id)
        .bind(reported.activity_job_id)
        .bind(&reported.status)
        .bind(&reported.recap_text)
        .bind(&reported.recap_json)
        .bind(reported.started_ts)
        .bind(reported.finished_ts)
        .bind(run.created_at)
        .bind(run.updated_at)
}

#[async_trait]
impl<A: Access> ReadPlaybookRuns for A {
    async fn find_playbook_run(&mut self, run_id: &str) -> Result<Option<PlaybookRun>, StoreError> {
        sqlx::query(select_playbook_runs!("WHERE run_id = $1"))
            .bind(run_id)
            .read_one(self.connection(), read)
            .await
    }

    async fn find_playbook_run_by_id(&mut self, id: i64) -> Result<Option<PlaybookRun>, StoreError> {
        sqlx::query(select_playbook_runs!("WHERE id = $1"))
            .bind(id)
            .read_one(self.connection(), read)
            .await
    }

    async fn playbook_run_of_activity(
        &mut self,
        activity_id: i64,
    ) -> Result<Option<PlaybookRun>, StoreError> {
        sqlx::query(select_playbook_runs!(
            "AS runs WHERE activity_job_id = $1 \
             ORDER BY COALESCE(runs.updated_at, runs.created_at) DESC, id DESC LIMIT 1"
        ))
        .bind(activity_id)
        .read_one(self.connection(), read)
        .await
    }

    async fn list_playbook_runs(
        &mut self,
        hostname: Option<&str>,
        limit: i64,
    ) -> Result<Vec<PlaybookRun>, StoreError> {
        // Each text may have megabytes, and no list shows one.
        sqlx::query(select_playbook_runs!(
            "NULL",
            "NULL",
            "AS runs WHERE $1 IS NULL OR hostname = $1 \
             ORDER BY COALESCE(runs.updated_at, runs.created_at) DESC, id DESC LIMIT $2"
        ))
        .bind(hostname)
        .bind(limit)
        .read_all(self.connection(), read)
        .await
    }

    async fn has_open_server_run(&mut self, scheduled_run_id: i64) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM ansible_play_recaps WHERE agent_id = 'server' \
             AND status IN ('Running', 'Pending') AND scheduled_run_id = $1)",
        )
        .bind(scheduled_run_id)
        .fetch_one(self.connection())
        .await?)
    }

    async fn open_server_runs(&mut self) -> Result<Vec<PlaybookRun>, StoreError> {
        sqlx::query(select_playbook_runs!(
            "WHERE agent_id = 'server' AND status IN ('Running', 'Pending') ORDER BY id"
        ))
        .read_all(self.connection(), read)
        .await
    }
}

#[async_trait]
impl WritePlaybookRuns for SqliteWork {
    async fn store_playbook_run(&mut self, run: &PlaybookRun) -> Result<(), StoreError> {
        // Two statements: an insert that meets the row would still use up an id.
        let updated = sqlx::query(
            "UPDATE ansible_play_recaps SET hostname = $2, agent_id = $3, playbook_path = $4, playbook_name = $5, \
             scheduled_job_id = $6, scheduled_run_id = $7, activity_job_id = $8, status = $9, recap_text = $10, \
             recap_json = $11, started_ts = $12, finished_ts = $13, updated_at = $15 WHERE run_id = $1",
        );
        if bound(updated, run)
            .execute(self.connection())
            .await?
            .rows_affected()
            == 0
        {
            let inserted = sqlx::query(
                "INSERT INTO ansible_play_recaps (run_id, hostname, agent_id, playbook_path, playbook_name, \
                 scheduled_job_id, scheduled_run_id, activity_job_id, status, recap_text, recap_json, started_ts, \
                 finished_ts, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            );
            bound(inserted, run).execute(self.connection()).await?;
        }
        Ok(())
    }

    async fn begin_server_run(&mut self, run: &ServerRun<'_>, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO ansible_play_recaps (run_id, hostname, agent_id, playbook_path, playbook_name, \
             scheduled_job_id, scheduled_run_id, activity_job_id, status, recap_text, recap_json, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'Pending', '', '', $9, $9)",
        )
        .bind(run.run_id)
        .bind(run.hostname)
        .bind(SERVER)
        .bind(run.playbook_path)
        .bind(run.playbook_name)
        .bind(run.scheduled.map(|(job, _)| job))
        .bind(run.scheduled.map(|(_, run)| run))
        .bind(run.activity_id)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn start_server_run(&mut self, run_id: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE ansible_play_recaps SET status = 'Running', started_ts = $2, updated_at = $2 WHERE run_id = $1",
        )
        .bind(run_id)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn finish_server_run(
        &mut self,
        run_id: &str,
        status: &str,
        text: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE ansible_play_recaps SET status = $2, recap_text = $3, recap_json = '{}', finished_ts = $4, \
             started_ts = COALESCE(started_ts, $4), updated_at = $4 WHERE run_id = $1",
        )
        .bind(run_id)
        .bind(status)
        .bind(text)
        .bind(now)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
