//! TLS for the listener, with the certificate and key that agents already know.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// The certificate or key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds no certificate.
    #[error("no certificate in PEM form: {0}")]
    Certificate(String),
    /// The text holds no key.
    #[error("no private key in PEM form: {0}")]
    Key(String),
    /// They do not belong together, or cannot be used.
    #[error("{0}")]
    Pair(String),
}

/// The listener's configuration: the bundle as chain, TLS 1.2 and 1.3, HTTP/1.1 only.
///
/// # Errors
/// Certificate and key cannot be read, or do not belong together.
pub fn server_config(bundle: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(bundle)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate("there is none".to_owned()));
    }
    let private_key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private_key))
        .map_err(|error| TlsError::Pair(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
