//! Somebody at the web client of the measured server.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header};
use serde_json::{Value, json};

use super::{
    BenchError, ServerProcess,
    client::{ClientError, Connection, ReadThrough},
};
use crate::{
    socket_io::{Client, ConnectOptions},
    target::endpoint::Endpoint,
};

/// What the account of a fresh server has.
pub(super) const PASSWORD: &str = "Password";

/// An operator with a session.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    token: String,
}

impl Operator {
    /// Logs in as the account that a fresh server has.
    pub(super) async fn log_in(server: &ServerProcess) -> Result<Self, BenchError> {
        Self::log_in_as(server.endpoint(), "admin").await
    }

    /// Logs in as any account with the usual password.
    pub(super) async fn log_in_as(server: impl Into<Endpoint>, username: &str) -> Result<Self, BenchError> {
        let body = json!({"username": username, "password": PASSWORD}).to_string();
        let mut connection = Connection::open(server).await?;
        let (status, answer) = connection.post("/api/auth/login", None, body.into()).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match answer.get("token").and_then(Value::as_str) {
            Some(token) if status == 200 => Ok(Self {
                token: token.to_owned(),
            }),
            _ => Err(BenchError::Refused {
                request: "the login",
                status,
            }),
        }
    }

    /// What shows that it is logged in.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Sends a request that must be taken.
    pub(super) async fn post(
        &self,
        connection: &mut Connection,
        path: &str,
        body: Bytes,
    ) -> Result<(), BenchError> {
        match connection.post(path, Some(&self.token), body).await? {
            (200, _) => Ok(()),
            (status, _) => Err(BenchError::Refused {
                request: "an operator's request",
                status,
            }),
        }
    }

    /// Asks for something; the status.
    pub(super) async fn get(&self, connection: &mut Connection, path: &str) -> Result<u16, BenchError> {
        Ok(connection.send(self.request(path)?).await?.0)
    }

    /// Asks for something that may be long, and drops what it says.
    pub(super) async fn read_through(
        &self,
        connection: &mut Connection,
        path: &str,
    ) -> Result<ReadThrough, BenchError> {
        Ok(connection.read_through(self.request(path)?).await?)
    }

    fn request(&self, path: &str) -> Result<Request<Full<Bytes>>, ClientError> {
        Ok(Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::default())?)
    }

    pub(super) async fn connect(&self, server: &ServerProcess) -> Result<Client, BenchError> {
        self.connect_to(server.address()).await
    }

    /// Opens a channel at an address.
    pub(super) async fn connect_to(&self, address: SocketAddr) -> Result<Client, BenchError> {
        let options = ConnectOptions {
            headers: vec![("Authorization".to_owned(), format!("Bearer {}", self.token))],
            ..ConnectOptions::websocket(address)
        };
        Ok(Client::connect(&options).await?)
    }
}
