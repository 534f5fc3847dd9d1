-- What operators see and set: history, views, sites, accounts, credentials, jobs. Run at every start: each statement leaves what exists alone.

CREATE TABLE IF NOT EXISTS activity_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hostname TEXT,
    script_path TEXT,
    script_name TEXT,
    script_type TEXT,
    ran_at INTEGER,
    status TEXT,
    stdout TEXT,
    stderr TEXT
);

CREATE TABLE IF NOT EXISTS device_list_views (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE NOT NULL,
    columns_json TEXT NOT NULL,
    filters_json TEXT,
    created_at INTEGER,
    updated_at INTEGER
);

CREATE TABLE IF NOT EXISTS sites (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE NOT NULL,
    description TEXT,
    created_at INTEGER
);

CREATE TABLE IF NOT EXISTS device_sites (
    device_hostname TEXT UNIQUE NOT NULL,
    site_id INTEGER NOT NULL,
    assigned_at INTEGER,
    FOREIGN KEY(site_id) REFERENCES sites(id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT UNIQUE NOT NULL,
    display_name TEXT,
    password_sha512 TEXT NOT NULL,
    role TEXT NOT NULL DEFAULT 'Admin',
    last_login INTEGER,
    created_at INTEGER,
    updated_at INTEGER,
    mfa_enabled INTEGER NOT NULL DEFAULT 0,
    mfa_secret TEXT
);

CREATE TABLE IF NOT EXISTS ansible_play_recaps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT UNIQUE NOT NULL,
    hostname TEXT,
    agent_id TEXT,
    playbook_path TEXT,
    playbook_name TEXT,
    scheduled_job_id INTEGER,
    scheduled_run_id INTEGER,
    activity_job_id INTEGER,
    status TEXT,
    recap_text TEXT,
    recap_json TEXT,
    started_ts INTEGER,
    finished_ts INTEGER,
    created_at INTEGER,
    updated_at INTEGER
);
CREATE INDEX IF NOT EXISTS idx_ansible_recaps_host_created ON ansible_play_recaps(hostname, created_at);
CREATE INDEX IF NOT EXISTS idx_ansible_recaps_status ON ansible_play_recaps(status);

CREATE TABLE IF NOT EXISTS agent_service_account (
    agent_id TEXT PRIMARY KEY,
    username TEXT NOT NULL,
    password_hash BLOB,
    password_encrypted BLOB NOT NULL,
    last_rotated_utc TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS credentials (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    site_id INTEGER,
    credential_type TEXT NOT NULL DEFAULT 'machine',
    connection_type TEXT NOT NULL DEFAULT 'ssh',
    username TEXT,
    password_encrypted BLOB,
    private_key_encrypted BLOB,
    private_key_passphrase_encrypted BLOB,
    become_method TEXT,
    become_username TEXT,
    become_password_encrypted BLOB,
    metadata_json TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    FOREIGN KEY(site_id) REFERENCES sites(id) ON DELETE SET NULL
);

CREATE TABLE IF NOT EXISTS github_token (
    token TEXT
);

CREATE TABLE IF NOT EXISTS scheduled_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    components_json TEXT NOT NULL,
    targets_json TEXT NOT NULL,
    schedule_type TEXT NOT NULL,
    start_ts INTEGER,
    duration_stop_enabled INTEGER DEFAULT 0,
    expiration TEXT,
    execution_context TEXT NOT NULL,
    credential_id INTEGER,
    use_service_account INTEGER NOT NULL DEFAULT 1,
    enabled INTEGER DEFAULT 1,
    created_at INTEGER,
    updated_at INTEGER
);
