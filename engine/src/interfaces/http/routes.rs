//! Every route of the server, one line each.

use super::{
    activity, agents, approvals,
    assemblies::{
        self,
        deprecated::{self as deprecated_assemblies, Playbooks, Scripts, Source},
    },
    compat::{error_page::options, reply::TextForm},
    credentials, device_access, device_reports, device_views, devices, enrollment, github,
    guards::Admin,
    health, install_codes, ocr, operators, playbooks, proxy, quick_run,
    remote_devices::{self, Remote, Ssh, Winrm},
    routing::Routes,
    scheduled_jobs, script_request, search, server_time, service_accounts, sites,
    state::AppState,
};

/// The whole table but for `/health`, which needs no services, and the socket endpoint.
pub fn table() -> Routes<AppState> {
    // On admin routes even OPTIONS asks for a session first, as in the legacy (ENR-22).
    Routes::new()
        .get("/ready", health::ready)
        .post("/api/auth/login", operators::login::login)
        .post("/api/auth/logout", operators::login::logout)
        .post("/api/auth/mfa/verify", operators::mfa::verify)
        .get("/api/auth/me", operators::login::me)
        .get("/api/users", operators::users::list)
        .post("/api/users", operators::users::create)
        .delete("/api/users/{username}", operators::users::delete)
        .post("/api/users/{username}/mfa", operators::users::switch_mfa)
        .post(
            "/api/users/{username}/reset_password",
            operators::users::reset_password,
        )
        .post("/api/users/{username}/role", operators::users::set_role)
        .get("/api/credentials", credentials::list)
        .post("/api/credentials", credentials::create)
        .get("/api/credentials/{id:int}", credentials::read)
        .put("/api/credentials/{id:int}", credentials::update)
        .delete("/api/credentials/{id:int}", credentials::delete)
        .post("/api/agent/enroll/request", enrollment::request)
        .post("/api/agent/enroll/poll", enrollment::poll)
        .post("/api/agent/token/refresh", device_access::refresh::refresh)
        .post("/api/agent/heartbeat", device_reports::heartbeat::heartbeat)
        .post("/api/agent/script/request", script_request::request)
        .get("/api/agent/hash", device_reports::hash::get)
        .post("/api/agent/hash", device_reports::hash::post)
        .get_long("/api/agent/hash_list", device_reports::hash::list)
        .post("/api/agent/details", device_reports::details::report)
        .get_long("/api/device/details/{hostname}", device_reports::details::read)
        .merge(inventory_table())
        .merge(assemblies_table())
        .post("/api/agent/checkin", service_accounts::check_in)
        .post("/api/agent/service-account/rotate", service_accounts::rotate)
        .merge(scheduled_jobs_table())
        .post("/api/scripts/quick_run", quick_run::run)
        .post("/api/ansible/quick_run", quick_run::run_playbook)
        .post("/api/ansible/recap/report", playbooks::report)
        .get("/api/ansible/recap/{id:int}", playbooks::read)
        .get_long("/api/ansible/recaps", playbooks::list)
        .get("/api/ansible/run_for_activity/{id:int}", playbooks::of_activity)
        .get_long("/api/device/activity/{hostname}", activity::list)
        .delete("/api/device/activity/{hostname}", activity::clear)
        .get("/api/device/activity/job/{id:int}", activity::read)
        .get("/api/agents", agents::list)
        .delete("/api/agent/{agent_id}", agents::remove)
        .post("/api/agent/provision", agents::provision)
        .get(
            "/api/agent/{agent_id}/node/{node_id}/screenshot/live",
            agents::live_view,
        )
        .get("/api/server/time", server_time::read)
        .post("/api/ocr", ocr::recognise)
        .get("/api/proxy", proxy::forward)
        .post("/api/proxy", proxy::forward)
        .get("/api/repo/current_hash", github::current_hash)
        .get("/api/github/token", github::token)
        .post("/api/github/token", github::store_token)
        .get("/api/admin/enrollment-codes", install_codes::list)
        .post("/api/admin/enrollment-codes", install_codes::create)
        .options("/api/admin/enrollment-codes", async |_: Admin| {
            options("GET, HEAD, OPTIONS, POST")
        })
        .delete("/api/admin/enrollment-codes/{id}", install_codes::delete)
        .options("/api/admin/enrollment-codes/{id}", async |_: Admin| {
            options("DELETE, GET, HEAD, OPTIONS")
        })
        .get("/api/admin/device-approvals", approvals::list)
        .options("/api/admin/device-approvals", async |_: Admin| {
            options("GET, HEAD, OPTIONS")
        })
        .post("/api/admin/device-approvals/{id}/approve", approvals::approve)
        .options("/api/admin/device-approvals/{id}/approve", async |_: Admin| {
            options("GET, HEAD, OPTIONS, POST")
        })
        .post("/api/admin/device-approvals/{id}/deny", approvals::deny)
        .options("/api/admin/device-approvals/{id}/deny", async |_: Admin| {
            options("GET, HEAD, OPTIONS, POST")
        })
}

/// Devices as operators see and sort them.
fn inventory_table() -> Routes<AppState> {
    Routes::new()
        .get("/api/devices", devices::list)
        .get("/api/devices/{guid}", devices::read)
        .post("/api/device/description/{hostname}", devices::describe)
        .get("/api/agent_devices", devices::list_agents)
        .merge(remote_devices_table::<Ssh>("/api/ssh_devices"))
        .merge(remote_devices_table::<Winrm>("/api/winrm_devices"))
        .get_long("/api/sites", sites::list)
        .post("/api/sites", sites::create)
        .post("/api/sites/rename", sites::rename)
        .post("/api/sites/assign", sites::assign)
        .get("/api/sites/device_map", sites::device_map)
        .post("/api/sites/delete", sites::delete)
        .get_long("/api/device_list_views", device_views::list)
        .post("/api/device_list_views", device_views::create)
        .get("/api/device_list_views/{id:int}", device_views::read)
        .put("/api/device_list_views/{id:int}", device_views::update)
        .delete("/api/device_list_views/{id:int}", device_views::delete)
        .get("/api/search/suggest", search::suggest)
}

fn remote_devices_table<R: Remote>(path: &str) -> Routes<AppState> {
    let one = format!("{path}/{{hostname}}");
    Routes::new()
        .get(path, remote_devices::list::<R>)
        .post(path, remote_devices::create::<R>)
        .put(&one, remote_devices::update::<R>)
        .delete(&one, remote_devices::delete::<R>)
}

/// Scripts, workflows and playbooks as files.
fn assemblies_table() -> Routes<AppState> {
    Routes::new()
        .get("/api/assembly/list", assemblies::list)
        .get("/api/assembly/load", assemblies::load)
        .post("/api/assembly/create", assemblies::create)
        .post("/api/assembly/edit", assemblies::edit)
        .post("/api/assembly/rename", assemblies::rename)
        .post("/api/assembly/move", assemblies::relocate)
        .post("/api/assembly/delete", assemblies::delete)
        .merge(deprecated_assemblies_table::<Scripts>("/api/scripts"))
        .merge(deprecated_assemblies_table::<Playbooks>("/api/ansible"))
}

fn deprecated_assemblies_table<S: Source>(path: &str) -> Routes<AppState> {
    let route = |name: &str| format!("{path}/{name}");
    Routes::new()
        .get_long(&route("list"), deprecated_assemblies::list::<S>)
        .get(&route("load"), deprecated_assemblies::load::<S>)
        .post(&route("save"), deprecated_assemblies::save::<S>)
        .post(&route("rename_file"), deprecated_assemblies::rename_file::<S>)
        .post(&route("move_file"), deprecated_assemblies::move_file::<S>)
        .post(&route("delete_file"), deprecated_assemblies::delete_file::<S>)
        .post(&route("create_folder"), deprecated_assemblies::create_folder::<S>)
        .post(&route("delete_folder"), deprecated_assemblies::delete_folder::<S>)
        .post(&route("rename_folder"), deprecated_assemblies::rename_folder::<S>)
}

/// The routes whose JSON is written as Python's `json.dumps` does by default.
fn scheduled_jobs_table() -> Routes<AppState> {
    Routes::new()
        .get("/api/scheduled_jobs", scheduled_jobs::list)
        .post("/api/scheduled_jobs", scheduled_jobs::create)
        .get("/api/scheduled_jobs/{id:int}", scheduled_jobs::read)
        .put("/api/scheduled_jobs/{id:int}", scheduled_jobs::update)
        .delete("/api/scheduled_jobs/{id:int}", scheduled_jobs::delete)
        .post("/api/scheduled_jobs/{id:int}/toggle", scheduled_jobs::toggle)
        .get_long("/api/scheduled_jobs/{id:int}/runs", scheduled_jobs::runs)
        .delete("/api/scheduled_jobs/{id:int}/runs", scheduled_jobs::clear_runs)
        .get_long("/api/scheduled_jobs/{id:int}/devices", scheduled_jobs::devices)
        .written(TextForm::AsMade)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{
        config::bounds::Bounds,
        interfaces::http::{
            compat::body::{
                BodyLimit, Enrollment, Files, RawBody, Small, SmallOfAnybody, Usual, UsualOfAnybody,
            },
            signature::plain,
        },
    };

    fn limit<L: BodyLimit>() -> String {
        let name = plain(std::any::type_name::<RawBody<L>>());
        let of_anybody = L::of_anybody(&Bounds::default().anonymous)
            .map(|bytes| format!(", {bytes} where callers are asked for an identity"))
            .unwrap_or_default();
        format!("{name}: {} bytes{of_anybody}\n", L::BYTES)
    }

    /// Every route, what its handler takes (who may call is the first of it, a body the last), and what it answers.
    #[test]
    fn the_route_table() {
        let mut text = String::new();
        let table = health::routes().merge(table());
        for (method, path, signature) in table.signatures() {
            let takes = signature.takes.iter().filter(|name| *name != "State<AppState>");
            let takes = takes.map(String::as_str).collect::<Vec<_>>().join(", ");
            writeln!(
                text,
                "{method} {path}\n    takes {takes}\n    answers {}",
                signature.answers
            )
            .unwrap();
        }
        text += "\n";
        for limit in [
            limit::<Usual>(),
            limit::<Files>(),
            limit::<Small>(),
            limit::<UsualOfAnybody>(),
            limit::<SmallOfAnybody>(),
            limit::<Enrollment>(),
        ] {
            text += &limit;
        }
        insta::assert_snapshot!(text);
    }
}
