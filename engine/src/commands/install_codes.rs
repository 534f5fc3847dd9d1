//! `borealis-engine install-codes`

use clap::{Args, Subcommand, ValueEnum, value_parser};

use super::{
    Failure,
    output::{Answer, shown, shown_or_nothing, table},
};
use crate::{
    builders::install_codes::{LIFETIMES_HOURS, NewInstallCode},
    domain::{
        install_codes::{InstallCode, InstallCodeFilter},
        json::Json,
    },
    interfaces::http::install_codes::{CodeList, ListedCode},
    services::{install_codes::InstallCodeService, operators::Operator},
};

/// List, make and revoke the install codes that agents enroll with.
///
/// Safe beside a running server, which looks codes up with every enrollment: no restart is needed.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine install-codes create --ttl-hours 24 --max-uses 10
  borealis-engine install-codes list --status active
  borealis-engine install-codes revoke CA8D-E3AB-3D7F-DFDF-9B93-E6EE-6987-8578

Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
pub struct InstallCodesArguments {
    #[command(subcommand)]
    command: InstallCodesCommand,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum InstallCodesCommand {
    /// Show codes, those that end first on top.
    List {
        /// Which codes.
        #[arg(long, value_enum, default_value = "all")]
        status: StatusName,
    },
    /// Make a code and show it.
    Create {
        /// How many hours it may be used: 1, 3, 6, 12 or 24.
        #[arg(long, default_value = "1", value_parser = lifetime)]
        ttl_hours: i64,
        /// How many devices may enroll with it, 1 to 10.
        #[arg(long, default_value_t = 2, value_parser = value_parser!(i64).range(1..=10))]
        max_uses: i64,
    },
    /// Delete a code that nobody has used yet.
    Revoke {
        /// The code, or its id.
        code: String,
    },
}

/// The listings as they are typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum StatusName {
    /// Every code.
    All,
    /// With a use left, not yet ended.
    Active,
    /// With a use left, ended.
    Expired,
    /// Without a use left.
    Used,
}

impl From<StatusName> for InstallCodeFilter {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::All => Self::All,
            StatusName::Active => Self::Active,
            StatusName::Expired => Self::Expired,
            StatusName::Used => Self::Used,
        }
    }
}

fn lifetime(text: &str) -> Result<i64, String> {
    let hours = text.parse().ok();
    LIFETIMES_HOURS
        .into_iter()
        .find(|allowed| Some(*allowed) == hours)
        .ok_or_else(|| "a code lives for 1, 3, 6, 12 or 24 hours".to_owned())
}

impl InstallCodesArguments {
    /// Whether this command is about more than to show something.
    pub(super) const fn changes_something(&self) -> bool {
        !matches!(self.command, InstallCodesCommand::List { .. })
    }
}

pub(super) async fn run(
    arguments: &InstallCodesArguments,
    codes: &InstallCodeService,
) -> Result<(), Failure> {
    let answer = match &arguments.command {
        InstallCodesCommand::List { status } => listing(codes.list((*status).into()).await?),
        InstallCodesCommand::Create { ttl_hours, max_uses } => {
            let new_code = NewInstallCode {
                ttl_hours: *ttl_hours,
                max_uses: *max_uses,
            };
            let code = codes
                .create(new_code, &Operator::at_command_line().username)
                .await?;
            Answer {
                text: format!(
                    "{}\nends {}, for {} devices, id {}",
                    code.code, code.expires_at, max_uses, code.id
                ),
                json: Json::of(&ListedCode::from(code)),
            }
        }
        InstallCodesCommand::Revoke { code } => revoke(codes, code.trim()).await?,
    };
    answer.show(arguments.json)
}

fn uses(code: &InstallCode) -> String {
    format!("{} of {}", code.uses(), code.allowed_uses())
}

fn listing(codes: Vec<InstallCode>) -> Answer {
    let rows: Vec<_> = codes
        .iter()
        .map(|code| {
            [
                shown(&code.code),
                shown(&code.expires_at),
                uses(code),
                shown_or_nothing(code.used_by_guid.as_deref()),
                shown(&code.id),
            ]
        })
        .collect();
    Answer {
        text: table(["CODE", "ENDS", "USED", "LAST USED BY", "ID"], &rows),
        json: Json::of(&codes.into_iter().collect::<CodeList>()),
    }
}

async fn revoke(codes: &InstallCodeService, name: &str) -> Result<Answer, Failure> {
    let all = codes.list(InstallCodeFilter::All).await?;
    let found = all
        .iter()
        .find(|code| code.id.eq_ignore_ascii_case(name) || code.code.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Failure::refused(
                "there is no such code: `borealis-engine install-codes list` shows those that there are",
            )
        })?;
    if !codes.delete(&found.id).await? {
        return Err(Failure::Refused(format!(
            "the code has been used ({}) and cannot be revoked any more; it ends {}. Deny the requests of devices that \
             came with it, or revoke the devices",
            uses(found),
            shown(&found.expires_at)
        )));
    }
    Ok(Answer {
        text: format!("revoked the code {}", shown(&found.code)),
        json: Json::object([("status", "deleted".into()), ("id", found.id.as_str().into())]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lifetimes_of_the_service_can_be_asked_for() {
        for hours in LIFETIMES_HOURS {
            assert_eq!(lifetime(&hours.to_string()), Ok(hours));
        }
        for refused in ["0", "2", "-1", "1.0", "", "one"] {
            let told = lifetime(refused).unwrap_err();
            assert!(
                LIFETIMES_HOURS
                    .iter()
                    .all(|hours| told.contains(&hours.to_string()))
            );
        }
    }
}
