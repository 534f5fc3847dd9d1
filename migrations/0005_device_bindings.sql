-- The engine's own: which device work was begun for, and which device a service account belongs to. The legacy does not
-- know these tables and needs nothing of them. Run at every start: it leaves what exists alone.

CREATE TABLE IF NOT EXISTS engine_activity_devices (
    activity_id INTEGER PRIMARY KEY,
    -- As in the activity: a note of another row's says nothing.
    hostname TEXT,
    -- NULL where no device had this host name then.
    guid TEXT
);

CREATE TABLE IF NOT EXISTS engine_account_devices (
    agent_id TEXT PRIMARY KEY,
    -- Empty where it was nobody's at the first start.
    guid TEXT NOT NULL
) WITHOUT ROWID;
