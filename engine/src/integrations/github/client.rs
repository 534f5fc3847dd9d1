//! Asks GitHub's REST API.

use std::{error::Error, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use reqwest::{Body, Client, redirect};
use tower::{ServiceExt as _, service_fn};
use tower_http::follow_redirect::{FollowRedirect, policy::Standard};

use super::GitHubAnswer;
use crate::{
    config::secret::Secret,
    domain::{clock::Clock, repository_head::RepositoryBranch},
    integrations::web_tls,
};

/// How long an answer may take, redirects and body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// More than any branch has; what follows is not read.
const LONGEST_BODY: usize = 1024 * 1024;

/// No answer came. The message that is answered is always the same; the cause is for the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("github unreachable")]
pub struct Unreachable {
    /// What went wrong. Never holds the token.
    pub cause: String,
}

impl Unreachable {
    fn because(error: &dyn Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            cause = format!("{cause}: {error}");
            source = error.source();
        }
        Self { cause }
    }
}

/// A client of the REST API below one base URL. It uses no proxy, and what it follows to another origin goes without
/// the token.
#[derive(Clone, Debug)]
pub struct GitHubClient {
    base: String,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl GitHubClient {
    /// A client of the API at `base`, an `http` or `https` URL without a slash at the end. Where this machine trusts
    /// no certificates, that is logged, and `https` is unreachable.
    ///
    /// # Errors
    /// TLS cannot be set up at all.
    pub fn new(base: impl Into<String>, clock: Arc<dyn Clock>) -> Result<Self, web_tls::NoTls> {
        let client = Client::builder()
            .tls_backend_preconfigured(web_tls::config()?)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            base: base.into(),
            client,
            clock,
        })
    }

    /// Asks for a branch.
    ///
    /// # Errors
    /// No answer came in time, or the token cannot be sent.
    pub async fn branch(
        &self,
        branch: &RepositoryBranch,
        token: Option<&Secret>,
    ) -> Result<GitHubAnswer, Unreachable> {
        let request = self.request(branch, token)?;
        let deadline = self.clock.monotonic() + REQUEST_TIMEOUT;
        tokio::select! {
            answer = self.exchange(request) => answer,
            _ = self.clock.sleep_until(deadline) => Err(Unreachable {
                cause: format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
            }),
        }
    }

    fn request(
        &self,
        branch: &RepositoryBranch,
        token: Option<&Secret>,
    ) -> Result<Request<Body>, Unreachable> {
        let uri: Uri = format!("{}{}", self.base, branch.api_path())
            .parse()
            .map_err(|error| Unreachable::because(&error))?;
        let mut request = Request::get(uri)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::USER_AGENT, "Borealis-Server");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, bearer(token)?);
        }
        request
            .body(Body::default())
            .map_err(|error| Unreachable::because(&error))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<GitHubAnswer, Unreachable> {
        let unreachable = |error: reqwest::Error| Unreachable::because(&error.without_url());
        let client = self.client.clone();
        let send = service_fn(move |request: Request<Body>| {
            let client = client.clone();
            async move { client.execute(request.try_into()?).await.map(Response::from) }
        });
        // Not reqwest's own: at a second redirect within another origin its 0.13 sends the token again.
        let (parts, mut body) = FollowRedirect::with_policy(send, Standard::default())
            .oneshot(request)
            .await
            .map_err(unreachable)?
            .into_parts();
        let mut read = Vec::new();
        let mut complete = true;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(unreachable)?;
            let Ok(data) = frame.into_data() else { continue };
            let room = LONGEST_BODY - read.len();
            read.extend_from_slice(data.get(..room).unwrap_or(&data));
            if data.len() > room {
                complete = false;
                break;
            }
        }
        Ok(GitHubAnswer::new(parts.status, &parts.headers, read, complete))
    }
}

/// The header that presents a token. Like the legacy's library it writes Latin-1.
fn bearer(token: &Secret) -> Result<HeaderValue, Unreachable> {
    let unsendable = || Unreachable {
        cause: "the token cannot be a header value".to_owned(),
    };
    let bytes: Vec<u8> = "Bearer "
        .chars()
        .chain(token.expose().chars())
        .map(u8::try_from)
        .collect::<Result<_, _>>()
        .map_err(|_| unsendable())?;
    let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}
