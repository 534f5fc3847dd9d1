//! `borealis-engine users`

use clap::{Args, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use super::{
    Failure,
    output::{Answer, shown, shown_time, table},
    password::{ChosenPassword, PasswordArguments},
};
use crate::{
    builders::operators::users::{MfaSwitch, new_user},
    domain::{
        json::{Json, JsonObject},
        operators::{Role, User},
    },
    interfaces::http::operators::users::UserList,
    services::{
        Environment,
        operators::{
            Operator,
            users::{UserError, UserService},
        },
    },
};

/// List and make operators' accounts, reset passwords, change roles, switch MFA off.
///
/// Safe beside a running server, which looks accounts up with every request: no restart is needed. A changed role
/// counts at once, on open realtime connections after 5 seconds at most. A new password, and another role than before,
/// end the account's sessions, as in the web client. Ten wrong guesses within 5 minutes lock a name out for an address; the server remembers
/// that, and a new password does not shorten it.
///
/// Letter case does not count in the name of an account. One admin is always left.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine users create alice --role admin          asks for the password
  pass show borealis | borealis-engine users create bob --password-stdin
  borealis-engine users reset-password admin --generate-password
  borealis-engine users disable-mfa alice                  for a lost telephone

Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
pub struct UsersArguments {
    #[command(subcommand)]
    command: UsersCommand,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// Show every account.
    List,
    /// Make an account.
    ///
    /// Without an option that says otherwise, the password is asked for on the terminal, twice and unseen.
    Create {
        /// The name to log in with.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// What it may do.
        #[arg(long, value_enum, ignore_case = true, default_value = "user")]
        role: RoleName,
        /// The name shown; else the name to log in with.
        #[arg(long)]
        display_name: Option<String>,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Give an account another password.
    ///
    /// Without an option that says otherwise, the password is asked for on the terminal, twice and unseen.
    ResetPassword {
        /// The account.
        name: String,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Give an account another role.
    SetRole {
        /// The account.
        name: String,
        /// What it may do.
        #[arg(value_enum, ignore_case = true)]
        role: RoleName,
    },
    /// Let an account log in without a code, and forget what its codes are made from.
    DisableMfa {
        /// The account.
        name: String,
        /// Keep what codes are made from: the same authenticator entry works once MFA is on again.
        #[arg(long)]
        keep_secret: bool,
    },
}

impl UsersArguments {
    /// Whether this command is about more than to show something.
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self.command, UsersCommand::List)
    }
}

/// The roles as they are typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RoleName {
    /// May do everything.
    Admin,
    /// May not touch accounts, credentials, approvals, install codes and the GitHub token.
    User,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Self::Admin,
            RoleName::User => Self::User,
        }
    }
}

pub(super) async fn run(
    arguments: &UsersArguments,
    users: &UserService,
    environment: &Environment,
) -> Result<(), Failure> {
    let caller = Operator::at_command_line();
    let answer = match &arguments.command {
        UsersCommand::List => listing(users.list().await?),
        UsersCommand::Create {
            name,
            role,
            display_name,
            password,
        } => {
            let password = password.choose(&*environment.random)?;
            let form = JsonObject::from_iter([
                ("username".to_owned(), Json::from(name.as_str())),
                ("display_name".to_owned(), display_name.clone().into()),
                ("password_sha512".to_owned(), password.sha512().into()),
                ("role".to_owned(), Role::from(*role).as_stored().into()),
            ]);
            // With a password, only a name of nothing but blanks is left to be refused.
            let user = new_user(&form).map_err(|_| Failure::refused("the name is blank"))?;
            users
                .create(&user, &caller)
                .await
                .map_err(|error| refusal(error, name))?;
            let what = format!(
                "made the account {} with the role {}",
                shown(&user.username),
                user.role
            );
            return show_password(arguments.json, &user.username, &what, &password);
        }
        UsersCommand::ResetPassword { name, password } => {
            let password = password.choose(&*environment.random)?;
            users
                .reset_password(name, &password.sha512(), &caller)
                .await
                .map_err(|error| refusal(error, name))?;
            let what = format!("the account {} has another password", shown(name));
            return show_password(arguments.json, name, &what, &password);
        }
        UsersCommand::SetRole { name, role } => {
            let role = Role::from(*role);
            users
                .set_role(name, role, &caller)
                .await
                .map_err(|error| refusal(error, name))?;
            done(
                name,
                format!("the account {} has the role {}", shown(name), role.as_stored()),
            )
        }
        UsersCommand::DisableMfa { name, keep_secret } => {
            let switch = MfaSwitch {
                enabled: false,
                reset_secret: !keep_secret,
            };
            users
                .switch_mfa(name, switch, &caller)
                .await
                .map_err(|error| refusal(error, name))?;
            done(
                name,
                format!("the account {} logs in without a code", shown(name)),
            )
        }
    };
    answer.show(arguments.json)
}

fn listing(users: Vec<User>) -> Answer {
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            let operator = Operator::from(user.clone());
            [
                shown(&operator.username),
                shown(&operator.role),
                if user.mfa_enabled { "on" } else { "off" }.to_owned(),
                shown_time(user.last_login.as_int()),
                shown(&operator.display_name),
            ]
        })
        .collect();
    Answer {
        text: table(["NAME", "ROLE", "MFA", "LAST LOGIN", "DISPLAY NAME"], &rows),
        json: Json::of(&users.into_iter().collect::<UserList>()),
    }
}

fn done(name: &str, text: String) -> Answer {
    Answer {
        text,
        json: Json::object([("status", "ok".into()), ("username", name.into())]),
    }
}

/// Shows that an account has a password, and which, where it was made up.
fn show_password(as_json: bool, name: &str, what: &str, password: &ChosenPassword) -> Result<(), Failure> {
    let Some(made_up) = password.made_up() else {
        return done(name, what.to_owned()).show(as_json);
    };
    Answer {
        text: format!("{what}\npassword: {made_up}"),
        json: Json::object([
            ("status", "ok".into()),
            ("username", name.into()),
            ("password", made_up.into()),
        ]),
    }
    .try_show(as_json)
    .map_err(Failure::io(format!(
        "{what}, but nobody could read which: give it another with `borealis-engine users reset-password`"
    )))
}

/// Why nothing came of it, and what to do.
fn refusal(error: UserError, name: &str) -> Failure {
    let name = shown(name);
    Failure::Refused(match error {
        UserError::Store(error) => return Failure::Store(error),
        UserError::NameTaken => format!(
            "there is an account {name} already (letter case does not count): choose another name, or give it another \
             password with `borealis-engine users reset-password`"
        ),
        UserError::NotFound => {
            format!("there is no account {name}: `borealis-engine users list` shows those that there are")
        }
        UserError::DemotesLastAdmin => format!(
            "{name} is the last admin: give another account that role first, with `borealis-engine users set-role`"
        ),
        other @ (UserError::OwnAccount | UserError::OnlyAccount | UserError::DeletesLastAdmin) => {
            other.to_string()
        }
    })
}
