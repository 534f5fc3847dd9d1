//! Who may call which route and send which event: every one of them, tried by everybody. The approved texts are the
//! table of it; a change there is a change of who gets in. `cargo insta review` approves one.

use std::fmt::Write as _;

use borealis_engine::interfaces::{events::EVENTS, http::routes};
use serde_json::{Value, json};

use crate::testkit::{
    START,
    rows::{self, Device},
    server::Server,
    socket::Client,
};

/// What everybody tries names this device, but for devices that try for themselves.
const TARGET: Device = rows::WIN_1;
const FOREIGN: Device = rows::WIN_2;
const QUARANTINED: Device =
    Device::new("00000000-0000-4000-8000-000000000003", "WIN-Q", "ef").with_status("quarantined");
const REVOKED: Device =
    Device::new("00000000-0000-4000-8000-000000000004", "WIN-R", "09").with_status("revoked");

#[derive(Clone, Copy, Debug)]
enum Caller {
    Nobody,
    /// The password was right, the code is still to come.
    MfaPending,
    User,
    Admin,
    /// An administrator whose role was taken away.
    Demoted,
    /// An administrator whose account is gone.
    Deleted,
    /// An operator who has logged out.
    LoggedOut,
    Device,
    /// A device that asks for another one.
    ForeignDevice,
    QuarantinedDevice,
    RevokedDevice,
    /// A device's token where operators' cookies go, an operator's cookie where a token goes.
    MisplacedTokens,
}

const CALLERS: [(Caller, &str); 12] = [
    (Caller::Nobody, "nobody"),
    (Caller::MfaPending, "MFA pending"),
    (Caller::User, "User"),
    (Caller::Admin, "Admin"),
    (Caller::Demoted, "demoted"),
    (Caller::Deleted, "deleted"),
    (Caller::LoggedOut, "logged out"),
    (Caller::Device, "device"),
    (Caller::ForeignDevice, "foreign device"),
    (Caller::QuarantinedDevice, "quarantined device"),
    (Caller::RevokedDevice, "revoked device"),
    (Caller::MisplacedTokens, "misplaced tokens"),
];

impl Caller {
    /// The device that its requests name.
    fn names(self) -> &'static Device {
        match self {
            Self::QuarantinedDevice => &QUARANTINED,
            Self::RevokedDevice => &REVOKED,
            _ => &TARGET,
        }
    }

    /// A server on which this caller has made ready, and the headers of all its requests.
    async fn arrive(self, policy: &'static str) -> (Server, Vec<(&'static str, String)>) {
        let server = Server::start(policy, rows::devices(&[TARGET, FOREIGN, QUARANTINED, REVOKED])).await;
        server.file("Assemblies/Scripts/hello.ps1", "Write-Output hello\n");
        server.file("Assemblies/Scripts/other.ps1", "Write-Output other\n");
        server.file("Assemblies/Ansible_Playbooks/hello.yml", "- hosts: all\n");
        let admin = server.log_in().await;
        let as_admin = async |method: &str, path: &str, body: Value| {
            let (status, answer) = server
                .ask(method, path, &[("cookie", &admin)], &body.to_string())
                .await;
            assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        };
        as_admin(
            "POST",
            "/api/credentials",
            json!({"name": "c", "connection_type": "winrm", "username": "u", "password": "p"}),
        )
        .await;
        as_admin("POST", "/api/scheduled_jobs", job()).await;
        as_admin(
            "POST",
            "/api/scripts/quick_run",
            json!({"script_path": "Scripts/hello.ps1", "hostnames": ["WIN-1"]}),
        )
        .await;
        let account = async |name: &str, role: &str| {
            let digest = sha512_of_password();
            as_admin(
                "POST",
                "/api/users",
                json!({"username": name, "role": role, "password_sha512": digest}),
            )
            .await;
        };
        account("uma", "User").await;
        account("bob", "Admin").await;
        let device = |host: &Device| server.token(host.guid, host.fingerprint, 1, START);
        let headers = match self {
            Self::Nobody => vec![],
            Self::MfaPending => {
                as_admin("POST", "/api/users/uma/mfa", json!({"enabled": true})).await;
                vec![("cookie", cookies(&server, "uma").await)]
            }
            Self::User => vec![("cookie", cookies(&server, "uma").await)],
            Self::Admin => vec![("cookie", admin.clone())],
            Self::Demoted => {
                let session = cookies(&server, "bob").await;
                as_admin("POST", "/api/users/bob/role", json!({"role": "User"})).await;
                vec![("cookie", session)]
            }
            Self::Deleted => {
                let session = cookies(&server, "bob").await;
                as_admin("DELETE", "/api/users/bob", json!({})).await;
                vec![("cookie", session)]
            }
            Self::LoggedOut => {
                let session = cookies(&server, "bob").await;
                let (status, _) = server
                    .ask("POST", "/api/auth/logout", &[("cookie", &session)], "")
                    .await;
                assert_eq!(status, 200);
                vec![("cookie", session)]
            }
            Self::Device => vec![bearer(&device(&TARGET))],
            Self::ForeignDevice => vec![bearer(&device(&FOREIGN))],
            Self::QuarantinedDevice => vec![bearer(&device(&QUARANTINED))],
            Self::RevokedDevice => vec![bearer(&device(&REVOKED))],
            Self::MisplacedTokens => {
                let token = device(&TARGET);
                let session = admin
                    .split("; ")
                    .find_map(|cookie| cookie.strip_prefix("session="))
                    .unwrap();
                vec![
                    ("cookie", format!("session={token}; borealis_auth={token}")),
                    bearer(session),
                ]
            }
        };
        (server, headers)
    }
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

fn sha512_of_password() -> String {
    use sha2::Digest as _;

    sha2::Sha512::digest("Password")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn cookies(server: &Server, name: &str) -> String {
    server.log_in_as(name).await
}

fn job() -> Value {
    json!({
        "name": "tidy",
        "components": [{"type": "script", "path": "Scripts/hello.ps1"}],
        "targets": ["WIN-1"],
        "schedule": {"type": "once", "start": "2030-01-01T00:00:00Z"},
    })
}

/// A request that the route would grant, where `host` is the device that it is about.
fn request(method: &str, path: &str, host: &Device) -> (String, Value) {
    let agent = format!("{}_{}_SYSTEM", host.hostname, host.guid);
    let filled = path
        // These routes are about devices that no agent runs on.
        .replace("/ssh_devices/{hostname}", "/ssh_devices/ssh-1")
        .replace("/winrm_devices/{hostname}", "/winrm_devices/winrm-1")
        .replace("{guid}", host.guid)
        .replace("{username}", "uma")
        .replace("{id:int}", "1")
        .replace("{id}", "none")
        .replace("{hostname}", host.hostname)
        .replace("{agent_id}", &agent)
        .replace("{node_id}", "n1")
        .replace("/assembly/list", "/assembly/list?island=scripts")
        .replace("/assembly/load", "/assembly/load?island=scripts&path=hello.ps1");
    let body = match (method, path) {
        ("GET" | "DELETE" | "OPTIONS", _) | (_, "/api/auth/logout" | "/api/auth/mfa/verify") => json!({}),
        (_, "/api/auth/login") => json!({"username": "admin", "password": "Password"}),
        (_, "/api/users") => {
            json!({"username": "new", "role": "User", "password_sha512": sha512_of_password()})
        }
        (_, "/api/users/{username}/mfa") => json!({"enabled": false}),
        (_, "/api/users/{username}/reset_password") => json!({"password_sha512": sha512_of_password()}),
        (_, "/api/users/{username}/role") => json!({"role": "User"}),
        ("POST", "/api/credentials") => {
            json!({"name": "d", "connection_type": "winrm", "username": "u", "password": "p"})
        }
        ("PUT", "/api/credentials/{id:int}") => json!({"description": "changed"}),
        (_, "/api/agent/enroll/request" | "/api/agent/enroll/poll") => json!({}),
        (_, "/api/agent/token/refresh") => json!({"guid": host.guid, "refresh_token": "refresh"}),
        (_, "/api/agent/heartbeat") => json!({"hostname": host.hostname}),
        (_, "/api/agent/script/request") => json!({"guid": host.guid}),
        (_, "/api/agent/hash") => json!({"agent_guid": host.guid, "agent_hash": "abc", "agent_id": agent}),
        (_, "/api/agent/details") => {
            json!({"hostname": host.hostname, "agent_id": agent, "details": {"summary": {"hostname": host.hostname}}})
        }
        (_, "/api/agent/checkin") => json!({"agent_id": agent, "hostname": host.hostname}),
        (_, "/api/agent/service-account/rotate") => json!({"agent_id": agent}),
        ("POST" | "PUT", "/api/scheduled_jobs" | "/api/scheduled_jobs/{id:int}") => job(),
        (_, "/api/scheduled_jobs/{id:int}/toggle") => json!({"enabled": true}),
        (_, "/api/scripts/quick_run") => {
            json!({"script_path": "Scripts/hello.ps1", "hostnames": [host.hostname]})
        }
        (_, "/api/ansible/quick_run") => {
            json!({"playbook_path": "hello.yml", "hostnames": [host.hostname]})
        }
        (_, "/api/assembly/create") => {
            json!({"island": "scripts", "kind": "file", "path": "new", "content": {}})
        }
        (_, "/api/assembly/edit") => json!({"island": "scripts", "path": "other.ps1", "content": {}}),
        (_, "/api/assembly/rename") => {
            json!({"island": "scripts", "kind": "file", "path": "other.json", "new_name": "third"})
        }
        (_, "/api/assembly/move") => {
            json!({"island": "scripts", "path": "third.json", "new_path": "last.json"})
        }
        (_, "/api/assembly/delete") => json!({"island": "scripts", "kind": "file", "path": "last.json"}),
        (_, deprecated)
            if [
                "save",
                "rename_file",
                "move_file",
                "delete_file",
                "create_folder",
                "delete_folder",
                "rename_folder",
            ]
            .iter()
            .any(|name| ["/api/scripts/", "/api/ansible/"].contains(&deprecated.trim_end_matches(name))) =>
        {
            json!({"path": "Scripts/hello.ps1", "content": "x", "new_name": "bye", "new_path": "Scripts/bye.ps1"})
        }
        (_, "/api/ansible/recap/report") => {
            json!({"run_id": "r1", "hostname": host.hostname, "status": "Running"})
        }
        ("POST", "/api/ssh_devices") => json!({"hostname": "ssh-1", "address": "192.0.2.7"}),
        ("POST", "/api/winrm_devices") => json!({"hostname": "winrm-1", "address": "192.0.2.8"}),
        ("PUT", "/api/ssh_devices/{hostname}" | "/api/winrm_devices/{hostname}") => {
            json!({"description": "d"})
        }
        (_, "/api/device/description/{hostname}") => json!({"description": "front desk"}),
        (_, "/api/sites") => json!({"name": "Berlin"}),
        (_, "/api/sites/rename") => json!({"id": 1, "new_name": "Bonn"}),
        (_, "/api/sites/assign") => json!({"site_id": 1, "hostnames": [host.hostname]}),
        (_, "/api/sites/delete") => json!({"ids": [1]}),
        ("POST", "/api/device_list_views") => json!({"name": "Servers", "columns": ["hostname"]}),
        ("PUT", "/api/device_list_views/{id:int}") => json!({"name": "Clients"}),
        (_, "/api/agent/provision") => json!({"agent_id": agent, "roles": []}),
        // Neither reads a field that it must have.
        (_, "/api/ocr" | "/api/proxy") => json!({}),
        (_, "/api/github/token") => json!({"token": ""}),
        (_, "/api/admin/enrollment-codes") => json!({"ttl_hours": 1}),
        (_, "/api/admin/device-approvals/{id}/approve" | "/api/admin/device-approvals/{id}/deny") => {
            json!({})
        }
        _ => panic!("say what a good request of {method} {path} is"),
    };
    (filled, body)
}

/// Requests of which the route alone does not say who may make them.
fn requests_for_more() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let with = |members: Value| {
        let mut job = job();
        let more = members.as_object().unwrap().clone();
        job.as_object_mut().unwrap().extend(more);
        job
    };
    let credential = with(json!({"execution_context": "winrm", "credential_id": 1}));
    let ssh = with(json!({"execution_context": "ssh", "credential_id": 1}));
    vec![
        (
            "a playbook that logs in with a stored credential",
            "POST",
            "/api/ansible/quick_run",
            json!({"playbook_path": "hello.yml", "hostnames": ["WIN-1"], "credential_id": 1}),
        ),
        (
            "a new playbook",
            "POST",
            "/api/assembly/create",
            json!({"island": "ansible", "kind": "file", "path": "new", "content": {}}),
        ),
        (
            "a job with a stored credential",
            "POST",
            "/api/scheduled_jobs",
            credential.clone(),
        ),
        ("a job over SSH", "POST", "/api/scheduled_jobs", ssh),
        (
            "a stored credential for a job that has none",
            "PUT",
            "/api/scheduled_jobs/1",
            credential,
        ),
    ]
}

/// An event that its handler would take.
fn event(name: &str, host: &Device) -> Value {
    let agent = format!("{}_{}_SYSTEM", host.hostname, host.guid);
    match name {
        "connect_agent" => json!({"agent_id": agent, "service_mode": "system"}),
        "agent_heartbeat" => json!({"agent_id": agent, "hostname": host.hostname, "service_mode": "system"}),
        "collector_status" => {
            json!({"agent_id": agent, "hostname": host.hostname, "active": true, "last_user": "ann"})
        }
        "job_status_request" => Value::Null,
        "request_config" | "list_agent_windows" => json!({"agent_id": agent}),
        "screenshot" => json!({"agent_id": agent, "image_base64": "AAAA"}),
        "agent_screenshot_task" => json!({"agent_id": agent, "node_id": "n1", "image_base64": "AAAA"}),
        "macro_status" => json!({"agent_id": agent, "node_id": "n1", "success": true}),
        "agent_window_list" => json!({"agent_id": agent, "windows": []}),
        "ansible_playbook_run" => {
            json!({"target_hostname": host.hostname, "playbook_content": "- hosts: all"})
        }
        "ansible_playbook_cancel" => json!({"agent_id": agent, "run_id": "r1"}),
        "quick_job_result" => json!({"job_id": 1, "status": "Success"}),
        _ => panic!("say what a good {name} is"),
    }
}

/// For one route or event: what came of it, and for whom, in the order in which it was seen first.
#[derive(Default)]
struct Outcomes(Vec<(String, Vec<&'static str>)>);

impl Outcomes {
    fn add(&mut self, outcome: String, caller: &'static str) {
        match self.0.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, callers)) => callers.push(caller),
            None => self.0.push((outcome, vec![caller])),
        }
    }

    fn write(&self, text: &mut String, what: &str) {
        writeln!(text, "\n{what}").unwrap();
        for (outcome, callers) in &self.0 {
            let all = match callers.len() {
                count if count == CALLERS.len() => "everybody".to_owned(),
                _ => callers.join(", "),
            };
            writeln!(text, "    {outcome}: {all}").unwrap();
        }
    }
}

/// The status, and the error's code where the answer has one.
fn outcome((status, body): (u16, String)) -> String {
    let error = serde_json::from_str::<Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
    match error {
        Some(error) => format!("{status} {error}"),
        None => status.to_string(),
    }
}

/// Every route, those last that take something away for those who come after.
fn all_routes() -> Vec<(&'static str, String)> {
    let table = routes::table();
    let mut all: Vec<_> = table
        .listing()
        .map(|(method, path)| (method, path.to_owned()))
        .collect();
    all.push(("GET", "/health".to_owned()));
    all.sort_by_key(|(method, path)| (path == "/api/auth/logout", *method == "DELETE"));
    all
}

async fn table(policy: &'static str) -> String {
    let listed = all_routes();
    let mut by_route: Vec<Outcomes> = listed.iter().map(|_| Outcomes::default()).collect();
    let mut by_event: Vec<Outcomes> = EVENTS.iter().map(|_| Outcomes::default()).collect();
    let for_more = requests_for_more();
    let mut by_more: Vec<Outcomes> = for_more.iter().map(|_| Outcomes::default()).collect();
    for (caller, name) in CALLERS {
        let (server, headers) = caller.arrive(policy).await;
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        // Events first: a route may end the session.
        let mut socket = Client::join_new(&server, &headers).await;
        for (event_name, outcomes) in EVENTS.iter().zip(&mut by_event) {
            socket
                .send(&format!(
                    "427[\"{event_name}\",{}]",
                    event(event_name, caller.names())
                ))
                .await;
            let is_done = socket.frames().await.iter().any(|frame| frame == "437[]");
            let outcome = if is_done { "taken" } else { "no effect" };
            outcomes.add(outcome.to_owned(), name);
        }
        for ((_, method, path, body), outcomes) in for_more.iter().zip(&mut by_more) {
            let answer = server.ask(method, path, &headers, &body.to_string()).await;
            outcomes.add(outcome(answer), name);
        }
        for ((method, path), outcomes) in listed.iter().zip(&mut by_route) {
            let (path, body) = request(method, path, caller.names());
            let answer = server.ask(method, &path, &headers, &body.to_string()).await;
            outcomes.add(outcome(answer), name);
        }
        drop(socket);
        server.stop().await;
    }
    let mut text = format!("Access policy {policy}. Who is answered what, by every route and every event.\n");
    for ((method, path), outcomes) in listed.iter().zip(&by_route) {
        outcomes.write(&mut text, &format!("{method} {path}"));
    }
    for ((what, method, path, _), outcomes) in for_more.iter().zip(&by_more) {
        outcomes.write(&mut text, &format!("{method} {path}, {what}"));
    }
    for (event, outcomes) in EVENTS.iter().zip(&by_event) {
        outcomes.write(&mut text, &format!("event {event}"));
    }
    text
}

#[tokio::test]
async fn who_may_what_under_the_policy_strict() {
    insta::assert_snapshot!(table("strict").await);
}

/// What the policy `legacy` gives up is the difference to the other table.
#[tokio::test]
async fn who_may_what_under_the_policy_legacy() {
    insta::assert_snapshot!(table("legacy").await);
}
