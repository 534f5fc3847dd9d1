//! `borealis-engine devices`

use clap::{Args, Subcommand};

use super::{
    Failure,
    output::{Answer, shown, shown_or_nothing, shown_time, table},
};
use crate::{
    domain::{devices::DeviceEntry, json::Json},
    services::{
        device_access::revocation::{RevocationError, RevocationService},
        operators::Operator,
    },
};

/// List devices, and shut them out.
///
/// Safe beside a running server, which looks a device up with every request: no restart is needed. A revoked device's
/// next request is refused, and what it says on an open realtime connection counts for 5 seconds at most. Its row
/// stays. It comes back only when it enrolls again with a new key and an admin approves that.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine devices list
  borealis-engine devices revoke WIN-LAPTOP-7
  borealis-engine devices revoke 3f2504e0-4f89-11d3-9a0c-0305e82c3301

Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
pub struct DevicesArguments {
    #[command(subcommand)]
    command: DevicesCommand,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum DevicesCommand {
    /// Show every device.
    List,
    /// Refuse a device's tokens, and end those that would get it new ones.
    Revoke {
        /// Its GUID in any spelling, or its host name.
        device: String,
    },
}

impl DevicesArguments {
    /// Whether this command is about more than to show something.
    pub(super) const fn changes_something(&self) -> bool {
        !matches!(self.command, DevicesCommand::List)
    }
}

pub(super) async fn run(arguments: &DevicesArguments, devices: &RevocationService) -> Result<(), Failure> {
    let answer = match &arguments.command {
        DevicesCommand::List => listing(&devices.list().await?),
        DevicesCommand::Revoke { device: name } => {
            let device = devices
                .revoke(name, &Operator::at_command_line().username)
                .await
                .map_err(|error| refusal(error, name))?;
            let names = device
                .hostnames
                .iter()
                .map(|hostname| shown(hostname))
                .collect::<Vec<_>>()
                .join(", ");
            let guid = shown(device.guid.as_str());
            Answer {
                text: if device.was_revoked {
                    format!("the device {guid} ({names}) was revoked already")
                } else {
                    format!("revoked the device {guid} ({names})")
                },
                json: Json::object([
                    ("status", "revoked".into()),
                    ("guid", device.guid.as_str().into()),
                    ("hostnames", Json::list(device.hostnames)),
                    ("was_revoked", device.was_revoked.into()),
                ]),
            }
        }
    };
    answer.show(arguments.json)
}

/// The status as authentication reads it: nothing counts as active.
fn status(device: &DeviceEntry) -> &str {
    device
        .status
        .as_deref()
        .map(str::trim)
        .filter(|status| !status.is_empty())
        .unwrap_or("active")
}

fn listing(devices: &[DeviceEntry]) -> Answer {
    let rows: Vec<_> = devices
        .iter()
        .map(|device| {
            [
                shown_or_nothing(device.guid.as_deref()),
                shown_or_nothing(device.hostname.as_deref()),
                shown(status(device)),
                shown_time(device.last_seen),
                shown_or_nothing(device.agent_id.as_deref()),
            ]
        })
        .collect();
    let members = devices.iter().map(|device| {
        Json::object([
            ("guid", device.guid.clone().into()),
            ("hostname", device.hostname.clone().into()),
            ("status", status(device).into()),
            ("last_seen", device.last_seen.into()),
            ("agent_id", device.agent_id.clone().into()),
        ])
    });
    Answer {
        text: table(["GUID", "HOST NAME", "STATUS", "LAST SEEN", "AGENT"], &rows),
        json: Json::object([("devices", Json::list(members))]),
    }
}

/// Why nothing came of it, and what to do.
fn refusal(error: RevocationError, name: &str) -> Failure {
    let name = shown(name);
    Failure::Refused(match error {
        RevocationError::Store(error) => return Failure::Store(error),
        RevocationError::Unknown => format!(
            "there is no device with the GUID or host name {name}: `borealis-engine devices list` shows those that \
             there are"
        ),
        RevocationError::NeverEnrolled => {
            format!("the device {name} has no GUID: it never enrolled, so it has no tokens to refuse")
        }
        RevocationError::Ambiguous(devices) => {
            let devices: Vec<_> = devices
                .iter()
                .map(|device| {
                    format!(
                        "{} ({})",
                        shown_or_nothing(device.guid.as_deref()),
                        shown_or_nothing(device.hostname.as_deref())
                    )
                })
                .collect();
            format!(
                "{name} could be several devices: {}. Nothing was revoked; name one by its GUID, or by its host name in \
                 the right letter case",
                devices.join(", ")
            )
        }
    })
}
