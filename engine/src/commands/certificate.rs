//! `borealis-engine certificate`

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};

use super::{
    Failure,
    output::{Answer, shown},
};
use crate::{
    config::settings::Settings,
    domain::{json::Json, timestamp::iso_utc},
    integrations::identity::{self, Description},
    preflight,
    services::{Environment, audit},
};

/// Show, renew or replace the server's certificate.
///
/// Safe beside a running server, which takes renewed files up within a minute, or at once when it gets SIGHUP; a proxy
/// in front of it that serves the same files has to be told to reload.
///
/// Agents trust the bundle that they were given when they enrolled: the certificate with the root that issued it. What
/// that root issues they accept, so `renew` changes nothing for them; after `replace` they need the new bundle.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine certificate show
  BOREALIS_TLS_NAMES=borealis.example,192.0.2.10 borealis-engine certificate renew
  borealis-engine certificate replace

Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
pub struct CertificateArguments {
    #[command(subcommand)]
    command: CertificateCommand,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Show names, validity, issuer and fingerprint, and whether agents can verify it.
    Show,
    /// Have the root issue another certificate, for the names in BOREALIS_TLS_NAMES, valid for five years from now.
    Renew,
    /// Set every file aside and make a new root and certificate; agents need the new bundle then.
    ///
    /// All files are replaced or none. Where the machine fails in the middle, no server starts there until
    /// `borealis-engine restore --roll-back` has put back what was there before.
    Replace {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

impl CertificateArguments {
    /// Whether this command is about more than to show something.
    pub(super) const fn changes_something(&self) -> bool {
        !matches!(self.command, CertificateCommand::Show)
    }
}

pub(super) fn run(
    arguments: &CertificateArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<(), Failure> {
    let (clock, random) = (&*environment.clock, &*environment.random);
    let refused = |error: identity::IdentityError| Failure::Refused(error.to_string());
    let describe = || identity::describe_certificate(settings, clock, random).map_err(refused);
    let answer = match &arguments.command {
        CertificateCommand::Show => {
            let found = describe()?;
            Answer {
                text: text(&found),
                json: described(&found),
            }
        }
        CertificateCommand::Renew => {
            identity::renew_certificate(settings, clock, random).map_err(refused)?;
            let found = describe()?;
            audit::changed("certificate.renewed", &found.fingerprint);
            tracing::info!(until = %found.ends, "certificate renewed");
            Answer {
                text: format!(
                    "the root has issued another certificate; agents accept it as they did the old one\n{}",
                    text(&found)
                ),
                json: Json::object([("status", "renewed".into()), ("certificate", described(&found))]),
            }
        }
        CertificateCommand::Replace { yes } => {
            if !yes {
                ask()?;
            }
            let plan = preflight::restore_plan(settings);
            let aside = identity::replace_certificate(settings, &plan, clock, random).map_err(refused)?;
            let found = describe()?;
            audit::changed("certificate.replaced", &found.fingerprint);
            tracing::warn!(until = %found.ends, "certificate replaced");
            let aside: Vec<_> = aside.iter().map(|path| path.display().to_string()).collect();
            Answer {
                text: replaced(&found, &aside),
                json: Json::object([
                    ("status", "replaced".into()),
                    ("certificate", described(&found)),
                    ("set_aside", Json::list(aside)),
                ]),
            }
        }
    };
    answer.show(arguments.json)
}

/// Asks whether to go on.
fn ask() -> Result<(), Failure> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(Failure::refused(
            "this makes a new identity, and no agent can connect until it has the new bundle: answer with --yes where \
             there is no terminal to ask on; nothing was changed",
        ));
    }
    let cannot = || Failure::io("cannot ask on the terminal");
    let mut output = io::stderr().lock();
    write!(
        output,
        "This makes a new identity. No agent that pins the present one can connect until it has the new bundle.\n\
         Replace the certificate? Type yes to go on: "
    )
    .and_then(|()| output.flush())
    .map_err(cannot())?;
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(cannot())?;
    if line.trim().eq_ignore_ascii_case("yes") {
        Ok(())
    } else {
        Err(Failure::refused("nothing was changed"))
    }
}

fn replaced(found: &Description, aside: &[String]) -> String {
    let bundle = shown(&found.files.bundle.to_string_lossy());
    let mut lines = format!(
        "made a new root and certificate\n{}\n\
         What agents need now: {bundle}. Each agent pins the bundle that it was given when it enrolled, and refuses this \
         server until it has this one: put a copy in the place of its pinned bundle, or have it enroll again with an \
         install code. A proxy that serves these files has to reload them.\n",
        text(found)
    );
    for path in aside {
        lines.push_str(&format!("set aside: {}\n", shown(path)));
    }
    lines
}

fn text(found: &Description) -> String {
    let verifiable = match &found.verifiable {
        Ok(()) => "can verify it".to_owned(),
        Err(reason) => format!("cannot verify it: {}", shown(&reason.to_string())),
    };
    let renewal = if found.has_root {
        "its root can issue the next one (`certificate renew`)"
    } else {
        "no root that issued it is here: only `certificate replace`"
    };
    let rows = [
        ("certificate", shown(&found.files.bundle.to_string_lossy())),
        ("key", shown(&found.files.key.to_string_lossy())),
        ("subject", shown(&found.subject)),
        ("issuer", shown(&found.issuer)),
        ("names", shown(&found.names.join(", "))),
        (
            "valid",
            format!(
                "{} to {}{}",
                iso_utc(found.begins),
                iso_utc(found.ends),
                if found.ended { " (it has ended)" } else { "" }
            ),
        ),
        ("fingerprint", format!("SHA-256 {}", found.fingerprint)),
        ("agents", verifiable),
        ("renewal", renewal.to_owned()),
    ];
    rows.map(|(name, value)| format!("{name:12} {value}\n")).concat()
}

fn described(found: &Description) -> Json {
    let reason = found.verifiable.as_ref().err().map(ToString::to_string);
    Json::object([
        ("bundle", found.files.bundle.to_string_lossy().as_ref().into()),
        ("key", found.files.key.to_string_lossy().as_ref().into()),
        ("subject", found.subject.clone().into()),
        ("issuer", found.issuer.clone().into()),
        ("names", Json::list(found.names.clone())),
        ("not_before", iso_utc(found.begins).into()),
        ("not_after", iso_utc(found.ends).into()),
        ("ended", found.ended.into()),
        ("fingerprint_sha256", found.fingerprint.clone().into()),
        ("agents_can_verify", reason.is_none().into()),
        ("reason", reason.into()),
        ("renewable", found.has_root.into()),
    ])
}
