//! `parity bench`: figures of a server under load.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum as _};
use indicatif::ProgressBar;

use super::output::{complain, say, write_out};
use crate::bench::{
    BenchError, ChannelPlan, DeliveryPlan, Figure, ListPlan, Load, MINUTES_HEAD, Measured, Plan, Setting,
    SoakPlan, besiege, compare, deliver, grow, measure, measure_lists, page, soak,
};

/// How often the message of a measurement that goes on is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `parity bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Build both first: cargo build --release\n`channel` needs two examples in place of the server: \
    cargo build --release --workspace --examples\n\n\
    Exit codes: 0 measured, 1 something went wrong in a soak or a delivery, 2 it could not be measured.\n\n\
    Examples:\n  parity bench\n  parity bench refresh --connections 16 --seconds 20\n  parity bench siege --attack logins\n  \
    parity bench lists --devices 1000 --list search\n  parity bench channel --clients 2000 --rounds 3\n  parity bench soak --minutes 60 --html soak.html\n  \
    parity bench delivery --seed 7"
)]
pub struct Bench {
    /// What to measure, one after the other; nothing means everything but `channel`, `delivery`, `growth` and `soak`.
    #[arg(value_enum, value_name = "LOAD")]
    pub loads: Vec<Load>,
    /// The server's binary; without it the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub engine: Option<PathBuf>,
    /// How many devices there are; 5,000 unless it is said, 10,000 for `lists` and 2,000 for `soak` and `delivery`.
    #[arg(long, value_name = "N")]
    pub devices: Option<usize>,
    /// How many connections send requests at the same time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub connections: usize,
    /// How many operators look on; 200 unless it is said, 8 for `lists` and 20 for `soak`.
    #[arg(long, value_name = "N")]
    pub operators: Option<usize>,
    /// Of `soak`: how long it goes on.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub minutes: usize,
    /// Of `agents`: everything over TLS, with the certificate that the server makes, and what TLS costs beside the same without
    /// it.
    #[arg(long)]
    pub tls: bool,
    /// Of `delivery`: how many scripts go out.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub scripts: usize,
    /// Of `delivery`: after how long a connection is cut, on the average.
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS", value_parser = seconds)]
    pub cut: f64,
    /// Of `delivery`: the same number cuts at the same moments of each connection's life.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Of `lists`: how many heartbeats a second come beside them; a device sends one in two seconds at most.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub heartbeats: usize,
    /// Of `lists` only those whose paths contain this.
    #[arg(long, value_name = "PART")]
    pub list: Option<String>,
    /// How long each measurement goes on. A device reports 60 times a minute at most and enrolls once, so few devices
    /// (`--devices`) end it before.
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
    /// Also writes all of it as one page, with the machine, the revision and this command.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Prints JSON instead of lines for people.
    #[arg(long)]
    pub json: bool,
}

impl Bench {
    /// Measures and prints.
    pub fn run(&self) -> ExitCode {
        match self.try_run() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => super::could_not_run(&error),
        }
    }

    /// Whether everything went well.
    fn try_run(&self) -> Result<bool, Box<dyn std::error::Error>> {
        let beside = std::env::current_exe()?.with_file_name("borealis-engine");
        let plan = Plan {
            engine: self.engine.clone().unwrap_or(beside),
            devices: self.devices.unwrap_or(5000).max(1),
            connections: self.connections.max(1),
            operators: self.operators.unwrap_or(200),
            duration: Duration::from_secs(self.seconds),
            rest: Duration::from_secs(self.rest),
            tls: self.tls,
            attack: self.attack.clone(),
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let mut all = Vec::new();
        for load in self.wanted() {
            let measured = runtime.block_on(self.measure_and_print(load, &plan))?;
            if self.json {
                say!(
                    "{}",
                    serde_json::json!({"load": load.name(), "measured": measured})
                );
            }
            all.push(measured);
        }
        if let Some(file) = &self.html {
            let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
            let setting = Setting::here(format!("parity {command}"), super::run::today().to_string());
            std::fs::write(file, page(&setting, &all))
                .map_err(|error| format!("{}: {error}", file.display()))?;
            complain!("{} written", file.display());
        }
        let is_faulty = |one: &Measured| match one {
            Measured::Soak { report } => !report.faults.is_empty(),
            Measured::Delivery { report } => !report.broken.is_empty(),
            _ => false,
        };
        Ok(!all.iter().any(is_faulty))
    }

    fn wanted(&self) -> Vec<Load> {
        if self.loads.is_empty() {
            let all = Load::value_variants().iter().copied();
            return all
                .filter(|load| !matches!(load, Load::Channel | Load::Delivery | Load::Soak | Load::Growth))
                .collect();
        }
        self.loads.clone()
    }

    async fn measure_and_print(
        &self,
        load: Load,
        plan: &Plan,
    ) -> Result<Measured, Box<dyn std::error::Error>> {
        Ok(match load {
            Load::Channel => self.print_channel().await?,
            Load::Lists => self.print_lists(plan).await?,
            Load::Soak => self.print_soak(plan).await?,
            Load::Growth => self.print_growth(plan).await?,
            Load::Delivery => self.print_delivery(plan).await?,
            Load::Siege => self.print_siege(plan).await?,
            load => {
                let figures = measure(load, plan).await?;
                self.print(format_args!("{}\n", load.name()));
                for figure in &figures {
                    let Figure { name, value, unit } = figure;
                    self.print(format_args!("  {name:<22} {value:>10.1} {unit}\n"));
                }
                Measured::Figures { load, figures }
            }
        })
    }

    /// For people alone.
    fn print(&self, text: std::fmt::Arguments<'_>) {
        if !self.json {
            write_out(text);
        }
    }

    /// Both servers in one table, once all is measured; until then what is being measured.
    async fn print_channel(&self) -> Result<Measured, Box<dyn std::error::Error>> {
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
        self.print(format_args!("{comparison}"));
        Ok(Measured::Channel { comparison })
    }

    /// Every list in one table, once all is measured; until then what is being measured.
    async fn print_lists(&self, plan: &Plan) -> Result<Measured, BenchError> {
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
        self.print(format_args!("{report}"));
        Ok(Measured::Lists { report })
    }

    /// Each minute as soon as it is over.
    async fn print_soak(&self, plan: &Plan) -> Result<Measured, BenchError> {
        let plan = SoakPlan {
            engine: plan.engine.clone(),
            devices: self.devices.unwrap_or(2000).max(1),
            operators: self.operators.unwrap_or(20),
            minutes: self.minutes.max(1),
        };
        let progress = spinner();
        let soaked = soak(
            &plan,
            |what| progress.set_message(what),
            |minute| {
                progress.set_message("the day goes on");
                progress.suspend(|| {
                    if minute.minute == 1 {
                        self.print(format_args!("{MINUTES_HEAD}\n"));
                    }
                    self.print(format_args!("{minute}\n"));
                });
            },
        )
        .await;
        progress.finish_and_clear();
        let report = soaked?;
        self.print(format_args!("{report}"));
        Ok(Measured::Soak { report })
    }

    /// What became of all scripts, once they have ended; until then what goes on.
    async fn print_delivery(&self, plan: &Plan) -> Result<Measured, BenchError> {
        let plan = DeliveryPlan {
            engine: plan.engine.clone(),
            devices: self.devices.unwrap_or(2000).max(1),
            scripts: self.scripts.max(2),
            cut_after: Duration::from_secs_f64(self.cut),
            seed: self.seed,
        };
        let progress = spinner();
        let delivered = deliver(&plan, |what| progress.set_message(what)).await;
        progress.finish_and_clear();
        let report = delivered?;
        self.print(format_args!("{report}"));
        Ok(Measured::Delivery { report })
    }

    /// All figures at both sizes, once all is measured; until then what is being measured.
    async fn print_growth(&self, plan: &Plan) -> Result<Measured, BenchError> {
        let progress = spinner();
        let grown = grow(plan, |what| progress.set_message(what)).await;
        progress.finish_and_clear();
        let rows = grown?;
        for row in &rows {
            self.print(format_args!("{row}\n"));
        }
        Ok(Measured::Growth { rows })
    }

    /// Each attack as soon as it is over: together they take long.
    async fn print_siege(&self, plan: &Plan) -> Result<Measured, BenchError> {
        self.print(format_args!("siege\n"));
        let mut attacks = Vec::new();
        besiege(plan, |assault| {
            self.print(format_args!("{assault}"));
            attacks.push(assault);
        })
        .await?;
        Ok(Measured::Siege { attacks })
    }
}

/// A time that something can be done every so often.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("it is less than 0.1 s or more than a day".to_owned())
    }
}

/// Says what is being measured; drawn on a terminal alone.
fn spinner() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(DRAWN_EVERY);
    progress
}
