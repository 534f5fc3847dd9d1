//! The commands, one file each. Exit codes: 0 all is well, 1 something differs or is wrong, 2 it could not run.

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use self::output::complain;

pub mod accept;
pub mod bench;
pub mod check;
pub mod convert;
pub mod doctor;
pub mod guide;
pub mod import;
pub mod list;
pub mod new;
pub mod output;
pub mod prove;
pub mod record;
pub mod report;
pub mod run;
pub mod show;
pub mod sign;
mod stream;
pub mod targets;

/// Something is wrong with what was looked at.
pub const WRONG: u8 = 1;

/// The command could not run.
pub const COULD_NOT_RUN: u8 = 2;

/// How many scenarios run at a time.
fn side_by_side(text: &str) -> Result<usize, String> {
    const MOST: usize = 1024;
    let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("a number from 1 to {MOST}"))
}

/// What a command ends with; what kept it from running is printed.
fn exit_code<E: Display>(ended: Result<impl Into<ExitCode>, E>) -> ExitCode {
    ended.map_or_else(|error| could_not_run(&error), Into::into)
}

fn could_not_run(error: &impl Display) -> ExitCode {
    complain!("parity: {error}");
    ExitCode::from(COULD_NOT_RUN)
}

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "parity", version, about)]
pub struct Arguments {
    /// Folder of the scenarios.
    #[arg(long, global = true, default_value = "scenarios", value_name = "FOLDER")]
    pub scenarios: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios against the engine and compare with what the legacy answered, or against any two servers.
    Run(run::Run),
    /// Make the reports of a run again from its report.json.
    Report(report::Report),
    /// Look whether everything is there that a comparison and a cut-over need, and name the cure of what is not.
    Doctor(doctor::Doctor),
    /// Say which items of the cut-over's checklist the last run proved, in the staging guide.
    Guide(guide::Guide),
    /// Sign what the last run showed, or say whether the signature still covers it.
    Sign(sign::Sign),
    /// Change what the engine showed, place by place, and count which changes the comparison notices.
    Prove(prove::Prove),
    /// Stand between clients and a server, and write what they do as a scenario and its snapshot.
    Record(record::Record),
    /// Turn recordings of the legacy server into scenarios.
    Import(import::Import),
    /// Turn scenario files of an earlier format into the present one, in place.
    Convert(convert::Convert),
    /// Write a small scenario to begin with.
    New(new::New),
    /// List the scenarios.
    List(list::List),
    /// Show the steps of one scenario.
    Show(show::Show),
    /// Check every scenario, the register and the snapshots, and say everything that is wrong with them.
    Check(check::Check),
    /// Run one scenario and write what differs in it into an entry of the register.
    Accept(accept::Accept),
    /// Measure a server under load.
    Bench(bench::Bench),
    /// Print what makes a shell complete this program's commands.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let code = match arguments.command {
        Command::Run(run) => run.run(&arguments.scenarios),
        Command::Report(report) => report.run(),
        Command::Doctor(doctor) => doctor.run(&arguments.scenarios),
        Command::Guide(guide) => guide.run(&arguments.scenarios),
        Command::Sign(sign) => sign.run(&arguments.scenarios),
        Command::Prove(prove) => prove.run(&arguments.scenarios),
        Command::Record(record) => record.run(&arguments.scenarios),
        Command::Import(import) => import.run(&arguments.scenarios),
        Command::Convert(convert) => convert.run(&arguments.scenarios),
        Command::New(new) => new.run(&arguments.scenarios),
        Command::List(list) => list.run(&arguments.scenarios),
        Command::Show(show) => show.run(&arguments.scenarios),
        Command::Check(check) => check.run(&arguments.scenarios),
        Command::Accept(accept) => accept.run(&arguments.scenarios),
        Command::Bench(bench) => bench.run(),
        Command::Completions { shell } => print_completions(shell),
    };
    if code == ExitCode::SUCCESS && !output::is_whole() {
        return ExitCode::from(COULD_NOT_RUN);
    }
    code
}

fn print_completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "parity", &mut script);
    output::write_out(format_args!("{}", String::from_utf8_lossy(&script)));
    ExitCode::SUCCESS
}
