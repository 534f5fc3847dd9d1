-- The engine's own: which sessions of operators have ended. Cookies and tokens are signed and kept by clients, in a form
-- that the legacy shares, so their ends are kept here and judged by the time at which they were issued. The legacy does
-- not know these tables and needs nothing of them. Run at every start: it leaves what exists alone.

CREATE TABLE IF NOT EXISTS engine_operator_accounts (
    -- The account's name as LOWER makes it.
    name TEXT PRIMARY KEY NOT NULL,
    -- A digest of row, password and role as they were last seen; NULL where the account was deleted.
    state TEXT,
    -- Unix seconds: what was issued until then has ended. NULL where nothing has.
    ended_at INTEGER,
    -- How often that was.
    ends INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS engine_operator_sessions (
    name TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    -- '' where the session was logged out; else a digest of the signature of one that was issued after the end with which
    -- it shares its second.
    signature TEXT NOT NULL,
    PRIMARY KEY (name, issued_at, signature)
) WITHOUT ROWID;
