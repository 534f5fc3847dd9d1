-- The engine's own: work that was begun and whose arrival at the agent is not known, so that a restart can send it again.
-- The legacy does not know this table and needs nothing of it. Run at every start: it leaves what exists alone.

CREATE TABLE IF NOT EXISTS engine_undelivered_work (
    activity_id INTEGER PRIMARY KEY,
    component_index INTEGER NOT NULL
);
