//! The secrets that sign operators' cookies and seal stored passwords.

use super::finding::{Report, Verdict};
use crate::config::{secret::SecretStrength, settings::Settings};

pub(super) fn look(report: &mut Report, settings: &Settings) {
    let subject = "signing secret";
    let todo = "set BOREALIS_FLASK_SECRET_KEY (or BOREALIS_SECRET) to a secret of your own, the legacy server's if \
                operators are to stay logged in";
    match settings.signing_secret_strength() {
        SecretStrength::Sufficient => report.add(Verdict::Ok, subject, "it is none that is known, and long enough"),
        SecretStrength::Short(length) => report.add(
            Verdict::Warning,
            subject,
            format!(
                "it has {length} characters, so that whoever has one cookie can find it by trying and be any operator: \
                 set BOREALIS_FLASK_SECRET_KEY (or BOREALIS_SECRET) to 16 random characters or more; operators have \
                 to log in again then"
            ),
        ),
        SecretStrength::Published if settings.listens_on_loopback() => report.add(
            Verdict::Warning,
            subject,
            format!(
                "it is a default that everybody knows, so that requests through a proxy are refused under the access \
                 policy strict: {todo}"
            ),
        ),
        SecretStrength::Published => report.add(
            Verdict::Problem,
            subject,
            format!(
                "the signing secret is a default that everybody knows, and {} is not a loopback address: {todo}",
                settings.host
            ),
        ),
    }
    if settings.has_published_sealing_key() {
        let text = "BOREALIS_SECRET_KEY is a key that everybody knows, so that whoever has the database reads every \
                    stored password: remove the variable and start with --new-sealing-key, then enter the credentials \
                    anew";
        let verdict = if settings.listens_on_loopback() {
            Verdict::Warning
        } else {
            Verdict::Problem
        };
        report.add(verdict, "sealing key", text);
    }
}
