//! `parity run`: the main job.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;

use crate::{
    campaign::{Campaign, Places},
    report,
    runner::{RunError, RunEvents},
    scenario::model::Scenario,
    transcript::Transcript,
};

/// Arguments of `parity run`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:\n  \
      0  nothing differs but what the register expects to\n  \
      1  something else differs, or something that the register expects differs no longer\n  \
      2  something could not run\n  \
      3  something was not compared (see --allow-not-compared)\n\n\
    Examples:\n  parity run\n  parity run enrollment\n  parity run enrollment/happy_path_all_rows")]
pub struct Run {
    /// Areas or scenarios; none means all.
    #[arg(value_name = "AREA|SCENARIO")]
    pub wanted: Vec<String>,
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
    /// Folder that divergences.md and report.json are written to.
    #[arg(long, default_value = "parity-report", value_name = "FOLDER")]
    pub report: PathBuf,
    /// Do not fail because something was not compared; the reason stands in the reports.
    #[arg(long, value_name = "REASON")]
    pub allow_not_compared: Option<String>,
    /// How many scenarios run at a time.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub side_by_side: usize,
}

/// Moves a bar on with each scenario.
pub(super) struct Progress(pub(super) ProgressBar);

impl RunEvents for Progress {
    fn scenario_finished(&self, scenario: &Scenario, _result: Result<&Transcript, &RunError>) {
        self.0.set_message(scenario.name.clone());
        self.0.inc(1);
    }
}

impl Run {
    /// Runs, prints the table for people and writes the reports.
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
        let bar = ProgressBar::new(campaign.len().try_into().unwrap_or(u64::MAX));
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        #[allow(
            clippy::disallowed_methods,
            reason = "how long the run took is said to a person; no scenario sees it"
        )]
        let began = std::time::Instant::now();
        let runtime = tokio::runtime::Runtime::new()?;
        let report =
            runtime.block_on(campaign.run(self.side_by_side, today(), Arc::new(Progress(bar.clone()))));
        let report = report.allowing_not_compared(self.allow_not_compared.clone());
        bar.finish_and_clear();
        print!("{}", report::terminal(&report));
        std::fs::create_dir_all(&self.report)?;
        let (markdown, json) = (
            self.report.join("divergences.md"),
            self.report.join("report.json"),
        );
        report::write_markdown(&markdown, &report)?;
        report::write_json(&json, &report)?;
        println!("{} and {} written", markdown.display(), json.display());
        println!("{}", report::last_line(&report, began.elapsed()));
        Ok(report::ending(&report).code())
    }
}

/// The day that entries of the register are held against, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "an expired entry expires on the real day; no scenario sees this"
)]
pub(super) fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned_datetime(TimeZone::UTC).date()
}
