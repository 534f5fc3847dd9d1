//! An HTTP client of the tests' own.

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
