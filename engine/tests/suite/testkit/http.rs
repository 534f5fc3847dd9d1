//! An HTTP client of the tests' own.

use std::time::Duration;

use serde_json::{Value, json};

/// How long an answer may take before the test has failed; never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client.
pub(crate) fn client() -> reqwest::Client {
    builder().build().unwrap()
}

/// A client to be set up.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    // The engine names its provider where it needs one; reqwest wants a process's own. Who comes second changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Answers are looked at as they came.
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_gzip()
        .no_deflate()
}

/// The JSON that a request is answered with.
pub(crate) async fn json_of(request: reqwest::RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

/// The token of the administrator that every new database has.
pub(crate) async fn admin_token(base: &str) -> String {
    let login = json_of(
        client()
            .post(format!("{base}/api/auth/login"))
            .json(&json!({"username": "admin", "password": "Password"})),
    )
    .await;
    login["token"].as_str().unwrap().to_owned()
}
