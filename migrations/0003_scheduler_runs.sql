-- The scheduler's runs. Run at every start: each statement leaves what exists alone.

CREATE TABLE IF NOT EXISTS scheduled_job_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL,
    scheduled_ts INTEGER,
    started_ts INTEGER,
    finished_ts INTEGER,
    status TEXT,
    error TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    target_hostname TEXT,
    FOREIGN KEY(job_id) REFERENCES scheduled_jobs(id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS idx_runs_job_sched_target ON scheduled_job_runs(job_id, scheduled_ts, target_hostname);

CREATE TABLE IF NOT EXISTS scheduled_job_run_activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL,
    activity_id INTEGER NOT NULL,
    component_kind TEXT,
    script_type TEXT,
    component_path TEXT,
    component_name TEXT,
    created_at INTEGER,
    FOREIGN KEY(run_id) REFERENCES scheduled_job_runs(id) ON DELETE CASCADE,
    FOREIGN KEY(activity_id) REFERENCES activity_history(id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS idx_run_activity_run ON scheduled_job_run_activity(run_id);
CREATE UNIQUE INDEX IF NOT EXISTS idx_run_activity_activity ON scheduled_job_run_activity(activity_id);
