-- Devices, their keys and tokens, install codes and approvals. Run at every start: each statement leaves what exists alone.

CREATE TABLE IF NOT EXISTS devices (
    guid TEXT PRIMARY KEY,
    hostname TEXT,
    description TEXT,
    created_at INTEGER,
    agent_hash TEXT,
    memory TEXT,
    network TEXT,
    software TEXT,
    storage TEXT,
    cpu TEXT,
    device_type TEXT,
    domain TEXT,
    external_ip TEXT,
    internal_ip TEXT,
    last_reboot TEXT,
    last_seen INTEGER,
    last_user TEXT,
    operating_system TEXT,
    uptime INTEGER,
    agent_id TEXT,
    ansible_ee_ver TEXT,
    connection_type TEXT,
    connection_endpoint TEXT,
    ssl_key_fingerprint TEXT,
    token_version INTEGER DEFAULT 1,
    status TEXT DEFAULT 'active',
    key_added_at TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_devices_hostname ON devices(hostname);
CREATE INDEX IF NOT EXISTS idx_devices_ssl_key ON devices(ssl_key_fingerprint);
CREATE INDEX IF NOT EXISTS idx_devices_status ON devices(status);

CREATE TABLE IF NOT EXISTS device_keys (
    id TEXT PRIMARY KEY,
    guid TEXT NOT NULL,
    ssl_key_fingerprint TEXT NOT NULL,
    added_at TEXT NOT NULL,
    retired_at TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_device_keys_guid_fingerprint ON device_keys(guid, ssl_key_fingerprint);
CREATE INDEX IF NOT EXISTS idx_device_keys_guid ON device_keys(guid);

CREATE TABLE IF NOT EXISTS refresh_tokens (
    id TEXT PRIMARY KEY,
    guid TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    dpop_jkt TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT,
    last_used_at TEXT
);
CREATE INDEX IF NOT EXISTS idx_refresh_tokens_guid ON refresh_tokens(guid);
CREATE INDEX IF NOT EXISTS idx_refresh_tokens_expires_at ON refresh_tokens(expires_at);

CREATE TABLE IF NOT EXISTS enrollment_install_codes (
    id TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    expires_at TEXT NOT NULL,
    created_by_user_id TEXT,
    used_at TEXT,
    used_by_guid TEXT,
    max_uses INTEGER NOT NULL DEFAULT 1,
    use_count INTEGER NOT NULL DEFAULT 0,
    last_used_at TEXT
);
CREATE INDEX IF NOT EXISTS idx_eic_expires_at ON enrollment_install_codes(expires_at);

CREATE TABLE IF NOT EXISTS enrollment_install_codes_persistent (
    id TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    created_by_user_id TEXT,
    used_at TEXT,
    used_by_guid TEXT,
    max_uses INTEGER NOT NULL DEFAULT 1,
    last_known_use_count INTEGER NOT NULL DEFAULT 0,
    last_used_at TEXT,
    is_active INTEGER NOT NULL DEFAULT 1,
    archived_at TEXT,
    consumed_at TEXT
);
CREATE INDEX IF NOT EXISTS idx_eicp_active ON enrollment_install_codes_persistent(is_active, expires_at);
CREATE UNIQUE INDEX IF NOT EXISTS uq_eicp_code ON enrollment_install_codes_persistent(code);

CREATE TABLE IF NOT EXISTS device_approvals (
    id TEXT PRIMARY KEY,
    approval_reference TEXT NOT NULL UNIQUE,
    guid TEXT,
    hostname_claimed TEXT NOT NULL,
    ssl_key_fingerprint_claimed TEXT NOT NULL,
    enrollment_code_id TEXT NOT NULL,
    status TEXT NOT NULL,
    client_nonce TEXT NOT NULL,
    server_nonce TEXT NOT NULL,
    agent_pubkey_der BLOB NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    approved_by_user_id TEXT
);
CREATE INDEX IF NOT EXISTS idx_da_status ON device_approvals(status);
CREATE INDEX IF NOT EXISTS idx_da_fp_status ON device_approvals(ssl_key_fingerprint_claimed, status);
