//! `parity bench`: figures of a server under load.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum as _};
use indicatif::ProgressBar;

use super::output::{complain, say, write_out};
use crate::bench::{BenchError, ChannelPlan, ListPlan, Load, Plan, besiege, compare, measure, measure_lists};

/// How often the message of a measurement that goes on is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `parity bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Build both first: cargo build --release\n`channel` needs two examples in place of the server: \
    cargo build --release --workspace --examples\n\n\
    Exit codes: 0 measured, 2 it could not be measured.\n\n\
    Examples:\n  parity bench\n  parity bench refresh --connections 16 --seconds 20\n  parity bench siege --attack logins\n  \
    parity bench lists --devices 1000 --list search\n  parity bench channel --clients 2000 --rounds 3"
)]
pub struct Bench {
    /// What to measure, one after the other; nothing means everything but `channel`.
    #[arg(value_enum, value_name = "LOAD")]
    pub loads: Vec<Load>,
    /// The server's binary; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub engine: Option<PathBuf>,
    /// How many devices there are; 5,000 unless it is said, and 10,000 for `lists`.
    #[arg(long, value_name = "N")]
    pub devices: Option<usize>,
    /// How many connections send requests at the same time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub connections: usize,
    /// How many operators look on; 200 unless it is said, and 8 for `lists`.
    #[arg(long, value_name = "N")]
    pub operators: Option<usize>,
    /// Of `lists`: how many heartbeats a second come beside them; a device sends one in two seconds at most.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub heartbeats: usize,
    /// Of `lists` only those whose paths contain this.
    #[arg(long, value_name = "PART")]
    pub list: Option<String>,
    /// How long each measurement goes on.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub seconds: u64,
    /// How long the server is left alone after each attack of the siege, until its memory is read again.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub rest: u64,
    /// Of the siege only the attacks whose names contain this.
    #[arg(long, value_name = "NAME")]
    pub attack: Option<String>,
    /// Of `channel`: this project's Socket.IO server; without it the example `echo` beside this program.
    #[arg(long, value_name = "FILE")]
    pub ours: Option<PathBuf>,
    /// Of `channel`: socketioxide; without it the example `peer` beside this program.
    #[arg(long, value_name = "FILE")]
    pub peer: Option<PathBuf>,
    /// Of `channel`: how many clients connect.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub clients: usize,
    /// Of `channel` and `lists`: how often everything is measured; the table shows medians, JSON all.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub rounds: usize,
    /// Prints JSON instead of lines for people.
    #[arg(long)]
    pub json: bool,
}

impl Bench {
    /// Measures and prints.
    pub fn run(&self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("parity: {error}");
                ExitCode::from(super::COULD_NOT_RUN)
            }
        }
    }

    fn try_run(&self) -> Result<(), Box<dyn std::error::Error>> {
        let beside = std::env::current_exe()?.with_file_name("borealis-engine");
        let plan = Plan {
            engine: self.engine.clone().unwrap_or(beside),
            devices: self.devices.unwrap_or(5000).max(1),
            connections: self.connections.max(1),
            operators: self.operators.unwrap_or(200),
            duration: Duration::from_secs(self.seconds),
            rest: Duration::from_secs(self.rest),
            attack: self.attack.clone(),
        };
        let runtime = tokio::runtime::Runtime::new()?;
        for load in self.wanted() {
            match load {
                Load::Channel => runtime.block_on(self.print_channel())?,
                Load::Lists => runtime.block_on(self.print_lists(&plan))?,
                load => runtime.block_on(self.measure_and_print(load, &plan))?,
            }
        }
        Ok(())
    }

    fn wanted(&self) -> Vec<Load> {
        if self.loads.is_empty() {
            let all = Load::value_variants().iter().copied();
            return all.filter(|load| *load != Load::Channel).collect();
        }
        self.loads.clone()
    }

    async fn measure_and_print(&self, load: Load, plan: &Plan) -> Result<(), BenchError> {
        let name = load
            .to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default();
        if load == Load::Siege {
            return self.print_siege(plan).await;
        }
        let figures = measure(load, plan).await?;
        if self.json {
            say!("{}", serde_json::json!({"load": name, "figures": figures}));
            return Ok(());
        }
        say!("{name}");
        for figure in figures {
            say!("  {:<22} {:>10.1} {}", figure.name, figure.value, figure.unit);
        }
        Ok(())
    }

    /// Both servers in one table, once all is measured; until then what is being measured.
    async fn print_channel(&self) -> Result<(), Box<dyn std::error::Error>> {
        let examples = std::env::current_exe()?.with_file_name("examples");
        let example = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| examples.join(name));
        let plan = ChannelPlan {
            ours: example(&self.ours, "echo"),
            peer: example(&self.peer, "peer"),
            clients: self.clients.max(1),
            rounds: self.rounds.max(1),
        };
        let progress = spinner();
        let compared = compare(&plan, |what| progress.set_message(what)).await;
        progress.finish_and_clear();
        let comparison = compared?;
        if self.json {
            say!(
                "{}",
                serde_json::json!({"load": "channel", "comparison": comparison})
            );
        } else {
            write_out(format_args!("{comparison}"));
        }
        Ok(())
    }

    /// Every list in one table, once all is measured; until then what is being measured.
    async fn print_lists(&self, plan: &Plan) -> Result<(), BenchError> {
        let plan = ListPlan {
            engine: plan.engine.clone(),
            devices: self.devices.unwrap_or(10_000).max(1),
            operators: self.operators.unwrap_or(8).max(1),
            heartbeats: self.heartbeats,
            duration: plan.duration,
            rounds: self.rounds.max(1),
            list: self.list.clone(),
        };
        let progress = spinner();
        let measured = measure_lists(&plan, |what| progress.set_message(what)).await;
        progress.finish_and_clear();
        let report = measured?;
        if self.json {
            say!("{}", serde_json::json!({"load": "lists", "report": report}));
        } else {
            write_out(format_args!("{report}"));
        }
        Ok(())
    }

    /// Each attack as soon as it is over: together they take long.
    async fn print_siege(&self, plan: &Plan) -> Result<(), BenchError> {
        let mut assaults = Vec::new();
        if !self.json {
            say!("siege");
        }
        besiege(plan, |assault| {
            if !self.json {
                write_out(format_args!("{assault}"));
            }
            assaults.push(assault);
        })
        .await?;
        if self.json {
            say!("{}", serde_json::json!({"load": "siege", "attacks": assaults}));
        }
        Ok(())
    }
}

/// Says what is being measured; drawn on a terminal alone.
fn spinner() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(DRAWN_EVERY);
    progress
}
