//! What lies under the connections: nothing, or TLS, on either side.

use std::net::SocketAddr;
use std::{fmt, io, sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        self, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    },
};

use crate::target::tls::{TlsError, Verification};

/// How long the server may take until it can be talked to.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a certificate that is made at the start is good for.
const DAYS: i64 = 30;
/// The only protocol that is recorded.
const PROTOCOL: &[u8] = b"http/1.1";

/// Anything that bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How clients reach the proxy.
#[derive(Clone, Default)]
pub enum Front {
    #[default]
    Plain,
    Tls(TlsAcceptor),
}

impl fmt::Debug for Front {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    #[error("the proxy's certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the proxy's certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Front {
    /// TLS with a certificate for `names`, of an authority that is made for it; also the authority's certificate as PEM.
    /// Its key is forgotten.
    ///
    /// # Errors
    /// If one of the names cannot stand in a certificate.
    pub fn with_tls(names: &[String]) -> Result<(Self, String), FrontError> {
        let key = KeyPair::generate()?;
        let mut authority = params(&[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority
            .distinguished_name
            .push(DnType::CommonName, "parity record: authority of one recording");
        let pem = authority.self_signed(&key)?.pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate()?;
        let mut server = params(names)?;
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server
            .distinguished_name
            .push(DnType::CommonName, "parity record");
        let certificate = server.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok((Self::Tls(TlsAcceptor::from(Arc::new(config))), pem))
    }

    /// The client's side of a connection; nothing where its handshake fails.
    pub(super) async fn accept(&self, client: TcpStream) -> Option<Box<dyn Stream>> {
        match self {
            Self::Plain => Some(Box::new(client)),
            Self::Tls(acceptor) => Some(Box::new(acceptor.accept(client).await.ok()?)),
        }
    }
}

/// What both certificates have.
#[allow(
    clippy::disallowed_methods,
    reason = "a certificate for real clients is good from the real day on"
)]
fn params(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let today = jiff::Timestamp::now()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .date();
    let day = |days: i64| {
        let day = today.saturating_add(jiff::Span::new().days(days));
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(day.year()), part(day.month()), part(day.day()))
    };
    params.not_before = day(-1);
    params.not_after = day(DAYS);
    Ok(params)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The server behind the proxy.
#[derive(Clone)]
pub struct Upstream {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(out, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("{0:?} is no URL of a server: write http://HOST:PORT or https://HOST:PORT, without a path")]
    Url(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{to} cannot be reached: {source}")]
    Unreachable { to: String, source: io::Error },
    #[error("{to} does not answer within {} seconds", PATIENCE.as_secs())]
    Late { to: String },
    #[error("TLS with {to}: {source}. --ca FILE trusts another authority")]
    Handshake { to: String, source: io::Error },
}

impl Upstream {
    /// A server at an address, without TLS.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
            tls: None,
        }
    }

    /// A server by its URL.
    ///
    /// # Errors
    /// If it is none, or the trusted certificates cannot be read.
    pub fn read(url: &str, verification: &Verification) -> Result<Self, UpstreamError> {
        let wrong = || UpstreamError::Url(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let has_more = uri.path() != "/" && !uri.path().is_empty();
        let user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        if has_more || user || uri.query().is_some() {
            return Err(wrong());
        }
        let (usual, tls) = match uri.scheme_str() {
            Some("http") => (80, None),
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
                (443, Some((TlsConnector::from(verification.config()?), name)))
            }
            _ => return Err(wrong()),
        };
        Ok(Self {
            port: uri.port_u16().unwrap_or(usual),
            host,
            tls,
        })
    }

    /// A fresh connection to the server.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, UpstreamError> {
        let to = format!("{}:{}", self.host, self.port);
        match timeout(PATIENCE, self.connect(&to)).await {
            Ok(connected) => connected,
            Err(_) => Err(UpstreamError::Late { to }),
        }
    }

    async fn connect(&self, to: &str) -> Result<Box<dyn Stream>, UpstreamError> {
        let unreachable = |source| UpstreamError::Unreachable {
            to: to.to_owned(),
            source,
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some((connector, name)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let connected = connector.connect(name.clone(), stream).await;
        let stream = connected.map_err(|source| UpstreamError::Handshake {
            to: to.to_owned(),
            source,
        })?;
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_a_url_without_a_path() {
        let read =
            |url: &str| Upstream::read(url, &Verification::Insecure).map(|upstream| format!("{upstream:?}"));
        assert_eq!(read("http://a.example").unwrap(), "http://a.example:80");
        assert_eq!(read("https://127.0.0.1:5000/").unwrap(), "https://127.0.0.1:5000");
        assert_eq!(read("http://[::1]:5000").unwrap(), "http://::1:5000");
        for wrong in [
            "a.example:5000",
            "ftp://a",
            "http://a/path",
            "http://u:p@a",
            "http://",
            "https://a?x=1",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("is no URL of a server"), "{wrong}: {error}");
        }
    }
}
