-- The engine's own: quick runs whose devices have confirmed them, and until when a result may come. A device that lost it, or
-- that never reports, must not leave its activity running for good. The legacy does not know this table and needs nothing of
-- it. Run at every start: it leaves what exists alone.

CREATE TABLE IF NOT EXISTS engine_awaited_results (
    activity_id INTEGER PRIMARY KEY,
    -- Unix seconds.
    until INTEGER NOT NULL
);
