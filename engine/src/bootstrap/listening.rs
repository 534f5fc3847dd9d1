//! From the services to a listener that answers.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum_server::{Handle, tls_rustls::RustlsAcceptor};
use tokio::task::JoinHandle;
use tower::service_fn;

use super::StartError;
use crate::{
    config::settings::{AccessPolicy, Settings},
    integrations::{
        clock::SystemClock,
        identity::ServedCertificate,
        listener::{keep_many_waiting, limit_unsent, open_files_limit},
        root_lock::RootLock,
    },
    interfaces::{
        events::{Hub, SocketEndpoint},
        http::{
            accept_errors::AcceptErrors,
            arrivals::{Arrivals, Origin},
            browser::BrowserGuard,
            compat::{cors::AllowedOrigins, session::SessionCodec},
            connections::Connections,
            detached::DetachedRequests,
            http_service,
            observed::Observer,
            routes,
            server::with_limits,
            state::AppState,
        },
    },
    services::{Environment, container::Container},
};

/// A listener that answers.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) handle: Handle<Origin>,
    pub(super) server: JoinHandle<std::io::Result<()>>,
    /// Requests whose clients have gone.
    pub(super) detached: DetachedRequests,
    pub(super) sockets: Arc<SocketEndpoint>,
}

/// What a listener answers with.
pub(super) struct Answers<'a> {
    pub(super) settings: &'a Settings,
    pub(super) environment: &'a Environment,
    pub(super) services: &'a Arc<Container>,
    pub(super) hub: &'a Arc<Hub>,
    pub(super) certificate: &'a Arc<ServedCertificate>,
    /// Held for as long as the listener answers.
    pub(super) lock: &'a Arc<RootLock>,
    /// Watches every request, where somebody wants to know.
    pub(super) observer: Option<Observer>,
}

/// Routes, then sockets, then the listener.
pub(super) fn listen(listener: TcpListener, answers: Answers<'_>) -> Result<Listening, StartError> {
    let Answers {
        settings,
        environment,
        services,
        hub,
        certificate,
        lock,
        observer,
    } = answers;
    let sessions = Arc::new(SessionCodec::new(settings));
    let state = AppState::new(settings, Arc::clone(services), Arc::clone(&sessions), environment);
    let shared_lists = state.shared_lists.clone();
    let sockets = Arc::new(SocketEndpoint::new(
        Arc::clone(hub),
        Arc::clone(services),
        Arc::clone(&sessions),
        environment.clone(),
        // Heartbeats are in real time, whatever the clock of this server says.
        Arc::new(SystemClock::new()),
        settings,
    ));
    let answering = Arc::clone(&sockets);
    let endpoint = service_fn(move |request| {
        let sockets = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(sockets.answer(request).await) }
    });
    let detached = DetachedRequests::default();
    let guard = (settings.access_policy == AccessPolicy::Strict).then(|| BrowserGuard {
        origins: AllowedOrigins::new(settings),
        sessions,
        random: Arc::clone(&environment.random),
        identity: settings.speaks_tls().then(|| services.publisher.clone()),
    });
    let service = http_service(
        routes::table()
            .with_state(state)
            .with_shared_lists(&shared_lists)
            .with_socket_endpoint(endpoint),
        settings,
        &detached,
        guard,
        observer,
        Arc::clone(&environment.clock),
    )
    .for_connections();

    listener.set_nonblocking(true).map_err(StartError::Listener)?;
    limit_unsent(&listener).map_err(StartError::Listener)?;
    keep_many_waiting(&listener).map_err(StartError::Listener)?;
    let address = listener.local_addr().map_err(StartError::Listener)?;
    let handle = Handle::new();
    let files = open_files_limit();
    let connections = Connections::new(settings, files);
    let clock = Arc::new(SystemClock::new());
    let errors = AcceptErrors::new(clock.clone(), files);
    let arrivals = Arrivals::serve(listener, Arc::clone(&connections), errors.clone(), clock)
        .map_err(StartError::Listener)?
        .handle(handle.clone());
    let server = if settings.speaks_tls() {
        let server = arrivals.acceptor(RustlsAcceptor::new(certificate.listener()));
        serve(
            with_limits(server, &settings.timing, errors, connections).serve(service),
            lock,
        )
    } else {
        serve(
            with_limits(arrivals, &settings.timing, errors, connections).serve(service),
            lock,
        )
    };
    Ok(Listening {
        address,
        handle,
        server,
        detached,
        sockets,
    })
}

/// Serves for as long as the lock is held: also when nobody waits for its end.
fn serve(
    server: impl Future<Output = std::io::Result<()>> + Send + 'static,
    lock: &Arc<RootLock>,
) -> JoinHandle<std::io::Result<()>> {
    let lock = Arc::clone(lock);
    tokio::spawn(async move {
        let served = server.await;
        drop(lock);
        served
    })
}
