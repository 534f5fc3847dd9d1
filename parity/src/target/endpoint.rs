//! Where a server is found, and how it is connected to: plain or over TLS.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a whole exchange with a server on this machine may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take until it is there.
const CONNECT: Duration = Duration::from_secs(10);

/// A server's address as clients have it.
#[derive(Clone)]
pub struct Endpoint {
    /// Name or address, IPv6 in brackets, as it stands in URLs.
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    /// How long a whole exchange may take.
    patience: Duration,
    /// The address of this machine that connections come from, where it matters.
    source: Option<IpAddr>,
    /// What is put around each connection, below TLS.
    around: Option<Around>,
}

/// Something that bytes of a connection pass.
pub type Around = Arc<dyn Fn(TcpStream) -> Box<dyn Stream> + Send + Sync>;

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.base())
    }
}

/// Why a text is no URL of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error("{0}: a target's URL begins with http:// or https://")]
    Scheme(String),
    /// Nothing to connect to.
    #[error("{0}: there is no host, or its port is no number from 1 to 65535")]
    Host(String),
    /// More than host and port.
    #[error("{0}: a target's URL is scheme, host and port alone, without path, query, user or password")]
    More(String),
}

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub is_tls: bool,
    host: String,
    port: u16,
}

impl Url {
    /// Reads `http://host[:port]` or `https://host[:port]`; a `/` behind it means nothing.
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn read(text: &str) -> Result<Self, UrlError> {
        let (is_tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(UrlError::Scheme(text.to_owned())),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(UrlError::More(text.to_owned()));
        }
        let wrong = || UrlError::Host(text.to_owned());
        let usual = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of a bare IPv6 address are no port's.
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, usual),
        };
        let is_six = host.starts_with('[') && host.ends_with(']');
        let fits = !host.is_empty()
            && port > 0
            && (is_six || !host.contains(':'))
            && host.chars().all(|one| one.is_ascii_graphic());
        if !fits {
            return Err(wrong());
        }
        Ok(Self {
            is_tls,
            host: host.to_owned(),
            port,
        })
    }

    /// The endpoint; `tls` says how its certificate is verified, where it has one.
    #[must_use]
    pub fn endpoint(&self, tls: Option<Arc<ClientConfig>>, patience: Duration) -> Endpoint {
        Endpoint {
            host: self.host.clone(),
            port: self.port,
            tls: tls.filter(|_| self.is_tls),
            patience,
            source: None,
            around: None,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answers there.
    #[error("connecting to {0}: {1}")]
    Connect(String, #[source] io::Error),
    /// Nobody said no either.
    #[error("connecting to {0}: no answer within {seconds} seconds", seconds = CONNECT.as_secs())]
    Late(String),
    /// TLS was refused, or the certificate does not fit.
    #[error("TLS with {0}: {reason}", reason = reason(.1))]
    Tls(String, #[source] io::Error),
    /// A name that no certificate can have.
    #[error("{0} is no name that a certificate can be verified for")]
    Name(String),
}

/// What a failed handshake says; the library shows reasons of our own as programs do.
fn reason(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            format!("invalid peer certificate: {}", other.0)
        }
        _ => error.to_string(),
    }
}

impl DialError {
    /// What is wrong with the certificate, where it is the certificate.
    #[must_use]
    pub fn refused_certificate(&self) -> Option<&CertificateError> {
        let Self::Tls(_, source) = self else { return None };
        match source.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(wrong) => Some(wrong),
            _ => None,
        }
    }
}

/// Anything that bytes go through.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl From<SocketAddr> for Endpoint {
    /// Plain HTTP on this machine.
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(four) => four.ip().to_string(),
            SocketAddr::V6(six) => format!("[{}]", six.ip()),
        };
        Self {
            host,
            port: address.port(),
            tls: None,
            patience: PATIENCE,
            source: None,
            around: None,
        }
    }
}

impl Endpoint {
    /// `http://host:port`, without a port that the scheme implies.
    #[must_use]
    pub fn base(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// What stands in `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.tls.is_some() { 443 } else { 80 };
        if self.port == usual {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether it is connected to over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The same, with the certificate verified otherwise.
    #[must_use]
    pub fn with_tls(&self, config: Arc<ClientConfig>) -> Self {
        Self {
            tls: Some(config),
            ..self.clone()
        }
    }

    /// How long a whole exchange may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The address, where it is a plain one that something can stand in front of.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let plain = self.tls.is_none();
        plain
            .then(|| format!("{}:{}", self.host, self.port).parse().ok())
            .flatten()
    }

    /// The same, whose connections come from this address of this machine.
    #[must_use]
    pub fn dialled_from(self, source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// The same, with something around each connection.
    #[must_use]
    pub fn around(self, around: Around) -> Self {
        Self {
            around: Some(around),
            ..self
        }
    }

    /// A fresh connection.
    ///
    /// # Errors
    /// [`DialError`]
    pub async fn dial(&self) -> Result<Box<dyn Stream>, DialError> {
        timeout(CONNECT, self.connect())
            .await
            .unwrap_or_else(|_| Err(DialError::Late(self.base())))
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, DialError> {
        let failed = |source| DialError::Connect(self.base(), source);
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = format!("{}:{}", self.host, self.port).parse().ok();
        let stream = match (self.source, address) {
            (Some(source), Some(address)) => connect_from(source, address).await,
            _ => TcpStream::connect((bare, self.port)).await,
        };
        let stream = stream.map_err(failed)?;
        // Small packets must not wait for each other.
        stream.set_nodelay(true).map_err(failed)?;
        let stream: Box<dyn Stream> = match &self.around {
            Some(around) => around(stream),
            None => Box::new(stream),
        };
        let Some(config) = &self.tls else {
            return Ok(stream);
        };
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| DialError::Name(bare.to_owned()))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        let stream = stream.map_err(|source| DialError::Tls(self.base(), source))?;
        Ok(Box::new(stream))
    }
}

async fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match source {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind((source, 0).into())?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_scheme_host_and_port() {
        let base = |text: &str| {
            let config = super::super::tls::Verification::Insecure.config().unwrap();
            Url::read(text).map(|url| url.endpoint(Some(config), PATIENCE).base())
        };
        for (text, read) in [
            ("http://localhost:5000", "http://localhost:5000"),
            ("http://localhost:5000/", "http://localhost:5000"),
            ("http://localhost", "http://localhost"),
            ("https://fleet.example", "https://fleet.example"),
            ("https://fleet.example:8443", "https://fleet.example:8443"),
            ("http://[::1]:5000", "http://[::1]:5000"),
            ("http://[::1]", "http://[::1]"),
        ] {
            assert_eq!(base(text).as_deref(), Ok(read), "{text}");
        }
        for text in ["", "staging", "ftp://x", "//x"] {
            assert!(matches!(base(text), Err(UrlError::Scheme(_))), "{text}");
        }
        for text in [
            "http://",
            "http://x:0",
            "http://x:70000",
            "http://x:y",
            "http://::1:5",
            "http://a b",
        ] {
            assert!(matches!(base(text), Err(UrlError::Host(_))), "{text}");
        }
        for text in ["http://x/y", "http://x?y", "https://me:secret@x"] {
            assert!(matches!(base(text), Err(UrlError::More(_))), "{text}");
        }
    }

    #[test]
    fn the_address_is_the_one_that_it_was_made_of() {
        for text in ["127.0.0.1:81", "[::1]:81"] {
            let address: SocketAddr = text.parse().unwrap();
            let endpoint = Endpoint::from(address);
            assert_eq!(endpoint.address(), Some(address));
            assert_eq!(endpoint.authority(), text);
        }
    }
}
