//! Asks whatever address an operator names, for `/api/proxy`.

use std::{
    error::Error,
    fmt::{self, Debug},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::web_tls;
use crate::{config::network::Reach, domain::clock::Clock};

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take until an answer begins: to connect, to send, and to wait as long as for a part of the body.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long may lie between two parts of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// More redirects than this are not followed.
const MOST_REDIRECTS: usize = 30;
/// The longest body, in bytes; what follows is not passed on.
pub const LONGEST_BODY: usize = 100 * 1024 * 1024;
/// Bodies up to this many bytes are read whole before they are passed on, so that their length can be told.
const SHORT_BODY: usize = 256 * 1024;

/// A target whose address may not be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the target's address is one of this machine's or of a private network")]
pub struct ForbiddenTarget;

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyError {
    /// The target, or one that it redirects to, may not be reached.
    #[error(transparent)]
    Forbidden(#[from] ForbiddenTarget),
    /// It was not reached, or did not answer as HTTP has it: why, for the log.
    #[error("{0}")]
    Failed(String),
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct ProxyRequest {
    pub method: Method,
    /// The address as it was given.
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The body of an answer, unpacked.
pub enum ProxyBody {
    /// All of it.
    Whole(Bytes),
    /// A long one, as it comes. It breaks off where the target stops sending or sends too much.
    Long {
        /// Its bytes, where the target said so and it is not unpacked.
        length: Option<u64>,
        parts: Box<dyn Stream<Item = Result<Bytes, ProxyError>> + Send + Unpin>,
    },
}

impl Debug for ProxyBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Long { .. } => "Long",
        })
    }
}

/// An answer.
#[derive(Debug)]
pub struct ProxyAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: ProxyBody,
}

/// The client. It uses no proxy itself and keeps no cookies.
#[derive(Clone, Debug)]
pub struct ProxyClient {
    client: Client,
    reach: Reach,
    clock: Arc<dyn Clock>,
}

impl ProxyClient {
    /// A client that reaches so far.
    ///
    /// # Errors
    /// TLS cannot be set up at all.
    pub fn new(reach: Reach, clock: Arc<dyn Clock>) -> Result<Self, web_tls::NoTls> {
        let client = Client::builder()
            .tls_backend_preconfigured(web_tls::config()?)
            .http1_only()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            // Each target is looked at before it is asked.
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(Resolver(reach.clone())))
            .build()?;
        Ok(Self { client, reach, clock })
    }

    /// Asks, follows redirects, and begins to read the answer.
    ///
    /// # Errors
    /// No answer came, or the target may not be reached.
    pub async fn ask(&self, request: ProxyRequest) -> Result<ProxyAnswer, ProxyError> {
        let ProxyRequest {
            mut method,
            url,
            mut headers,
            mut body,
        } = request;
        let mut url = Url::parse(&url).map_err(|error| ProxyError::Failed(error.to_string()))?;
        for _ in 0..=MOST_REDIRECTS {
            self.look_at(&url)?;
            let request = self
                .client
                .request(method.clone(), url.clone())
                .headers(headers.clone())
                .body(body.clone());
            let response = self
                .within(ANSWER_TIMEOUT, request.send())
                .await?
                .map_err(failure)?;
            let Some(next) = next_target(&url, &response) else {
                return self.begin(response).await;
            };
            url = next?;
            if becomes_a_get(response.status(), &method) {
                method = Method::GET;
            }
            if !keeps_the_body(response.status()) {
                body = Bytes::new();
                headers.remove(header::CONTENT_TYPE);
            }
        }
        Err(ProxyError::Failed(format!(
            "more than {MOST_REDIRECTS} redirects"
        )))
    }

    /// Refuses what is no web address, and addresses that may not be reached. Names are looked at when they are resolved.
    fn look_at(&self, url: &Url) -> Result<(), ProxyError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Failed("neither http nor https".to_owned()));
        }
        let host = url
            .host_str()
            .ok_or_else(|| ProxyError::Failed("no host".to_owned()))?;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !self.reach.allows_address(address) => Err(ForbiddenTarget.into()),
            _ => Ok(()),
        }
    }

    async fn within<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, ProxyError> {
        let deadline = self.clock.monotonic() + limit;
        tokio::select! {
            done = work => Ok(done),
            _ = self.clock.sleep_until(deadline) => {
                Err(ProxyError::Failed(format!("nothing came within {} s", limit.as_secs())))
            }
        }
    }

    async fn begin(&self, mut response: Response) -> Result<ProxyAnswer, ProxyError> {
        let (status, headers, length) = (
            response.status(),
            response.headers().clone(),
            response.content_length(),
        );
        if length.is_some_and(|length| length > LONGEST_BODY as u64) {
            return Err(too_long());
        }
        let mut read = BytesMut::new();
        let body = loop {
            let Some(part) = self.part(&mut response).await? else {
                break ProxyBody::Whole(read.freeze());
            };
            read.extend_from_slice(&part);
            if read.len() > SHORT_BODY {
                let parts = Box::new(Box::pin(self.clone().rest(read.freeze(), response)));
                break ProxyBody::Long { length, parts };
            }
        };
        Ok(ProxyAnswer {
            status,
            headers,
            body,
        })
    }

    async fn part(&self, response: &mut Response) -> Result<Option<Bytes>, ProxyError> {
        self.within(BODY_TIMEOUT, response.chunk())
            .await?
            .map_err(failure)
    }

    /// What was read already, then what still comes.
    fn rest(self, read: Bytes, response: Response) -> impl Stream<Item = Result<Bytes, ProxyError>> + Send {
        let room = LONGEST_BODY.saturating_sub(read.len());
        let state = Some((self, Some(read), response, room));
        stream::unfold(state, async |state| {
            let (client, read, mut response, room) = state?;
            if let Some(read) = read {
                return Some((Ok(read), Some((client, None, response, room))));
            }
            match client.part(&mut response).await {
                Ok(None) => None,
                Ok(Some(part)) if part.len() <= room => {
                    let room = room - part.len();
                    Some((Ok(part), Some((client, None, response, room))))
                }
                Ok(Some(_)) => Some((Err(too_long()), None)),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

/// Where a redirect leads; nothing if the answer is none.
fn next_target(url: &Url, response: &Response) -> Option<Result<Url, ProxyError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    let location = String::from_utf8_lossy(location.as_bytes());
    Some(
        url.join(&location)
            .map_err(|error| ProxyError::Failed(format!("redirected to no address: {error}"))),
    )
}

/// Whether a redirect is followed with a GET, as browsers and the legacy's library do it.
fn becomes_a_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 => *method == Method::POST,
        302 | 303 => *method != Method::HEAD,
        _ => false,
    }
}

/// Whether a redirect is followed with the body that was sent and its type. The legacy's library drops them with all
/// others, also where the method stays.
fn keeps_the_body(status: StatusCode) -> bool {
    matches!(status.as_u16(), 307 | 308)
}

fn too_long() -> ProxyError {
    ProxyError::Failed(format!("the body is longer than {LONGEST_BODY} bytes"))
}

fn failure(error: reqwest::Error) -> ProxyError {
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    let mut text = String::new();
    while let Some(error) = cause {
        if error.is::<ForbiddenTarget>() {
            return ForbiddenTarget.into();
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    ProxyError::Failed(text)
}

/// Resolves names to those of their addresses that may be reached; a connection is made to no other, so that a name
/// cannot be another address the moment after it was looked at.
#[derive(Debug)]
struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let found = !all.is_empty();
            let named = reach.allows_host(name.as_str());
            let reachable: Vec<_> = all
                .into_iter()
                .filter(|address| named || reach.allows_address(address.ip()))
                .collect();
            if found && reachable.is_empty() {
                return Err(Box::from(ForbiddenTarget));
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_followed_as_browsers_do() {
        for (status, method, get) in [
            (301, Method::POST, true),
            (301, Method::GET, false),
            (302, Method::POST, true),
            (303, Method::POST, true),
            (302, Method::HEAD, false),
            (307, Method::POST, false),
            (308, Method::POST, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(becomes_a_get(status, &method), get, "{status} {method}");
        }
    }
}
