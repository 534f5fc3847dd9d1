//! Every route of the server, one line each.

use super::{
    agent_hash, agents, approvals, auth, compat::error_page::options, credentials, device_activity,
    device_details, enrollment, github, guards::Admin, health, heartbeat, install_codes, mfa, quick_run,
    recaps, routing::Routes, scheduled_jobs, script_request, service_accounts, state::AppState,
    token_refresh, users,
};
use crate::repositories::Store;

/// The whole table but for `/health`, which needs no services, and the socket endpoint.
pub fn table<S: Store>() -> Routes<AppState<S>> {
    // On admin routes even OPTIONS asks for a session first, as in the legacy (ENR-22).
    Routes::new()
        .get("/ready", health::ready::<S>)
        .post("/api/auth/login", auth::login::<S>)
        .post("/api/auth/logout", auth::logout::<S>)
        .post("/api/auth/mfa/verify", mfa::verify::<S>)
        .get("/api/auth/me", auth::me)
        .get("/api/users", users::list::<S>)
        .post("/api/users", users::create::<S>)
        .delete("/api/users/{username}", users::delete::<S>)
        .post("/api/users/{username}/mfa", users::switch_mfa::<S>)
        .post("/api/users/{username}/reset_password", users::reset_password::<S>)
        .post("/api/users/{username}/role", users::set_role::<S>)
        .get("/api/credentials", credentials::list::<S>)
        .post("/api/credentials", credentials::create::<S>)
        .get("/api/credentials/{id:int}", credentials::read::<S>)
        .put("/api/credentials/{id:int}", credentials::update::<S>)
        .delete("/api/credentials/{id:int}", credentials::delete::<S>)
        .post("/api/agent/enroll/request", enrollment::request::<S>)
        .post("/api/agent/enroll/poll", enrollment::poll::<S>)
        .post("/api/agent/token/refresh", token_refresh::refresh::<S>)
        .post("/api/agent/heartbeat", heartbeat::heartbeat::<S>)
        .post("/api/agent/script/request", script_request::request::<S>)
        .get("/api/agent/hash", agent_hash::get::<S>)
        .post("/api/agent/hash", agent_hash::post::<S>)
        .get("/api/agent/hash_list", agent_hash::list::<S>)
        .post("/api/agent/details", device_details::report::<S>)
        .get("/api/device/details/{hostname}", device_details::read::<S>)
        .post("/api/agent/checkin", service_accounts::check_in::<S>)
        .post("/api/agent/service-account/rotate", service_accounts::rotate::<S>)
        .get("/api/scheduled_jobs", scheduled_jobs::list::<S>)
        .post("/api/scheduled_jobs", scheduled_jobs::create::<S>)
        .get("/api/scheduled_jobs/{id:int}", scheduled_jobs::read::<S>)
        .put("/api/scheduled_jobs/{id:int}", scheduled_jobs::update::<S>)
        .delete("/api/scheduled_jobs/{id:int}", scheduled_jobs::delete::<S>)
        .post("/api/scheduled_jobs/{id:int}/toggle", scheduled_jobs::toggle::<S>)
        .get("/api/scheduled_jobs/{id:int}/runs", scheduled_jobs::runs::<S>)
        .delete(
            "/api/scheduled_jobs/{id:int}/runs",
            scheduled_jobs::clear_runs::<S>,
        )
        .get(
            "/api/scheduled_jobs/{id:int}/devices",
            scheduled_jobs::devices::<S>,
        )
        .post("/api/scripts/quick_run", quick_run::run::<S>)
        .post("/api/ansible/recap/report", recaps::report::<S>)
        .get("/api/ansible/recap/{id:int}", recaps::read::<S>)
        .get("/api/ansible/recaps", recaps::list::<S>)
        .get("/api/ansible/run_for_activity/{id:int}", recaps::of_activity::<S>)
        .get("/api/device/activity/{hostname}", device_activity::list::<S>)
        .delete("/api/device/activity/{hostname}", device_activity::clear::<S>)
        .get("/api/device/activity/job/{id:int}", device_activity::read::<S>)
        .get("/api/agents", agents::list::<S>)
        .delete("/api/agent/{agent_id}", agents::remove::<S>)
        .post("/api/agent/provision", agents::provision::<S>)
        .get(
            "/api/agent/{agent_id}/node/{node_id}/screenshot/live",
            agents::live_view,
        )
        .get("/api/repo/current_hash", github::current_hash::<S>)
        .get("/api/github/token", github::token::<S>)
        .post("/api/github/token", github::store_token::<S>)
        .get("/api/admin/enrollment-codes", install_codes::list::<S>)
        .post("/api/admin/enrollment-codes", install_codes::create::<S>)
        .options("/api/admin/enrollment-codes", async |_: Admin| {
            options("GET, HEAD, OPTIONS, POST")
        })
        .delete("/api/admin/enrollment-codes/{id}", install_codes::delete::<S>)
        .options("/api/admin/enrollment-codes/{id}", async |_: Admin| {
            options("DELETE, GET, HEAD, OPTIONS")
        })
        .get("/api/admin/device-approvals", approvals::list::<S>)
        .options("/api/admin/device-approvals", async |_: Admin| {
            options("GET, HEAD, OPTIONS")
        })
        .post(
            "/api/admin/device-approvals/{id}/approve",
            approvals::approve::<S>,
        )
        .options("/api/admin/device-approvals/{id}/approve", async |_: Admin| {
            options("GET, HEAD, OPTIONS, POST")
        })
        .post("/api/admin/device-approvals/{id}/deny", approvals::deny::<S>)
        .options("/api/admin/device-approvals/{id}/deny", async |_: Admin| {
            options("GET, HEAD, OPTIONS, POST")
        })
}
