//! What a start needs, looked at before anything is touched: `check` prints what is found, `serve` and `migrate` go no
//! further where it is a problem. So the one predicts the other.
//!
//! Looking leaves nothing behind: folders are tried with files that have no name, addresses are bound and closed,
//! databases are read, locks are asked for.

mod address;
mod database;
mod finding;
mod keys;
mod modes;
mod root;
mod secrets;
mod writable;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    config::settings::{AccessPolicy, Settings},
    domain::clock::Clock,
    integrations::{restore_places, root_lock},
};

use self::writable::Need;
pub use self::{
    address::{bind, bind_metrics},
    database::{describe, describe_upgrade},
    finding::{Finding, Report, Verdict, exit_code, problems},
    modes::narrow_files,
    root::{make as make_root, refuse as refuse_root, refuse_root_user},
};

/// Looks at everything that `serve` would use. With `create`, a root folder that is not there is one that is made.
pub async fn before_serving(settings: &Settings, create: bool, clock: &dyn Clock) -> Vec<Finding> {
    let mut report = Report::default();
    if root::look(&mut report, settings, create) {
        web_client(&mut report, settings);
        logs(&mut report, settings);
        lock(&mut report, settings);
        let state = database::look(&mut report, settings, settings.auto_migrate, clock).await;
        keys::identity(&mut report, settings, clock);
        modes::look(&mut report, settings);
        keys::sealing_key(&mut report, settings, &state.sealed_secrets);
        address::look(&mut report, settings);
        address::look_at_metrics(&mut report, settings);
        report.append(of_settings(settings));
    }
    report.finish()
}

/// What can be found from the settings alone.
pub fn of_settings(settings: &Settings) -> Vec<Finding> {
    let mut report = Report::default();
    origins(&mut report, settings);
    secrets::look(&mut report, settings);
    if let Some(address) = settings.observing.public_metrics() {
        report.add(
            Verdict::Warning,
            "metrics",
            format!(
                "whoever reaches {address} reads how many devices and operators are there and what they ask for: set \
                 BOREALIS_METRICS_ADDR to a loopback address, or let a firewall see to it"
            ),
        );
    }
    if settings.access_policy == AccessPolicy::Legacy {
        report.add(
            Verdict::Warning,
            "access policy",
            "legacy: routes that the legacy leaves open are open to everybody, sessions outlive their logout, and pages \
             of other sites may use operators' cookies; set BOREALIS_ACCESS_POLICY to strict unless a client needs them",
        );
    }
    report.finish()
}

/// Looks at what `migrate` would use: as much as concerns the database.
pub async fn before_migrating(settings: &Settings, clock: &dyn Clock) -> Vec<Finding> {
    let mut report = Report::default();
    lock(&mut report, settings);
    database::look(&mut report, settings, true, clock).await;
    report.finish()
}

fn web_client(report: &mut Report, settings: &Settings) {
    let shown = settings.static_root.display();
    if settings.static_root.join("index.html").is_file() {
        report.add(Verdict::Ok, "web client", shown.to_string());
        return;
    }
    let missing = if settings.static_root.is_dir() {
        "holds no index.html"
    } else {
        "is not there"
    };
    report.add(
        Verdict::Warning,
        "web client",
        format!("{shown} {missing}: build the web client, or set BOREALIS_STATIC_ROOT to its folder"),
    );
}

/// Origins that are allowed too much, and those that never match: browsers send none with a slash at its end.
fn origins(report: &mut Report, settings: &Settings) {
    if settings.cookies.same_site == "None" && settings.cors_allowed_origins.is_empty() {
        report.add(
            Verdict::Warning,
            "origins",
            "operator cookies go to every site (BOREALIS_COOKIE_SAMESITE) and every origin is allowed: set \
             BOREALIS_CORS_ALLOWED_ORIGINS",
        );
    }
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
}

/// The server runs without its log files, which nobody would notice before one is needed.
fn logs(report: &mut Report, settings: &Settings) {
    log(report, settings, "log", "engine.log");
    log(report, settings, "audit log", "audit.log");
    if settings.observing.access_log {
        log(report, settings, "access log", "access.log");
    }
}

fn log(report: &mut Report, settings: &Settings, subject: &'static str, name: &str) {
    let file = settings.root.join("Logs/Server").join(name);
    let tried = match fs::metadata(&file) {
        Ok(_) => writable::file(&file),
        Err(_) => writable::folder_of(&file, Need::File),
    };
    match tried {
        Ok(()) => report.add(Verdict::Ok, subject, file.display().to_string()),
        Err(obstacle) => report.add(
            Verdict::Warning,
            subject,
            format!(
                "{} cannot be written, and the server would run without it: {obstacle}",
                file.display()
            ),
        ),
    }
}

/// Where a restore, or a replacement of the certificate, writes down what it is at, for as long as it is at it.
pub fn restore_plan(settings: &Settings) -> PathBuf {
    settings.root.join(root::RESTORE_PLAN)
}

/// What to do where that file is left.
pub fn cut_short(plan: &Path) -> String {
    format!(
        "a restore, or a replacement of the certificate, was cut short ({} says at what): `borealis-engine restore --roll-back` puts back what was there before",
        plan.display()
    )
}

fn lock(report: &mut Report, settings: &Settings) {
    let plan = restore_plan(settings);
    if plan.exists() {
        report.add(Verdict::Problem, "restore", cut_short(&plan));
    }
    match root_lock::probe(&settings.database_path) {
        Ok(()) => {
            report.add(
                Verdict::Ok,
                "other servers",
                "no other engine works in this root folder",
            );
            // While somebody has the lock they may be in use.
            for leftover in restore_places::leftovers(settings) {
                report.add(
                    Verdict::Warning,
                    "restore",
                    format!(
                        "{} was made ready by a command that was killed, and may hold keys or the database: \
                         `borealis-engine restore --roll-back` removes it",
                        leftover.display()
                    ),
                );
            }
        }
        Err(error) => report.add(Verdict::Problem, "other servers", error.to_string()),
    }
}
