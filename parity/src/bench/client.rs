//! A lean keep-alive connection: the load must cost less than what it measures.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;

use crate::target::endpoint::{DialError, Endpoint};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A connection that speaks no HTTP.
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    /// The exchange failed.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// What was to be sent is no HTTP.
    #[error(transparent)]
    Request(#[from] http::Error),
}

/// An answer whose body was read and dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadThrough {
    pub(super) status: u16,
    pub(super) bytes: usize,
    /// From the request to the first byte of the body.
    pub(super) first_byte: Duration,
    /// From the request to the end of the body.
    pub(super) whole: Duration,
}

/// One connection that stays open.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(server: impl Into<Endpoint>) -> Result<Self, ClientError> {
        let server = server.into();
        let stream = server.dial().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: server.authority(),
        })
    }

    /// Asks and drops the body of the answer.
    pub(super) async fn get(&mut self, path: &str) -> Result<u16, ClientError> {
        let request = Request::get(path)
            .header(header::HOST, &self.host)
            .body(Full::default())?;
        Ok(self.exchange(request).await?.0)
    }

    /// Sends any request, and drops the body of the answer piece by piece: one may be longer than what should be kept.
    pub(super) async fn read_through(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<ReadThrough, ClientError> {
        let host = self.host.parse().map_err(http::Error::from)?;
        request.headers_mut().insert(header::HOST, host);
        self.sender.ready().await?;
        let asked = Instant::now();
        let mut answer = self.sender.send_request(request).await?;
        let (mut bytes, mut first_byte) = (0, None);
        while let Some(frame) = answer.body_mut().frame().await {
            let frame = frame?;
            bytes += frame.data_ref().map_or(0, Bytes::len);
            first_byte.get_or_insert_with(|| asked.elapsed());
        }
        let whole = asked.elapsed();
        Ok(ReadThrough {
            status: answer.status().as_u16(),
            bytes,
            first_byte: first_byte.unwrap_or(whole),
            whole,
        })
    }

    /// Sends JSON; gives status and body.
    pub(super) async fn post(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> Result<(u16, Bytes), ClientError> {
        let mut request = Request::post(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.exchange(request.body(Full::new(body))?).await
    }

    /// Sends any request.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(u16, Bytes), ClientError> {
        let host = self.host.parse().map_err(http::Error::from)?;
        request.headers_mut().insert(header::HOST, host);
        self.exchange(request).await
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), ClientError> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
