//! The server's command line.

use std::{
    collections::BTreeMap,
    net::{TcpListener, ToSocketAddrs as _},
    process::ExitCode,
    sync::Arc,
};

use borealis_engine::{
    Engine, Settings,
    config::logging,
    integrations::{clock::SystemClock, random::OsRandom},
    repositories::sqlite::SqliteStore,
};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The Borealis server: serves the legacy server's root folder, database, keys and cookies.
///
/// Settings come from environment variables (BOREALIS_ROOT, BOREALIS_HOST, BOREALIS_PORT, ...).
///
/// Exit codes: 0 stopped in order, 1 could not do it, 2 wrong command line or settings.
#[derive(Debug, Parser)]
#[command(name = "borealis-engine", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    Serve,
    /// Make the tables that are missing, then end.
    Migrate,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let settings = match read_settings() {
        Ok(settings) => settings,
        Err(message) => return failed(2, &message),
    };
    logging::start(&settings, Arc::new(SystemClock::new()));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(1, &format!("cannot start: {error}")),
    };
    let done = match command_line.command {
        None | Some(Command::Serve) => runtime.block_on(serve(settings)),
        Some(Command::Migrate) => runtime.block_on(migrate(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(1, &message),
    }
}

fn failed(code: u8, message: &str) -> ExitCode {
    eprintln!("borealis-engine: {message}");
    ExitCode::from(code)
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn read_settings() -> Result<Settings, String> {
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let folder =
        std::env::current_dir().map_err(|error| format!("cannot read the working folder: {error}"))?;
    Settings::from_map(&variables, &folder).map_err(|error| error.to_string())
}

async fn serve(settings: Settings) -> Result<(), String> {
    let wanted = format!("{}:{}", settings.host, settings.port);
    let addresses: Vec<_> = (settings.host.trim_matches(['[', ']']), settings.port)
        .to_socket_addrs()
        .map_err(|error| format!("BOREALIS_HOST {} cannot be resolved: {error}", settings.host))?
        .collect();
    let listener = TcpListener::bind(addresses.as_slice()).map_err(|error| {
        format!(
            "cannot listen on {wanted}: {error}; is another server running? BOREALIS_PORT chooses the port"
        )
    })?;
    let scheme = if settings.speaks_tls() { "https" } else { "http" };
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let engine = Engine::start(
        settings,
        Arc::new(SystemClock::new()),
        Arc::new(OsRandom),
        listener,
    )
    .await
    .map_err(|error| error.to_string())?;
    tracing::info!("serving {scheme}://{}", engine.address());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    engine.stop().await;
    Ok(())
}

async fn migrate(settings: &Settings) -> Result<(), String> {
    let store = SqliteStore::open(&settings.database_path)
        .await
        .map_err(|error| error.to_string())?;
    store.migrate().await.map_err(|error| error.to_string())?;
    store.close().await;
    println!("{} has every table", settings.database_path.display());
    Ok(())
}
