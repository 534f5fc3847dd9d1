//! The server's command line.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::{TcpListener, ToSocketAddrs as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use borealis_engine::{
    Engine, Settings,
    bootstrap::log_upgrade,
    check,
    commands::{self, Administration},
    config::logging,
    domain::clock::Clock as _,
    integrations::{clock::SystemClock, open_files, random::OsRandom},
    repositories::sqlite::SqliteStore,
    services::Environment,
};
use clap::{Parser, Subcommand};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// The Borealis server: serves the legacy server's root folder, database, keys and cookies.
///
/// Settings come from environment variables (BOREALIS_ROOT, BOREALIS_HOST, BOREALIS_PORT, ...).
///
/// The commands users, install-codes, devices, backup and certificate are for the person on the server's machine; they
/// ask for no login. All of them are safe beside a running server, and none makes a database or changes its tables. Run them as
/// the user that runs the server, with its variables.
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
    ///
    /// The first of them lets running requests end, for ten seconds at most; a second one ends the server at once, with
    /// exit code 1. SIGHUP takes up a renewed certificate, which is also looked for once a minute.
    Serve,
    /// Make the tables that are missing and upgrade an older database, then end.
    ///
    /// Does what every start does. An older database is first copied beside itself, into a file named
    /// `<database>.before-upgrade-<time>`; without that copy nothing is changed.
    Migrate,
    /// Say whether the root folder can be served, and change nothing.
    ///
    /// Looks at the variables, the root folder, the database, the keys and the certificate, the address and the
    /// signing secret. Prints one line for each finding: `ok`, `warning` or `problem`, what was found, and what to
    /// do. Stop the running server first, or its own address counts as taken.
    ///
    /// Exit codes: 0 no problem was found, 1 at least one problem, 2 wrong command line.
    Check,
    #[command(flatten)]
    Administration(Administration),
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let (variables, folder) = match read_environment() {
        Ok(read) => read,
        Err(message) => return failed(1, &message),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(1, &format!("cannot start: {error}")),
    };
    let command = command_line.command.unwrap_or(Command::Serve);
    if let Command::Check = command {
        return runtime.block_on(report(&variables, &folder));
    }
    let settings = match Settings::from_map(&variables, &folder) {
        Ok(settings) => settings,
        Err(error) => return failed(2, &error.to_string()),
    };
    if let Command::Administration(command) = command {
        return runtime.block_on(administrate(&command, &settings));
    }
    logging::start(&settings, Arc::new(SystemClock::new()));
    let done = match command {
        Command::Migrate => runtime.block_on(migrate(&settings)),
        _ => runtime.block_on(serve(settings)),
    };
    // A thread that waits for the disk must not keep a stopped server alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tracing::error!("{message}");
            ExitCode::FAILURE
        }
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
fn read_environment() -> Result<(BTreeMap<String, String>, PathBuf), String> {
    let mut variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // Where the variable is not set, the machine's own zone counts, as with the legacy.
    if let Some(zone) = jiff::tz::TimeZone::system().iana_name() {
        variables
            .entry("TZ".to_owned())
            .or_insert_with(|| zone.to_owned());
    }
    // A shell's variable of this name may be another machine's.
    if let Ok(name) = rustix::system::uname().nodename().to_str() {
        variables.insert("HOSTNAME".to_owned(), name.to_owned());
    }
    let folder =
        std::env::current_dir().map_err(|error| format!("cannot read the working folder: {error}"))?;
    Ok((variables, folder))
}

async fn report(variables: &BTreeMap<String, String>, folder: &Path) -> ExitCode {
    let findings = check::check(variables, folder, &SystemClock::new()).await;
    let mut output = std::io::stdout().lock();
    for finding in &findings {
        // A reader that has gone away (`check | head`) changes nothing about the verdict.
        let _ = writeln!(output, "{finding}");
    }
    ExitCode::from(u8::from(check::has_problem(&findings)))
}

async fn administrate(command: &Administration, settings: &Settings) -> ExitCode {
    let clock = Arc::new(SystemClock::new());
    logging::start_in_file(settings, clock.clone());
    let environment = Environment {
        clock,
        random: Arc::new(OsRandom),
    };
    match commands::run(command, settings, &environment).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(1, &message),
    }
}

/// Signal number of `SIGXFSZ` on every Unix that the server runs on.
const FILE_SIZE_LIMIT: i32 = 25;

/// A file that may not grow is a failed write, as on a full disk, and not the end of the process.
fn outlive_file_size_limits() -> Result<(), String> {
    // The handler stays for the rest of the process, also once nobody listens.
    signal(SignalKind::from_raw(FILE_SIZE_LIMIT))
        .map(drop)
        .map_err(|error| error.to_string())
}

async fn serve(settings: Settings) -> Result<(), String> {
    outlive_file_size_limits()?;
    match open_files::raise_limit() {
        Some(limit) => tracing::info!("up to {limit} files may be open"),
        None => tracing::info!("any number of files may be open"),
    }
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
    let (mut told, mut hangup) = signals().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let engine = Engine::start(
        settings,
        Arc::new(SystemClock::new()),
        Arc::new(OsRandom),
        listener,
    )
    .await
    .map_err(|error| error.to_string())?;
    tracing::info!("serving {scheme}://{}", engine.address());
    loop {
        tokio::select! {
            _ = told.recv() => break,
            Some(()) = hangup.recv() => {
                tracing::info!("SIGHUP: looking for a renewed certificate");
                engine.reload_certificate();
            }
        }
    }
    tracing::info!(
        "stopping: what is being answered has {} s at most; a second SIGTERM or SIGINT ends the server at once",
        engine.stop_deadline().as_secs_f32()
    );
    tokio::select! {
        () = engine.stop() => Ok(()),
        _ = told.recv() => Err("ended at once by a second signal".to_owned()),
    }
}

/// Each SIGTERM and SIGINT as a message, and the hangups. From here on none of them ends the process by itself.
fn signals() -> std::io::Result<(mpsc::Receiver<()>, Signal)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    // Two messages are all that anybody asks for.
    let (tell, told) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = tell.try_send(());
        }
    });
    Ok((told, hangup))
}

async fn migrate(settings: &Settings) -> Result<(), String> {
    let store = SqliteStore::open(&settings.database_path)
        .await
        .map_err(|error| error.to_string())?;
    tracing::info!("migrations-start");
    let upgraded = store
        .upgrade(SystemClock::new().now(), &OsRandom)
        .await
        .map_err(|error| format!("{}: {error}", settings.database_path.display()))?;
    log_upgrade(&upgraded);
    store.close().await;
    tracing::info!("migrations-complete");
    for change in &upgraded.changes {
        println!("{change}");
    }
    if let Some(backup) = &upgraded.backup {
        println!("the database as it was before lies in {}", backup.display());
    }
    println!("{} has every table", settings.database_path.display());
    Ok(())
}
