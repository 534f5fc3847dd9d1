//! TLS towards servers of the web: with the certificates that this machine trusts, read once.

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// An enterprise server's certificate may be the site's own.
static TLS: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    let verified = match builder.clone().with_platform_verifier() {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(%error, "nobody can be asked over https");
            builder.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(verified.with_no_client_auth())
});

/// TLS cannot be set up at all.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// With what this machine trusts.
    #[error(transparent)]
    Trust(#[from] rustls::Error),
    /// In the client.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// What clients use. Where this machine trusts no certificates, that is logged, and `https` is unreachable.
///
/// # Errors
/// TLS cannot be set up at all.
pub fn config() -> Result<ClientConfig, NoTls> {
    Ok(TLS.clone()?)
}
