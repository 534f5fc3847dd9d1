//! `parity bench`: figures of a server under load.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum as _};

use crate::bench::{BenchError, Load, Plan, besiege, measure};

/// Arguments of `parity bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Build both first: cargo build --release\n\nExit codes: 0 measured, 2 it could not be measured.\n\n\
    Examples:\n  parity bench\n  parity bench refresh --connections 16 --seconds 20\n  parity bench siege --attack logins"
)]
pub struct Bench {
    /// What to measure; nothing means everything, one after the other.
    #[arg(value_enum, value_name = "LOAD")]
    pub loads: Vec<Load>,
    /// The server's binary; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub engine: Option<PathBuf>,
    /// How many devices there are.
    #[arg(long, default_value_t = 5000, value_name = "N")]
    pub devices: usize,
    /// How many connections send requests at the same time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub connections: usize,
    /// How many operators look on.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub operators: usize,
    /// How long each measurement goes on.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub seconds: u64,
    /// How long the server is left alone after each attack of the siege, until its memory is read again.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub rest: u64,
    /// Of the siege only the attacks whose names contain this.
    #[arg(long, value_name = "NAME")]
    pub attack: Option<String>,
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
                eprintln!("parity: {error}");
                ExitCode::from(super::COULD_NOT_RUN)
            }
        }
    }

    fn try_run(&self) -> Result<(), Box<dyn std::error::Error>> {
        let beside = std::env::current_exe()?.with_file_name("borealis-engine");
        let plan = Plan {
            engine: self.engine.clone().unwrap_or(beside),
            devices: self.devices.max(1),
            connections: self.connections.max(1),
            operators: self.operators,
            duration: Duration::from_secs(self.seconds),
            rest: Duration::from_secs(self.rest),
            attack: self.attack.clone(),
        };
        let loads = if self.loads.is_empty() {
            Load::value_variants()
        } else {
            &self.loads
        };
        let runtime = tokio::runtime::Runtime::new()?;
        for load in loads {
            runtime.block_on(self.measure_and_print(*load, &plan))?;
        }
        Ok(())
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
            println!("{}", serde_json::json!({"load": name, "figures": figures}));
            return Ok(());
        }
        println!("{name}");
        for figure in figures {
            println!("  {:<22} {:>10.1} {}", figure.name, figure.value, figure.unit);
        }
        Ok(())
    }

    /// Each attack as soon as it is over: together they take long.
    async fn print_siege(&self, plan: &Plan) -> Result<(), BenchError> {
        let mut assaults = Vec::new();
        if !self.json {
            println!("siege");
        }
        besiege(plan, |assault| {
            if !self.json {
                print!("{assault}");
            }
            assaults.push(assault);
        })
        .await?;
        if self.json {
            println!("{}", serde_json::json!({"load": "siege", "attacks": assaults}));
        }
        Ok(())
    }
}
