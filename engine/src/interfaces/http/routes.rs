//! Every route of the server, one line each.

use super::{
    approvals, auth, compat::error_page::options, enrollment, github, guards::Admin, heartbeat,
    install_codes, routing::Routes, state::AppState, token_refresh, users,
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
