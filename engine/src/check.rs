//! Says whether a root folder can be served, without changing anything in it.

use std::{
    collections::BTreeMap,
    fmt,
    net::{TcpListener, ToSocketAddrs as _},
    path::Path,
};

use crate::{
    config::{
        settings::{AccessPolicy, Settings},
        variables,
    },
    domain::clock::Clock,
    integrations::{
        identity::{self, PartState, ServerIdentity},
        random::OsRandom,
    },
    repositories::{
        StoreError,
        sqlite::{self, DatabaseState},
    },
};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The server runs, but somebody should look at it.
    Warning,
    /// The server would not start, or not serve this folder rightly.
    Problem,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// One thing that was looked at; one line when displayed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How grave it is.
    pub verdict: Verdict,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name or value from outside must not begin a line of its own.
        let text: String = self
            .text
            .chars()
            .map(|one| if one.is_control() { ' ' } else { one })
            .collect();
        write!(formatter, "{:8} {}: {text}", self.verdict, self.subject)
    }
}

struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, verdict: Verdict, subject: &'static str, text: impl Into<String>) {
        self.0.push(Finding {
            verdict,
            subject,
            text: text.into(),
        });
    }
}

/// Whether at least one finding is a problem.
pub fn has_problem(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.verdict == Verdict::Problem)
}

/// Looks at everything that a start with these variables in this working folder would use.
pub async fn check(
    environment: &BTreeMap<String, String>,
    working_folder: &Path,
    clock: &dyn Clock,
) -> Vec<Finding> {
    let mut report = Report(Vec::new());
    for name in variables::unknown(environment.keys()) {
        report.add(
            Verdict::Warning,
            "variables",
            format!("{name} is set, but no such variable is known: correct its name or remove it"),
        );
    }
    let settings = match Settings::from_map(environment, working_folder) {
        Ok(settings) => settings,
        Err(errors) => {
            for error in errors.0 {
                report.add(Verdict::Problem, "variables", error.to_string());
            }
            report.add(
                Verdict::Problem,
                "root folder",
                "not looked at: correct the variables first",
            );
            return report.0;
        }
    };
    report.add(Verdict::Ok, "variables", "every value can be read");
    for origin in settings.origins_with_a_slash() {
        report.add(
            Verdict::Warning,
            "origins",
            format!(
                "BOREALIS_CORS_ALLOWED_ORIGINS lists {origin}, and no browser sends an origin with a slash at its end: \
                 leave it out"
            ),
        );
    }
    root_folder(&mut report, &settings);
    let state = database(&mut report, &settings).await;
    identity(&mut report, &settings, clock);
    sealing_key(&mut report, &settings, &state.sealed_secrets);
    address(&mut report, &settings);
    secret(&mut report, &settings);
    if settings.access_policy == AccessPolicy::Legacy {
        report.add(
            Verdict::Warning,
            "access policy",
            "legacy: routes that the legacy leaves open are open to everybody; set BOREALIS_ACCESS_POLICY to strict \
             unless a client needs them",
        );
    }
    report.0
}

fn root_folder(report: &mut Report, settings: &Settings) {
    let root = settings.root.display();
    match std::fs::metadata(&settings.root) {
        Ok(found) if !found.is_dir() => report.add(
            Verdict::Problem,
            "root folder",
            format!("{root} is no folder: set BOREALIS_ROOT to the server's folder"),
        ),
        Ok(found) if found.permissions().readonly() => report.add(
            Verdict::Problem,
            "root folder",
            format!("{root} cannot be written: give the server's user the right to write there"),
        ),
        Ok(_) => report.add(Verdict::Ok, "root folder", format!("{root}")),
        Err(error) => report.add(
            Verdict::Problem,
            "root folder",
            format!("{root}: {error}; make the folder, or set BOREALIS_ROOT to the server's folder"),
        ),
    }
    if settings.static_root.is_dir() {
        report.add(
            Verdict::Ok,
            "web client",
            settings.static_root.display().to_string(),
        );
    } else {
        report.add(
            Verdict::Warning,
            "web client",
            format!(
                "{} is not there: build the web client, or set BOREALIS_STATIC_ROOT to its folder",
                settings.static_root.display()
            ),
        );
    }
}

/// What is found in the database; nothing where it cannot be read.
async fn database(report: &mut Report, settings: &Settings) -> DatabaseState {
    let path = settings.database_path.display();
    let tables_made = settings.auto_migrate;
    match settings.database_path.try_exists() {
        Ok(true) => {}
        Ok(false) => {
            let folder = settings.database_path.parent();
            if folder.is_some_and(|folder| !folder.is_dir()) {
                report.add(
                    Verdict::Problem,
                    "database",
                    format!("the folder of {path} is not there: make it, or correct BOREALIS_DATABASE_PATH"),
                );
            } else if tables_made {
                report.add(
                    Verdict::Ok,
                    "database",
                    format!("{path} is not there; it is made at the start"),
                );
            } else {
                report.add(
                    Verdict::Problem,
                    "database",
                    format!(
                        "{path} is not there, and BOREALIS_ENGINE_AUTO_MIGRATE is off: run `borealis-engine migrate`"
                    ),
                );
            }
            return DatabaseState::default();
        }
        Err(error) => {
            report.add(Verdict::Problem, "database", format!("{path}: {error}"));
            return DatabaseState::default();
        }
    }
    match sqlite::inspect(&settings.database_path).await {
        Ok(state) => {
            database_state(report, &settings.database_path, &state, tables_made);
            state
        }
        Err(error @ StoreError::Newer { .. }) => {
            report.add(Verdict::Problem, "database", format!("{path}: {error}"));
            DatabaseState::default()
        }
        Err(error) => {
            report.add(
                Verdict::Problem,
                "database",
                format!("{path} cannot be read: {error}; check its permissions, or restore it from a backup"),
            );
            DatabaseState::default()
        }
    }
}

fn database_state(report: &mut Report, path: &Path, state: &DatabaseState, tables_made: bool) {
    let path = path.display();
    let before = report.0.len();
    if let Some(first) = state.damage.first() {
        report.add(
            Verdict::Problem,
            "database",
            format!("{path} is damaged: {first}; restore it from a backup"),
        );
    }
    for (table, columns) in &state.upgrade.gaps {
        report.add(
            Verdict::Warning,
            "database",
            format!(
                "table {table} lacks the columns {}, and no upgrade adds them: what needs them fails, as it does with \
                 the legacy server",
                columns.join(", ")
            ),
        );
    }
    let changes = state.upgrade.changes();
    if !changes.is_empty() {
        let changes = changes.join("; ");
        if tables_made {
            report.add(
                Verdict::Warning,
                "database",
                format!(
                    "{path} is of an older server and is upgraded at the start: {changes}. As it is now, it is first \
                     copied to {path}.before-upgrade-<time>, and nothing is changed if that fails"
                ),
            );
        } else {
            report.add(
                Verdict::Problem,
                "database",
                format!(
                    "{path} is of an older server, and BOREALIS_ENGINE_AUTO_MIGRATE is off: run `borealis-engine \
                     migrate`. It copies the database to {path}.before-upgrade-<time>, then: {changes}"
                ),
            );
        }
    } else if state.upgrade.fresh {
        if tables_made {
            report.add(
                Verdict::Ok,
                "database",
                format!("{path} is empty; its tables are made at the start"),
            );
        } else {
            report.add(
                Verdict::Problem,
                "database",
                format!("{path} is empty: run `borealis-engine migrate`"),
            );
        }
    }
    if report.0.len() == before {
        report.add(
            Verdict::Ok,
            "database",
            format!("{path} is whole and has every table"),
        );
    }
}

fn identity(report: &mut Report, settings: &Settings, clock: &dyn Clock) {
    let state = ServerIdentity::inspect(settings, clock, &OsRandom);
    part(report, "certificate", &state.certificate);
    for warning in &state.certificate_warnings {
        report.add(Verdict::Warning, "certificate", warning.to_string());
    }
    part(report, "script key", &state.script_key);
    part(report, "token key", &state.token_key);
}

/// Whether the key that seals secrets is there, and opens what is stored: a root folder that was copied without the
/// key looks whole, and its agents' accounts would all get new passwords.
fn sealing_key(report: &mut Report, settings: &Settings, sealed_secrets: &[Vec<u8>]) {
    let subject = "sealing key";
    let file = settings.sealing_key_file();
    let (file, todo) = (
        file.display(),
        "credentials cannot be used and agents' accounts get new passwords until the key that sealed them is there: \
         copy the legacy server's server_secret.key, or set BOREALIS_SECRET_KEY",
    );
    match identity::sealing_key(settings) {
        Err(error) => report.add(Verdict::Problem, subject, error.to_string()),
        Ok(None) if sealed_secrets.is_empty() => report.add(
            Verdict::Ok,
            subject,
            format!("{file} is not there; it is made at the start"),
        ),
        Ok(None) => report.add(
            Verdict::Warning,
            subject,
            format!("{file} is not there, but the database holds sealed secrets: {todo}"),
        ),
        Ok(Some(key)) if sealed_secrets.iter().any(|secret| key.open(secret).is_none()) => report.add(
            Verdict::Warning,
            subject,
            format!("it does not open every sealed secret of the database: {todo}"),
        ),
        Ok(Some(_)) if settings.sealing_key.is_some() => {
            report.add(Verdict::Ok, subject, "BOREALIS_SECRET_KEY gives it");
        }
        Ok(Some(_)) => report.add(Verdict::Ok, subject, file.to_string()),
    }
}

fn part(report: &mut Report, subject: &'static str, state: &PartState) {
    let (verdict, text) = match state {
        PartState::Present(path) => (Verdict::Ok, path.display().to_string()),
        PartState::Former { from, to } => (
            Verdict::Ok,
            format!("{} is moved to {} at the start", from.display(), to.display()),
        ),
        PartState::Missing(path) => (
            Verdict::Ok,
            format!("{} is not there; it is made at the start", path.display()),
        ),
        PartState::Expired {
            path,
            ended,
            reissued: true,
        } => (
            Verdict::Warning,
            format!(
                "{} ended {ended}: its root issues another at the start, which agents accept as they did this one",
                path.display()
            ),
        ),
        PartState::Expired { path, ended, .. } => (
            Verdict::Warning,
            format!(
                "{} ended {ended}, and no root is there to issue another: the start sets the old files aside and makes \
                 a new identity, and agents that pin the old one have to enroll again; restore it from a backup first if \
                 you have one that is good",
                path.display()
            ),
        ),
        PartState::Unusable(error) => (Verdict::Problem, error.to_string()),
    };
    report.add(verdict, subject, text);
}

fn address(report: &mut Report, settings: &Settings) {
    let wanted = format!("{}:{}", settings.host, settings.port);
    let addresses: Vec<_> = match (settings.host.trim_matches(['[', ']']), settings.port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            report.add(
                Verdict::Problem,
                "address",
                format!("{wanted} cannot be resolved: {error}; correct BOREALIS_HOST"),
            );
            return;
        }
    };
    match TcpListener::bind(addresses.as_slice()) {
        Ok(_) => report.add(Verdict::Ok, "address", format!("{wanted} is free")),
        Err(error) => report.add(
            Verdict::Problem,
            "address",
            format!(
                "cannot listen on {wanted}: {error}; stop the server that uses it, or set BOREALIS_PORT to another \
                 port"
            ),
        ),
    }
}

fn secret(report: &mut Report, settings: &Settings) {
    let todo = "set BOREALIS_FLASK_SECRET_KEY (or BOREALIS_SECRET) to a secret of your own, the legacy server's if \
                operators are to stay logged in";
    match (settings.has_default_secret(), settings.listens_on_loopback()) {
        (false, _) => report.add(Verdict::Ok, "signing secret", "it is your own"),
        (true, true) => report.add(
            Verdict::Warning,
            "signing secret",
            format!("it is a default that everybody knows: {todo}"),
        ),
        (true, false) => report.add(
            Verdict::Problem,
            "signing secret",
            format!(
                "it is a default that everybody knows, and {} is not a loopback address: {todo}",
                settings.host
            ),
        ),
    }
}
