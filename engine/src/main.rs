//! The server's command line.
//!
//! Long because the commands, their help texts and what is done before any of them are read together.

use std::{
    io::Write as _,
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
    config::{
        logging,
        variables::{self, ProcessVariables},
    },
    domain::clock::Clock as _,
    integrations::{clock::SystemClock, listener, random::OsRandom, root_lock::RootLock},
    preflight::{self, Finding},
    repositories::sqlite::SqliteStore,
    services::Environment,
};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// The allocator of the whole process, SQLite's C code included. The system's has one place to take memory from for each
/// thread, and every connection to the database is a thread: what one has freed no other one uses, so that the process
/// grew for hours while it held no more. This one has a place for each processor and gives back what stays free (its
/// settings: `.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The Borealis server: serves the legacy server's root folder, database, keys and cookies.
///
/// Settings come from environment variables (BOREALIS_ROOT, BOREALIS_HOST, BOREALIS_PORT, ...).
///
/// The commands users, install-codes, devices, backup, certificate and restore are for the person on the server's machine;
/// they ask for no login. All of them but restore are safe beside a running server, and none makes a database or upgrades
/// one. Run them as the user that runs the server, with its variables.
///
/// Exit codes: 0 stopped in order, 1 could not do it, 2 wrong command line or settings.
#[derive(Debug, Parser)]
#[command(name = "borealis-engine", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    serve: ServeArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What a start may do only when it is asked to.
#[derive(Args, Clone, Copy, Debug, Default)]
struct ServeArguments {
    #[command(flatten)]
    root: RootArguments,
    /// Go on when no key opens any of the secrets that are stored.
    ///
    /// Agents' service accounts get new passwords then, and credentials have to be entered anew. The key that is there
    /// is used, or a new one made where there is none.
    #[arg(long)]
    new_sealing_key: bool,
}

#[derive(Args, Clone, Copy, Debug, Default)]
struct RootArguments {
    /// Begin a new server in a root folder that is not there, or that holds other things.
    ///
    /// Without it such a folder is refused: its name is probably mistyped.
    #[arg(long)]
    create: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    ///
    /// Looks first at all that `check` looks at, and ends where it finds a problem. Only one engine serves a root
    /// folder at a time.
    ///
    /// The first of these signals lets running requests end, for ten seconds at most; a second one ends the server at
    /// once, with exit code 1. SIGHUP takes up a renewed certificate, which is also looked for once a minute.
    Serve(ServeArguments),
    /// Make the tables that are missing and upgrade an older database, then end.
    ///
    /// Does what every start does. An older database is first copied beside itself, into a file named
    /// `<database>.before-upgrade-<time>`; without that copy nothing is changed. Not while a server runs.
    ///
    /// Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings, or not the user to whom the files belong.
    Migrate(RootArguments),
    /// Say whether the root folder can be served, and change nothing.
    ///
    /// Looks at the variables, the root folder, other servers, the database, the keys and the certificate, the address
    /// and the signing secret. Prints one line for each finding: `ok`, `warning` or `problem`, what was found, and what
    /// to do. Every start looks at the same, and ends where this finds a problem. Run it as the user that runs the
    /// server; stop the running server first, or it counts as a problem itself.
    ///
    /// Exit codes, as a start would have them: 0 no problem was found, 1 at least one problem, 2 wrong command line or
    /// settings.
    Check(ServeArguments),
    #[command(flatten)]
    Administration(Administration),
    /// Print what makes a shell complete this program's commands.
    ///
    /// For bash: borealis-engine completions bash > /etc/bash_completion.d/borealis-engine
    Completions {
        /// The shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    // Also what libraries make is for the server's user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => return print_usage(&error),
    };
    if let Some(Command::Completions { shell }) = command_line.command {
        return print_completions(shell);
    }
    let (environment, folder) = match read_environment() {
        Ok(read) => read,
        Err(message) => return failed(1, &message),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(1, &format!("cannot start: {error}")),
    };
    let command = command_line.command.unwrap_or(Command::Serve(command_line.serve));
    if let Command::Check(arguments) = command {
        return runtime.block_on(report(&environment, &folder, arguments));
    }
    if let Some(wrong) = environment.unreadable().first() {
        return failed(2, wrong);
    }
    let settings = match Settings::from_map(&environment.texts, &folder) {
        Ok(settings) => settings,
        Err(error) => return failed(2, &error.to_string()),
    };
    let (root, new_sealing_key) = match command {
        Command::Administration(command) => return runtime.block_on(administrate(&command, &settings)),
        Command::Migrate(root) => (root, None),
        Command::Serve(arguments) => (arguments.root, Some(arguments.new_sealing_key)),
        Command::Check(_) | Command::Completions { .. } => return ExitCode::SUCCESS,
    };
    // Before anything is written: the log lies in this folder.
    if let Err(refusal) = preflight::refuse_root(&settings, root.create) {
        return failed(2, &refusal);
    }
    if new_sealing_key.is_none()
        && let Err(refusal) = preflight::refuse_root_user(&settings)
    {
        return failed(2, &refusal);
    }
    if root.create
        && let Err(message) = preflight::make_root(&settings)
    {
        return failed(1, &message);
    }
    logging::start(&settings, Arc::new(SystemClock::new()));
    for warning in variables::warnings(&environment.texts) {
        tracing::warn!("{warning}");
    }
    let done = match new_sealing_key {
        None => runtime.block_on(migrate(&settings)),
        Some(accepted) => runtime.block_on(serve(with_arguments(settings, accepted), root.create)),
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

fn with_arguments(settings: Settings, new_sealing_key: bool) -> Settings {
    Settings {
        accept_lost_secrets: new_sealing_key,
        ..settings
    }
}

fn failed(code: u8, message: &str) -> ExitCode {
    // Where nothing can be printed, the exit code is left.
    let _ = writeln!(std::io::stderr().lock(), "borealis-engine: {message}");
    ExitCode::from(code)
}

/// Prints the help, the version, or what is wrong with the command line.
fn print_usage(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    match commands::printed(error.print()) {
        Ok(()) => ExitCode::from(code),
        Err(message) => failed(1, &message),
    }
}

fn print_completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "borealis-engine", &mut script);
    match commands::print(&String::from_utf8_lossy(&script)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => failed(1, &message),
    }
}

/// Where the machine's own zone lies.
const ZONE_FILE: &str = "/etc/localtime";

#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn read_environment() -> Result<(ProcessVariables, PathBuf), String> {
    let mut environment = ProcessVariables::read(std::env::vars_os());
    // Where the variable is not set, the machine's own zone counts, as with the legacy.
    let zone = jiff::tz::TimeZone::system();
    let named = zone.iana_name().map(str::to_owned);
    // A file that is no link does not say which zone it holds.
    let zone = named.or_else(|| Path::new(ZONE_FILE).is_file().then(|| format!(":{ZONE_FILE}")));
    if let Some(zone) = zone {
        environment.texts.entry("TZ".to_owned()).or_insert(zone);
    }
    // A shell's variable of this name may be another machine's.
    if let Ok(name) = rustix::system::uname().nodename().to_str() {
        environment.texts.insert("HOSTNAME".to_owned(), name.to_owned());
    }
    let folder =
        std::env::current_dir().map_err(|error| format!("cannot read the working folder: {error}"))?;
    Ok((environment, folder))
}

async fn report(environment: &ProcessVariables, folder: &Path, arguments: ServeArguments) -> ExitCode {
    // As a start does: it tries how much may be written.
    if let Err(message) = outlive_file_size_limits() {
        return failed(1, &message);
    }
    let accepted = arguments.new_sealing_key;
    let findings = check::check(
        environment,
        folder,
        arguments.root.create,
        |settings| with_arguments(settings, accepted),
        &SystemClock::new(),
    )
    .await;
    let text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    match commands::print(&text) {
        Ok(()) => ExitCode::from(preflight::exit_code(&findings)),
        Err(message) => failed(1, &message),
    }
}

async fn administrate(command: &Administration, settings: &Settings) -> ExitCode {
    let clock = Arc::new(SystemClock::new());
    logging::start_in_file(settings, clock.clone());
    if let Err(message) = outlive_file_size_limits() {
        return failed(1, &message);
    }
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

async fn serve(settings: Settings, create: bool) -> Result<(), String> {
    outlive_file_size_limits()?;
    match listener::raise_open_files_limit() {
        Some(limit) => tracing::info!("up to {limit} files may be open"),
        None => tracing::info!("any number of files may be open"),
    }
    let clock = Arc::new(SystemClock::new());
    refuse(&preflight::before_serving(&settings, create, &*clock).await)?;
    let listener = preflight::bind(&settings)?;
    let scheme = if settings.speaks_tls() { "https" } else { "http" };
    let (mut stop, mut hangup) = signals().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let engine = Engine::start(settings, clock, Arc::new(OsRandom), listener)
        .await
        .map_err(|error| error.to_string())?;
    tracing::info!("serving {scheme}://{}", engine.address());
    tell_service_manager(NotifyState::Ready);
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            Some(()) = hangup.recv() => {
                tracing::info!("SIGHUP: looking for a renewed certificate");
                engine.reload_certificate();
            }
        }
    }
    tell_service_manager(NotifyState::Stopping);
    tracing::info!(
        "stopping: what is being answered has {} s at most; a second SIGTERM or SIGINT ends the server at once",
        engine.stop_deadline().as_secs_f32()
    );
    tokio::select! {
        () = engine.stop() => Ok(()),
        _ = stop.recv() => Err("ended at once by a second signal".to_owned()),
    }
}

/// Says how far the server is to whoever started it, where that wants to know (`Type=notify` of systemd).
fn tell_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told how far the server is");
    }
}

/// Each SIGTERM and SIGINT as a message, and the hangups. From here on none of them ends the process by itself.
fn signals() -> std::io::Result<(mpsc::Receiver<()>, Signal)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    // Two messages are all that anybody asks for.
    let (sender, stop) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = sender.try_send(());
        }
    });
    Ok((stop, hangup))
}

/// Goes no further where something was found that keeps the server from starting.
fn refuse(findings: &[Finding]) -> Result<(), String> {
    let problems: Vec<String> = preflight::problems(findings)
        .map(|problem| format!("{}: {}", problem.subject, problem.text))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        tracing::error!("{problem}");
    }
    Err(format!(
        "nothing was changed, and nothing is served: {} to solve; `borealis-engine check` shows everything",
        match problems.len() {
            1 => "there is 1 problem".to_owned(),
            count => format!("there are {count} problems"),
        }
    ))
}

async fn migrate(settings: &Settings) -> Result<(), String> {
    outlive_file_size_limits()?;
    let clock = SystemClock::new();
    refuse(&preflight::before_migrating(settings, &clock).await)?;
    let lock = RootLock::acquire(&settings.database_path, &clock)
        .await
        .map_err(|error| error.to_string())?;
    let message = |error| preflight::describe(&settings.database_path, &error);
    let store = SqliteStore::open(&settings.database_path)
        .await
        .map_err(message)?;
    tracing::info!("migrations-start");
    let upgraded = store
        .upgrade(clock.now(), &OsRandom)
        .await
        .map_err(|error| preflight::describe_upgrade(&settings.database_path, &error))?;
    log_upgrade(&upgraded);
    store.close().await;
    drop(lock);
    tracing::info!("migrations-complete");
    let mut text: String = upgraded
        .changes
        .iter()
        .map(|change| format!("{change}\n"))
        .collect();
    if let Some(backup) = &upgraded.backup {
        text += &format!("the database as it was before lies in {}\n", backup.display());
    }
    text += &format!("{} has every table\n", settings.database_path.display());
    commands::print(&text)
}
