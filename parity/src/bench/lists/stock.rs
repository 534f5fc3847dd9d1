//! What a large installation has: rows and files as the agents and the web client would have made them.

use std::{
    fmt::Write as _,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::bench::{BenchError, ServerError, ServerProcess, fleet::Member};

const SITES: usize = 200;
const VIEWS: usize = 50;
const SCRIPTS: usize = 2000;
const SCRIPTS_IN_A_FOLDER: usize = 10;
const JOBS: usize = 500;
/// Hosts that each job is for.
const HOSTS_OF_A_JOB: usize = 4;
/// Days for which runs are kept; a job runs once a day.
const DAYS: usize = 30;
const DAY: u64 = 86_400;
/// Bytes of a device's inventory, as stored.
const INVENTORY: usize = 10_000;
/// Those of every tenth.
const LARGE_INVENTORY: usize = 100_000;
/// What a script printed.
const OUTPUT: &str =
    "Reading package lists...\nBuilding dependency tree...\n0 upgraded, 0 newly installed, 0 to remove.\n";

#[derive(Clone, Copy, Debug)]
pub(super) struct Stock {
    devices: usize,
    with_inventories: bool,
}

impl Stock {
    pub(super) fn whole(devices: usize) -> Self {
        Self {
            devices,
            with_inventories: true,
        }
    }

    pub(super) fn without_inventories(devices: usize) -> Self {
        Self {
            devices,
            with_inventories: false,
        }
    }

    /// Starts a server over all this.
    pub(super) async fn fill(self, engine: &Path) -> Result<ServerProcess, BenchError> {
        // The first start makes the tables.
        let server = ServerProcess::start(engine).await?;
        self.insert(&server.database()).await?;
        place_scripts(&server)?;
        Ok(server.restart(engine).await?)
    }

    async fn insert(self, database: &Path) -> Result<(), sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .create_if_missing(false);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let mut work = connection.begin().await?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        insert_sites_and_views(&mut work, now).await?;
        self.insert_devices(&mut work, now).await?;
        self.insert_jobs(&mut work, now).await?;
        work.commit().await?;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut connection)
            .await?;
        connection.close().await
    }

    async fn insert_devices(self, work: &mut SqliteConnection, now: u64) -> Result<(), sqlx::Error> {
        let usual = Inventory::of(INVENTORY);
        let large = Inventory::of(LARGE_INVENTORY);
        for number in 0..self.devices {
            let member = Member::new(number);
            let inventory = if number % 10 == 9 { &large } else { &usual };
            let inventory = self.with_inventories.then_some(inventory);
            sqlx::query(
                "INSERT INTO devices (guid, hostname, description, created_at, agent_hash, memory, network, software, \
                 storage, cpu, device_type, domain, external_ip, internal_ip, last_reboot, last_seen, last_user, \
                 operating_system, uptime, agent_id, ssl_key_fingerprint, token_version, status, key_added_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'Workstation', 'LOAD', $11, $12, \
                 '2026-11-01 08:15:00', $13, $14, 'Microsoft Windows 11 Pro 24H2', 3600, $15, $16, 1, 'active', \
                 '2026-01-01T00:00:00+00:00')",
            )
            .bind(&member.guid)
            .bind(&member.hostname)
            .bind(format!("Desk {number}, second floor"))
            .bind(as_integer(now - DAY))
            .bind("0123456789abcdef0123456789abcdef01234567")
            .bind(inventory.map(|inventory| &inventory.memory))
            .bind(inventory.map(|inventory| &inventory.network))
            .bind(inventory.map(|inventory| &inventory.software))
            .bind(inventory.map(|inventory| &inventory.storage))
            .bind(inventory.map(|inventory| &inventory.cpu))
            .bind(format!("203.0.113.{}", number % 250))
            .bind(format!("10.{}.{}.{}", number / 62_500, number / 250 % 250, number % 250))
            .bind(as_integer(now))
            .bind(format!("LOAD\\user{number}"))
            .bind(member.agent_id())
            .bind(member.fingerprint())
            .execute(&mut *work)
            .await?;
            member.insert_refresh_token(work).await?;
            // One in ten is in no site.
            if number % 10 != 0 {
                sqlx::query(
                    "INSERT INTO device_sites (device_hostname, site_id, assigned_at) VALUES ($1, $2, $3)",
                )
                .bind(&member.hostname)
                .bind(row_id(number % SITES))
                .bind(as_integer(now))
                .execute(&mut *work)
                .await?;
            }
        }
        Ok(())
    }

    async fn insert_jobs(self, work: &mut SqliteConnection, now: u64) -> Result<(), sqlx::Error> {
        // Half a day from the next occurrence: nothing runs while it is measured.
        let latest = now - DAY / 2;
        let mut activity = 0;
        for number in 0..JOBS {
            let job = row_id(number);
            let hosts: Vec<_> = (0..HOSTS_OF_A_JOB)
                .map(|host| Member::new((number * HOSTS_OF_A_JOB + host) % self.devices).hostname)
                .collect();
            let script = script_path(number);
            sqlx::query(
                "INSERT INTO scheduled_jobs (id, name, components_json, targets_json, schedule_type, start_ts, \
                 execution_context, enabled, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, 'daily', $5, 'system', 1, $5, $5)",
            )
            .bind(job)
            .bind(format!("Job {number}"))
            .bind(json!([{"type": "script", "path": script, "name": "Load", "variables": []}]).to_string())
            .bind(json!(hosts).to_string())
            .bind(as_integer(latest - (DAYS as u64 - 1) * DAY))
            .execute(&mut *work)
            .await?;
            for day in (0..DAYS as u64).rev() {
                let at = as_integer(latest - day * DAY);
                for host in &hosts {
                    activity += 1;
                    insert_run(work, activity, job, host, &script, at).await?;
                }
            }
        }
        Ok(())
    }
}

/// A run, what it printed, and that the one belongs to the other.
async fn insert_run(
    work: &mut SqliteConnection,
    id: i64,
    job: i64,
    host: &str,
    script: &str,
    at: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO scheduled_job_runs (id, job_id, scheduled_ts, started_ts, finished_ts, status, error, created_at, \
         updated_at, target_hostname) VALUES ($1, $2, $3, $3, $3 + 5, 'Success', '', $3, $3, $4)",
    )
    .bind(id)
    .bind(job)
    .bind(at)
    .bind(host)
    .execute(&mut *work)
    .await?;
    sqlx::query(
        "INSERT INTO activity_history (id, hostname, script_path, script_name, script_type, ran_at, status, stdout, \
         stderr) VALUES ($1, $2, $3, 'Load', 'powershell', $4, 'Success', $5, '')",
    )
    .bind(id)
    .bind(host)
    .bind(script)
    .bind(at)
    .bind(OUTPUT.repeat(5))
    .execute(&mut *work)
    .await?;
    sqlx::query(
        "INSERT INTO scheduled_job_run_activity (run_id, activity_id, component_kind, script_type, component_path, \
         component_name, created_at) VALUES ($1, $1, 'script', 'powershell', $2, 'Load', $3)",
    )
    .bind(id)
    .bind(script)
    .bind(at)
    .execute(work)
    .await?;
    Ok(())
}

async fn insert_sites_and_views(work: &mut SqliteConnection, now: u64) -> Result<(), sqlx::Error> {
    for number in 0..SITES {
        sqlx::query("INSERT INTO sites (id, name, description, created_at) VALUES ($1, $2, $3, $4)")
            .bind(row_id(number))
            .bind(format!("Site {number}"))
            .bind("An office")
            .bind(as_integer(now))
            .execute(&mut *work)
            .await?;
    }
    for number in 0..VIEWS {
        sqlx::query(
            "INSERT INTO device_list_views (name, columns_json, filters_json, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $4)",
        )
        .bind(format!("View {number}"))
        .bind(
            json!([
                "status",
                "site",
                "hostname",
                "description",
                "lastUser",
                "type",
                "os"
            ])
            .to_string(),
        )
        .bind(json!({"site": format!("Site {number}")}).to_string())
        .bind(as_integer(now))
        .execute(&mut *work)
        .await?;
    }
    Ok(())
}

fn place_scripts(server: &ServerProcess) -> Result<(), ServerError> {
    for number in 0..SCRIPTS {
        let document = json!({
            "version": 1, "name": format!("Script {number}"), "description": "", "category": "script",
            "type": "powershell", "script": "Write-Output 1\n".repeat(20), "variables": [], "files": [],
        });
        let path = format!("Assemblies/Scripts/{}", script_path(number));
        server.place_file(&path, &document.to_string())?;
    }
    Ok(())
}

fn script_path(number: usize) -> String {
    format!("Folder {}/script-{number}.json", number / SCRIPTS_IN_A_FOLDER)
}

/// Columns of a device, in the text form that both servers store.
#[derive(Debug)]
struct Inventory {
    memory: String,
    network: String,
    software: String,
    storage: String,
    cpu: String,
}

impl Inventory {
    /// Of about this many bytes, most of them software.
    fn of(bytes: usize) -> Self {
        let several = |count: usize, item: fn(usize) -> Value| {
            let items: Vec<_> = (0..count).map(|number| stored(&item(number))).collect();
            format!("[{}]", items.join(", "))
        };
        let mut inventory = Self {
            memory: several(
                4,
                |slot| json!({"slot": format!("DIMM {slot}"), "speed": "3200", "serial": format!("5A1B{slot}"), "capacity": 8_589_934_592_u64}),
            ),
            network: several(
                3,
                |number| json!({"adapter": format!("Ethernet {number}"), "ips": ["10.0.0.1", "fe80::1"], "mac": "00:11:22:33:44:55"}),
            ),
            storage: several(
                3,
                |number| json!({"drive": format!("{number}:"), "disk_type": "Fixed Disk", "usage": 41.5, "total": 512_110_190_592_u64, "free": 299_584_000_000_u64, "used": 212_526_190_592_u64}),
            ),
            cpu: stored(
                &json!({"name": "AMD Ryzen 7 PRO 5850U", "logical_cores": 16, "physical_cores": 8, "base_clock_ghz": 1.9}),
            ),
            software: String::new(),
        };
        let others =
            inventory.memory.len() + inventory.network.len() + inventory.storage.len() + inventory.cpu.len();
        let mut software = String::from("[");
        for number in 0.. {
            if software.len() + others >= bytes {
                break;
            }
            let comma = if number > 0 { ", " } else { "" };
            // One name in eight is not ASCII.
            let mark = if number % 8 == 0 { "\\u00ae" } else { "" };
            // Writing to a text cannot fail.
            let _ = write!(
                software,
                "{comma}{{\"name\": \"Package{mark} {number} for Windows\", \"version\": \"{}.{}.4567\"}}",
                number % 17,
                number % 10
            );
        }
        software.push(']');
        inventory.software = software;
        inventory
    }
}

/// A value without texts that hold commas or colons, with blanks behind both as Python writes it, its members as agents
/// send them: in no order.
fn stored(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, member)| format!("\"{name}\": {}", stored(member)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(stored).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn row_id(number: usize) -> i64 {
    i64::try_from(number).map_or(i64::MAX, |number| number + 1)
}

fn as_integer(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_json_of_the_size_that_is_asked_for() {
        for bytes in [INVENTORY, LARGE_INVENTORY] {
            let inventory = Inventory::of(bytes);
            let columns = [
                &inventory.memory,
                &inventory.network,
                &inventory.software,
                &inventory.storage,
                &inventory.cpu,
            ];
            let mut all = 0;
            for column in columns {
                all += column.len();
                serde_json::from_str::<Value>(column).unwrap();
            }
            assert!((bytes..bytes + 100).contains(&all), "{all}");
        }
    }
}
