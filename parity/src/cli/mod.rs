//! The commands, one file each. Exit codes: 0 all is well, 1 something differs or is wrong, 2 it could not run.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub mod import;

/// The command could not run.
pub const COULD_NOT_RUN: u8 = 2;

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
    /// Turn recordings of the legacy server into scenarios.
    Import(import::Import),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Import(import) => import.run(&arguments.scenarios),
    }
}
