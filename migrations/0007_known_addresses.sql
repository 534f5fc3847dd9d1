-- The engine's own: from where operators have logged in, so that wrong guesses of strangers keep nobody out of his account.
-- The legacy does not know this table and needs nothing of it. Run at every start: it leaves what exists alone.

CREATE TABLE IF NOT EXISTS engine_known_addresses (
    -- In lower case, as names are compared.
    username TEXT NOT NULL,
    -- An IPv4 address, or the network of an IPv6 one.
    address TEXT NOT NULL,
    -- Unix seconds of the last login from there.
    last_login INTEGER NOT NULL
);
