//! GitHub, played from a scenario on a loopback port.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    scenario::upstream::{Exchange, Upstream},
    transcript::Asked,
};

/// How long the server may take to ask what it asked the last time. What it does not ask is a difference.
const PATIENCE: Duration = Duration::from_secs(3);
/// On a busy machine it may take as long as so many starts of it, and no longer than this.
const STARTS: u32 = 10;
const LONGEST: Duration = Duration::from_secs(30);
/// Nobody listens there (the port is reserved for a service that throws everything away): GitHub cannot be reached.
const NOBODY: &str = "http://127.0.0.1:9";

/// No port could be had.
#[derive(Debug, thiserror::Error)]
#[error("GitHub cannot be played: {0}")]
pub struct PlayError(#[from] std::io::Error);

/// A GitHub that gives the recorded answers, or one that cannot be reached.
#[derive(Debug)]
pub struct PlayedGitHub {
    url: String,
    patience: Duration,
    playing: Option<Playing>,
}

#[derive(Debug)]
struct Playing {
    script: Upstream,
    stage: Arc<Stage>,
    accepting: JoinHandle<()>,
    /// How many requests were waited for in vain: nobody waits for them again.
    missing: AtomicU32,
}

#[derive(Debug)]
struct Stage {
    state: Mutex<State>,
    /// How many answers are over and read.
    served: watch::Sender<u32>,
}

#[derive(Debug, Default)]
struct State {
    /// The answers that are left for a request, next one last; the last of all is given again and again.
    left: BTreeMap<Asked, Vec<Exchange>>,
    asked: Vec<Asked>,
}

impl PlayedGitHub {
    /// Plays `upstream`, or an unreachable GitHub.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(upstream: Option<&Upstream>) -> Result<Self, PlayError> {
        let Some(script) = upstream else {
            return Ok(Self {
                url: NOBODY.to_owned(),
                patience: PATIENCE,
                playing: None,
            });
        };
        let mut state = State::default();
        for exchange in script.exchanges.iter().rev() {
            state
                .left
                .entry(Asked::of(exchange))
                .or_default()
                .push(exchange.clone());
        }
        let stage = Arc::new(Stage {
            state: Mutex::new(state),
            served: watch::Sender::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            url: format!("http://{}", listener.local_addr()?),
            patience: PATIENCE,
            playing: Some(Playing {
                script: script.clone(),
                accepting: tokio::spawn(accept(listener, Arc::clone(&stage))),
                missing: AtomicU32::new(0),
                stage,
            }),
        })
    }

    /// On a machine on which the server took long to start it may take as long as several starts to ask.
    pub fn be_patient_after_a_start_of(&mut self, start: Duration) {
        self.patience = PATIENCE.max((start * STARTS).min(LONGEST));
    }

    /// Where it is found.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port at which it is found.
    pub fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap_or_default()
    }

    /// Waits until the server has asked as often as the script says it does by the end of a step, for a while at most. What
    /// did not come then may still come, but a later step does not wait for it once more.
    pub async fn settle(&self, step: u32) {
        if let Some(playing) = &self.playing {
            let count = playing.script.asked_by(step);
            let missing = playing.missing.load(Ordering::Relaxed);
            let mut served = playing.stage.served.subscribe();
            let enough = served.wait_for(|served| served.saturating_add(missing) >= count);
            // Too few, or a stage that is gone: both show in what was asked.
            if timeout(self.patience, enough).await.is_err() {
                let missing = count.saturating_sub(*playing.stage.served.borrow());
                playing.missing.store(missing, Ordering::Relaxed);
            }
        }
    }

    /// Everything that was asked so far, in order, without what came after the recording's end; nothing is known where nobody listens.
    pub fn asked(&self) -> Option<Vec<Asked>> {
        let playing = self.playing.as_ref()?;
        let mut asked = playing.stage.lock().asked.clone();
        asked.truncate(asked.len().saturating_sub(playing.script.unrecorded as usize));
        Some(asked)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Stage {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, asked: Asked) -> Response<Full<Bytes>> {
        let mut state = self.lock();
        let next = match state.left.get_mut(&asked) {
            Some(left) if left.len() > 1 => left.pop(),
            Some(left) => left.last().cloned(),
            None => None,
        };
        state.asked.push(asked);
        drop(state);
        next.as_ref().and_then(as_response).unwrap_or_else(|| {
            let mut response = Response::new(Full::from("the scenario holds no answer to this request"));
            *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
            response
        })
    }
}

fn as_response(exchange: &Exchange) -> Option<Response<Full<Bytes>>> {
    let mut response = Response::builder().status(exchange.status);
    for (name, value) in &exchange.headers {
        response = response.header(name, value);
    }
    let body = match &exchange.body_base64 {
        Some(bytes) => Bytes::from(BASE64.decode(bytes).ok()?),
        None => Bytes::from(exchange.body.clone()),
    };
    response.body(Full::from(body)).ok()
}

async fn accept(listener: TcpListener, stage: Arc<Stage>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&stage)));
    }
}

/// One connection carries one request: once it is closed, the answer has been read.
async fn serve(stream: TcpStream, stage: Arc<Stage>) {
    let service = service_fn(async |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        Ok::<_, Infallible>(stage.answer(Asked {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            authorization: authorization(&parts.headers),
            body: String::from_utf8_lossy(&body).into_owned(),
        }))
    });
    // A client that goes away early was counted nevertheless.
    let _ = http1::Builder::new()
        .keep_alive(false)
        // The scenario's answer has the headers that it has, and its time is not this one.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    stage.served.send_modify(|served| *served += 1);
}

/// The header as Latin-1, which is how the recordings read it.
fn authorization(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?;
    Some(value.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::http_client::{Outgoing, Received, send};

    fn exchange(path: &str, body: &str) -> Exchange {
        Exchange {
            method: "GET".to_owned(),
            path: path.to_owned(),
            status: 203,
            headers: BTreeMap::from([("X-RateLimit-Limit".to_owned(), "60".to_owned())]),
            body: body.to_owned(),
            ..Exchange::default()
        }
    }

    async fn ask(github: &PlayedGitHub, path: &str) -> Received {
        let address: std::net::SocketAddr = github.url().trim_start_matches("http://").parse().unwrap();
        let request = Outgoing {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        send(&address.into(), &request).await.unwrap()
    }

    #[tokio::test]
    async fn answers_follow_their_requests_and_the_last_one_stays() {
        let script = Upstream {
            asks: BTreeMap::from([(0, 1), (3, 4)]),
            unrecorded: 1,
            exchanges: vec![
                exchange("/a", "one"),
                exchange("/b?x=1", "other"),
                exchange("/a", "two"),
            ],
        };
        let github = PlayedGitHub::start(Some(&script)).await.unwrap();
        for (path, status, body) in [
            ("/a", 203, "one"),
            ("/a", 203, "two"),
            ("/a", 203, "two"),
            ("/b?x=1", 203, "other"),
            ("/b", 501, "the scenario holds no answer to this request"),
        ] {
            let received = ask(&github, path).await;
            assert_eq!(
                (received.line.status, received.body.as_slice()),
                (status, body.as_bytes()),
                "{path}"
            );
        }
        github.settle(3).await;
        let lines: Vec<_> = github.asked().unwrap().iter().map(Asked::line).collect();
        assert_eq!(lines, ["GET /a", "GET /a", "GET /a", "GET /b?x=1"]);
    }

    #[allow(clippy::disallowed_methods, reason = "this is tokio's paused clock")]
    #[tokio::test(start_paused = true)]
    async fn what_was_waited_for_in_vain_is_waited_for_once() {
        let script = Upstream {
            asks: BTreeMap::from([(1, 1), (3, 1)]),
            unrecorded: 0,
            exchanges: vec![exchange("/a", "one")],
        };
        let github = PlayedGitHub::start(Some(&script)).await.unwrap();
        let began = tokio::time::Instant::now();
        for (step, patience) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
            github.settle(step).await;
            assert_eq!(
                began.elapsed().as_secs(),
                patience * PATIENCE.as_secs(),
                "after step {step}"
            );
        }
    }

    #[tokio::test]
    async fn a_machine_on_which_the_start_took_long_is_given_more_time() {
        let mut github = PlayedGitHub::start(None).await.unwrap();
        for (start_ms, patience_s) in [(90, 3), (800, 8), (90_000, 30)] {
            github.be_patient_after_a_start_of(Duration::from_millis(start_ms));
            assert_eq!(github.patience.as_secs(), patience_s);
        }
    }

    #[tokio::test]
    async fn without_a_script_nobody_listens() {
        let github = PlayedGitHub::start(None).await.unwrap();
        github.settle(9).await;
        assert_eq!(github.asked(), None);
        assert_eq!(github.url(), NOBODY);
    }
}
