-- The engine's own: what operators asked quick runs for, once for all the hosts that still wait for it. The legacy does not
-- know this table and needs nothing of it. Run at every start: it leaves what exists alone; the index by which rows of
-- undelivered work are found here is made beside it, once an older engine's table has its column.

CREATE TABLE IF NOT EXISTS engine_quick_run_requests (
    id INTEGER PRIMARY KEY,
    -- Sealed.
    request BLOB NOT NULL
);
