//! What the server shows of itself beside its log: the access log, and metrics on a listener of their own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::Handle;
use jiff::tz::TimeZone;
use tokio::task::JoinHandle;

use super::StartError;
use crate::{
    config::{
        access_log::AccessLog,
        log_file::{KEPT_FILES, Kept, LogFile},
        settings::Settings,
    },
    domain::clock::Clock,
    integrations::{clock::SystemClock, listener::open_files_limit, recorder::Recorder},
    interfaces::{
        events::SocketEndpoint,
        http::{
            accept_errors::AcceptErrors,
            connections::Connections,
            metrics::{Figures, router},
            observed::Observer,
            server::with_limits,
        },
    },
    preflight,
    services::{Environment, container::Container},
};

/// Between two times that durations are put into their classes.
const TIDY: Duration = Duration::from_secs(5);

/// What watches the server.
#[derive(Debug)]
pub(super) struct Observing {
    access_log: Option<Arc<AccessLog>>,
    metrics: Option<(Recorder, TcpListener)>,
}

/// Metrics that are served.
#[derive(Debug)]
pub(super) struct MetricsListener {
    pub(super) address: SocketAddr,
    handle: Handle<SocketAddr>,
    tidying: JoinHandle<()>,
}

impl Observing {
    /// Begins what the settings ask for.
    pub(super) fn begin(settings: &Settings) -> Result<Self, StartError> {
        let metrics = match settings.observing.metrics {
            None => None,
            Some(address) => {
                let listener = preflight::bind_metrics(address).map_err(StartError::Metrics)?;
                let recorder = Recorder::install().map_err(StartError::Metrics)?;
                Some((recorder, listener))
            }
        };
        let access_log = settings.observing.access_log.then(|| {
            let file = settings.root.join("Logs/Server/access.log");
            AccessLog::begin(LogFile::new(file, TimeZone::system(), Kept::Files(KEPT_FILES)))
        });
        Ok(Self {
            access_log: access_log
                .transpose()
                .map_err(StartError::AccessLog)?
                .map(Arc::new),
            metrics,
        })
    }

    /// Whether anything is measured.
    pub(super) fn measures(&self) -> bool {
        self.metrics.is_some()
    }

    pub(super) fn access_log(&self) -> Option<Arc<AccessLog>> {
        self.access_log.clone()
    }

    /// What watches requests; nothing where nobody wants to know.
    pub(super) fn observer(&self, environment: &Environment) -> Option<Observer> {
        (self.measures() || self.access_log.is_some()).then(|| Observer {
            access_log: self.access_log.clone(),
            measures: self.measures(),
            clock: Arc::clone(&environment.clock),
            stopwatch: Arc::new(SystemClock::new()),
        })
    }

    /// Serves metrics where they are wanted.
    pub(super) fn serve_metrics(
        self,
        settings: &Settings,
        services: &Arc<Container>,
        sockets: &Arc<SocketEndpoint>,
    ) -> Result<Option<MetricsListener>, StartError> {
        let Some((recorder, listener)) = self.metrics else {
            return Ok(None);
        };
        listener.set_nonblocking(true).map_err(StartError::Listener)?;
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let rendering = recorder.clone();
        let figures = Figures {
            services: Arc::clone(services),
            sockets: Arc::clone(sockets),
            render: Arc::new(move || rendering.text()),
        };
        let files = open_files_limit();
        let clock = Arc::new(SystemClock::new());
        let handle = Handle::new();
        let server = with_limits(
            axum_server::from_tcp(listener).map_err(StartError::Listener)?,
            &settings.timing,
            AcceptErrors::new(clock.clone(), files),
            Connections::new(settings, files),
        );
        tokio::spawn(
            server
                .handle(handle.clone())
                .serve(router(figures).into_make_service()),
        );
        let tidying = tokio::spawn(async move {
            loop {
                drop(clock.sleep_until(clock.monotonic() + TIDY).await);
                recorder.tidy();
            }
        });
        tracing::info!("metrics at http://{address}/metrics");
        Ok(Some(MetricsListener {
            address,
            handle,
            tidying,
        }))
    }
}

impl MetricsListener {
    pub(super) fn stop(&self) {
        self.handle.shutdown();
        self.tidying.abort();
    }
}
