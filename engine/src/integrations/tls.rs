//! TLS for the listener, with the certificate and key that agents already know.

use std::{path::Path, sync::Arc};

use axum_server::tls_rustls::RustlsConfig;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// The certificate or key cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve TLS with {certificate} and {key}: {reason}")]
pub struct TlsError {
    certificate: String,
    key: String,
    reason: String,
}

/// The listener's configuration: the bundle as chain, TLS 1.2 and 1.3, HTTP/1.1 only.
///
/// # Errors
/// A file cannot be read, or certificate and key do not belong together.
pub fn server_config(bundle: &Path, key: &Path) -> Result<RustlsConfig, TlsError> {
    let failed = |reason: String| TlsError {
        certificate: bundle.display().to_string(),
        key: key.display().to_string(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(bundle)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private_key))
        .map_err(|error| failed(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
