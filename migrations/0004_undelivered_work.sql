-- The engine's own: work that was begun and whose arrival at the agent is not known, so that a restart can send it again.
-- The legacy does not know this table and needs nothing of it. Run at every start: it leaves what exists alone; columns
-- that an older engine's table lacks are added beside it.

CREATE TABLE IF NOT EXISTS engine_undelivered_work (
    activity_id INTEGER PRIMARY KEY,
    -- The place of the component in its scheduled job.
    component_index INTEGER NOT NULL,
    -- How often it was sent, or was about to be: counted before the first byte leaves.
    sends INTEGER NOT NULL DEFAULT 0,
    -- NULL for scheduled jobs. Empty for a quick run; sealed, how it was asked for, where an older engine wrote the row.
    request BLOB,
    -- Seconds that the result of a quick run may take once it has arrived; NULL where nobody waits for it.
    patience INTEGER,
    -- Until when that may come, in Unix seconds, once it has arrived: the work is delivered then, and its result is awaited.
    until INTEGER,
    -- How a quick run was asked for, which its other hosts share; NULL for scheduled jobs and older rows.
    request_id INTEGER,
    -- The id of a playbook's run.
    run_id TEXT
);
