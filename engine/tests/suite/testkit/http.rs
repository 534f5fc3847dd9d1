//! An HTTP client of the tests' own.

use serde_json::{Value, json};

/// A client.
pub(crate) fn client() -> reqwest::Client {
    builder().build().unwrap()
}

/// A client to be set up.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    // The engine names its provider where it needs one; reqwest wants a process's own. Who comes second changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// The token of the administrator that every new database has.
pub(crate) async fn admin_token(base: &str) -> String {
    let login: Value = client()
        .post(format!("{base}/api/auth/login"))
        .json(&json!({"username": "admin", "password": "Password"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    login["token"].as_str().unwrap().to_owned()
}
