//! Certificate and keys.

use std::path::Path;

use super::{
    finding::{Report, Verdict},
    writable::{self, Need},
};
use crate::{
    config::settings::Settings,
    domain::{clock::Clock, fernet::StoredSecret},
    integrations::{
        identity::{PartState, ServerIdentity, sealing_key},
        random::OsRandom,
    },
    services::sealing_keys::SealingKeys,
};

pub(super) fn identity(report: &mut Report, settings: &Settings, clock: &dyn Clock) {
    let state = ServerIdentity::inspect(settings, clock, &OsRandom);
    part(report, "certificate", &state.certificate);
    for warning in &state.certificate_warnings {
        report.add(Verdict::Warning, "certificate", warning.to_string());
    }
    part(report, "script key", &state.script_key);
    part(report, "token key", &state.token_key);
}

fn part(report: &mut Report, subject: &'static str, state: &PartState) {
    let (verdict, text) = match state {
        PartState::Present(path) => (Verdict::Ok, path.display().to_string()),
        PartState::Former { from, to } => (
            Verdict::Ok,
            format!("{} is moved to {} at the start", from.display(), to.display()),
        ),
        PartState::Incomplete(path) => (
            Verdict::Ok,
            format!(
                "{} is not there; the start makes it from the other files",
                path.display()
            ),
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
    if let Some(path) = written(state)
        && let Err(obstacle) = writable::folder_of(path, Need::File)
    {
        report.add(
            Verdict::Problem,
            subject,
            format!(
                "{} has to be written at the start, but {obstacle}",
                path.display()
            ),
        );
        return;
    }
    report.add(verdict, subject, text);
}

/// The file that the start writes.
fn written(state: &PartState) -> Option<&Path> {
    match state {
        PartState::Present(_) | PartState::Unusable(_) => None,
        PartState::Former { to: path, .. }
        | PartState::Incomplete(path)
        | PartState::Missing(path)
        | PartState::Expired { path, .. } => Some(path),
    }
}

/// Whether the key that seals secrets is there, and opens what is stored: a root folder that was copied without the
/// key looks whole, and its agents' accounts would all get new passwords.
pub(super) fn sealing_key(report: &mut Report, settings: &Settings, stored: &[StoredSecret]) {
    let subject = "sealing key";
    let found = match sealing_key::find(settings) {
        Ok(found) => found,
        Err(error) => {
            report.add(Verdict::Problem, subject, error.to_string());
            return;
        }
    };
    let keys = SealingKeys::choose(found, stored);
    match keys.refuse_loss() {
        Ok(()) => {}
        Err(refusal) if settings.accept_lost_secrets => {
            report.add(Verdict::Warning, subject, refusal.to_string());
        }
        Err(refusal) => {
            report.add(Verdict::Problem, subject, refusal.to_string());
            return;
        }
    }
    if let Some(loss) = keys.loss() {
        report.add(Verdict::Warning, subject, loss);
    }
    match (&keys.main, keys.preference()) {
        (Some(_), Some(preference)) => report.add(Verdict::Warning, subject, preference),
        (Some(main), None) => report.add(Verdict::Ok, subject, main.source.to_string()),
        (None, _) => {
            let file = settings.new_sealing_key_file();
            match writable::folder_of(&file, Need::File) {
                Ok(()) => report.add(
                    Verdict::Ok,
                    subject,
                    format!("{} is not there; it is made at the start", file.display()),
                ),
                Err(obstacle) => report.add(
                    Verdict::Problem,
                    subject,
                    format!(
                        "{} has to be written at the start, but {obstacle}",
                        file.display()
                    ),
                ),
            }
        }
    }
}
