//! `parity prove`: does the comparison notice what is changed?

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::run::{Progress, today};
use crate::{
    campaign::{Campaign, Places},
    prove::prove,
};

/// Arguments of `parity prove`.
#[derive(Debug, Args)]
pub struct Prove {
    /// Areas or scenarios; none means all.
    #[arg(value_name = "AREA|SCENARIO")]
    pub wanted: Vec<String>,
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
    /// Write counts and every survivor to this file, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// How many scenarios run at a time.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub side_by_side: usize,
}

impl Prove {
    /// Runs, changes, judges and prints.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        match self.try_run(scenarios) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("parity: {error}");
                ExitCode::from(super::COULD_NOT_RUN)
            }
        }
    }

    fn try_run(&self, scenarios: &Path) -> Result<u8, Box<dyn std::error::Error>> {
        let places = Places {
            scenarios: scenarios.to_owned(),
            snapshots: self.snapshots.clone(),
        };
        let campaign = Campaign::prepare(places, &self.wanted)?;
        #[allow(
            clippy::disallowed_methods,
            reason = "how long it took is said to a person; no scenario sees it"
        )]
        let began = std::time::Instant::now();
        let bar = ProgressBar::new(2 * campaign.len() as u64);
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        let runtime = tokio::runtime::Runtime::new()?;
        let (register, sides) =
            runtime.block_on(campaign.observe(self.side_by_side, Arc::new(Progress(bar.clone()))))?;
        let tally = prove(&register, &sides, today(), &|scenario| {
            bar.set_message(scenario.to_owned());
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        print!("{}", tally.tables());
        if let Some(file) = &self.json {
            let survivors: Vec<_> = tally
                .survivors()
                .iter()
                .map(|one| json!([one.operator, one.scenario, one.part, one.path]))
                .collect();
            std::fs::write(file, json!({ "counts": tally.counts(), "survivors": survivors }).to_string())?;
        }
        println!("{:.1} s", began.elapsed().as_secs_f64());
        Ok(0)
    }
}
