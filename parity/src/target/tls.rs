//! How the certificate of a server is verified.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use sha2::{Digest as _, Sha256};
use x509_cert::{Certificate, der::Decode as _};

/// What a server's certificate has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// One that this machine trusts.
    #[default]
    System,
    /// Issued by what stands in this file, in PEM form.
    Authority(PathBuf),
    /// The first one in this file, in PEM form, and no other.
    Certificate(PathBuf),
    /// The one with this SHA-256.
    Fingerprint([u8; 32]),
    /// Any: nobody knows who answers.
    Insecure,
}

/// Why no certificate could be verified.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file.
    #[error("{path}: {reason}; it has to hold a certificate in PEM form")]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nothing in the file is trusted by itself.
    #[error("{path}: no certificate in it is its own issuer, so nothing can be verified with it")]
    NoRoot {
        /// The file.
        path: PathBuf,
    },
    /// This machine trusts nobody, or the library refuses.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] Error),
}

impl Verification {
    /// Reads a fingerprint: 64 hexadecimal digits, with or without colons between the bytes.
    #[must_use]
    pub fn fingerprint(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|one| *one != ':').collect();
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .ok()?;
        bytes.try_into().ok().map(Self::Fingerprint)
    }

    /// The same with another path to its file, where it has one.
    #[must_use]
    pub fn with_path(&self, path: impl FnOnce(&str) -> PathBuf) -> Self {
        match self {
            Self::Authority(file) => Self::Authority(path(&file.display().to_string())),
            Self::Certificate(file) => Self::Certificate(path(&file.display().to_string())),
            other => other.clone(),
        }
    }

    /// What a report has to say loudly, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        matches!(self, Self::Insecure).then_some(
            "INSECURE: its certificate was not verified, so anybody may have answered in its place",
        )
    }

    /// The client's side of TLS. Files are read now: a server may have made its certificate at its start.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let expected = |expected| {
            let verifier = Arc::new(Pinned { provider, expected });
            builder
                .clone()
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        };
        let builder = match self {
            Self::System => builder.with_platform_verifier()?,
            Self::Authority(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
                builder.with_root_certificates(roots)
            }
            Self::Certificate(path) => {
                let first = certificates(path)?.into_iter().next();
                expected(first.map(|first| Sha256::digest(&first).into()))
            }
            Self::Fingerprint(digest) => expected(Some(*digest)),
            Self::Insecure => expected(None),
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The client's side of TLS as agents have it: of their bundle they trust what is its own issuer, and nothing else.
///
/// # Errors
/// [`TlsError`]
pub fn as_agents_do(bundle: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let is_root = |certificate: &CertificateDer<'_>| {
        Certificate::from_der(certificate).is_ok_and(|read| {
            let read = read.tbs_certificate();
            read.issuer() == read.subject()
        })
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(bundle)?.into_iter().filter(is_root) {
        roots.add(root)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoot {
            path: bundle.to_owned(),
        });
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::File {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let all = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(all)
}

/// Another certificate than the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("its SHA-256 is {}, and {} is pinned", HEXLOWER.encode(.found), HEXLOWER.encode(.expected))]
struct NotPinned {
    found: [u8; 32],
    expected: [u8; 32],
}

/// Takes one certificate, or any. That the server holds its key is verified all the same.
#[derive(Debug)]
struct Pinned {
    provider: Arc<CryptoProvider>,
    /// The SHA-256 that it has to have; nothing where any will do.
    expected: Option<[u8; 32]>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        match self.expected {
            Some(expected) if expected != found => {
                let other = OtherError(Arc::new(NotPinned { found, expected }));
                Err(Error::InvalidCertificate(CertificateError::Other(other)))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let bare = "ab".repeat(32);
        let with_colons = vec!["AB"; 32].join(":");
        assert_eq!(
            Verification::fingerprint(&bare),
            Some(Verification::Fingerprint([0xab; 32]))
        );
        assert_eq!(
            Verification::fingerprint(&with_colons),
            Verification::fingerprint(&bare)
        );
        for wrong in ["", "ab", "zz"] {
            assert_eq!(Verification::fingerprint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for text in ["", "words"] {
            std::fs::write(&path, text).unwrap();
            let error = Verification::Authority(path.clone())
                .config()
                .unwrap_err()
                .to_string();
            assert!(error.contains("ca.pem") && error.contains("PEM"), "{error}");
        }
        let error = Verification::Certificate(folder.path().join("no"))
            .config()
            .unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
