//! Every route of the server, one line each.

use super::{
    agent_hash, agents, approvals, auth, compat::error_page::options, device_details, enrollment, github,
    guards::Admin, heartbeat, install_codes, routing::Routes, script_request, service_accounts,
    state::AppState, token_refresh, users,
};
use crate::repositories::Store;

/// The whole table but for `/health`, which needs no services.
pub fn routes<S: Store>(state: AppState<S>) -> Routes {
    // On admin routes even OPTIONS asks for a session first, as in the legacy (ENR-22).
    Routes::new()
        .post("/api/auth/login", auth::login::<S>)
        .post("/api/auth/logout", auth::logout::<S>)
        .get("/api/auth/me", auth::me)
        .post("/api/users", users::create::<S>)
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
        .with_state(state)
}
