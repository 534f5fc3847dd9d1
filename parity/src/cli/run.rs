//! `parity run`: the main job.

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    task::Poll,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{civil::Date, tz::TimeZone};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    output::{Form, complain, say, write_out},
    sign::coverage,
    stream::{self, Stream},
    targets::{Replaying, Targets, variables},
};
use crate::{
    bench::usage,
    campaign::{Campaign, Places, provenance},
    report::{self, Ending, RunReport},
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
      3  something was not compared (see --allow-not-compared)\n  \
      130  it was interrupted (Ctrl-C, SIGINT): the reports hold what ran, and are marked partial\n  \
      143  it was told to end (SIGTERM), as a service manager or a CI does: the same\n\n\
    The reports of an earlier run are replaced as soon as a run begins. Only one run at a time writes into a folder.\n\n\
    Examples:\n  parity run\n  parity run enrollment\n  parity run enrollment/happy_path_all_rows\n  \
      parity run staging --legacy https://old.example --engine https://new.example --ca root.pem\n  \
      parity run --engine engine        # the process that parity.toml calls so")]
pub struct Run {
    /// Areas or scenarios; none means all.
    #[arg(value_name = "AREA|SCENARIO")]
    pub wanted: Vec<String>,
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
    /// Folder that divergences.md, report.html, report.json and junit.xml are written to.
    #[arg(
        long,
        visible_alias = "report-dir",
        default_value = "parity-report",
        value_name = "FOLDER"
    )]
    pub report: PathBuf,
    /// Do not fail because something was not compared; the reason stands in the reports.
    #[arg(long, value_name = "REASON")]
    pub allow_not_compared: Option<String>,
    /// How many scenarios run at a time. They wait more than they work.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = super::side_by_side)]
    pub side_by_side: usize,
    /// What is printed: the table for people, or one JSON object a line while the run goes on.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub format: Form,
    /// What is held against what.
    #[command(flatten)]
    pub targets: Targets,
    /// How scenarios run on it.
    #[command(flatten)]
    pub replaying: Replaying,
}

/// As shells have it for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;
/// As shells have it for a program that SIGTERM ended.
const TERMINATED: u8 = 143;

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
        super::exit_code(self.try_run(scenarios))
    }

    fn try_run(&self, scenarios: &Path) -> Result<u8, Box<dyn std::error::Error>> {
        let runtime = tokio::runtime::Runtime::new()?;
        let code = runtime.block_on(async {
            let signalled = Cell::new(INTERRUPTED);
            let mut stop = Box::pin(async { signalled.set(interrupted().await) });
            // Whoever presses Ctrl-C from here on gets reports of what ran.
            let early = poll_fn(|context| Poll::Ready(stop.as_mut().poll(context).is_ready())).await;
            if early {
                return Ok(signalled.get());
            }
            match self.compare(scenarios, stop).await? {
                Ending::Interrupted => Ok(signalled.get()),
                ending => Ok(ending.code()),
            }
        });
        // What an interruption left behind is nothing to wait for.
        runtime.shutdown_background();
        code
    }

    async fn compare(
        &self,
        scenarios: &Path,
        stop: impl Future<Output = ()>,
    ) -> Result<Ending, Box<dyn std::error::Error>> {
        let today = today();
        let folder = report::Folder::take(&self.report)?;
        // Whatever ends this run early, what lies there is no earlier run's.
        let failed = |reason: &str| folder.write(&RunReport::failed(provenance(today), reason.to_owned()));
        failed("the run that began to write here has not come to its end")?;
        let campaign = self.prepare(scenarios).inspect_err(|error| {
            if let Err(error) = failed(&error.to_string()) {
                complain!("parity: {error}");
            }
        })?;
        let bar = ProgressBar::new(campaign.len().try_into().unwrap_or(u64::MAX));
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        let events: Arc<dyn RunEvents + Send + Sync> = match self.format {
            Form::Text => Arc::new(Progress(bar.clone())),
            Form::Json => {
                stream::begun(campaign.len());
                Arc::new(Stream)
            }
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "how long the run took is said to a person; no scenario sees it"
        )]
        let began = std::time::Instant::now();
        let report = campaign.run_until(stop, self.side_by_side, today, events).await;
        let report = report.allowing_not_compared(self.allow_not_compared.clone());
        bar.finish_and_clear();
        folder.write(&report)?;
        let coverage = coverage(&report, &folder.json(), scenarios)?;
        if self.format == Form::Json {
            stream::ended(&report, &folder, coverage.as_ref(), began.elapsed().as_secs_f64());
            return Ok(report::ending(&report));
        }
        write_out(format_args!("{}", report::terminal(&report)));
        say!("{} written", folder.listing());
        if let Some(coverage) = coverage {
            say!("{coverage}");
        }
        // Only Linux tells; elsewhere the line says nothing of it.
        let peak = usage::peak_megabytes(std::process::id()).ok();
        say!("{}", report::last_line(&report, began.elapsed(), peak));
        Ok(report::ending(&report))
    }

    fn prepare(&self, scenarios: &Path) -> Result<Campaign, Box<dyn std::error::Error>> {
        let sides = self.replaying.sides(&self.targets, &variables())?;
        let places = Places {
            scenarios: scenarios.to_owned(),
            snapshots: self.snapshots.clone(),
        };
        let campaign = Campaign::prepare(places, &self.wanted)?.of_sides(sides);
        Ok(if self.replaying.without_register {
            campaign.without_register()
        } else {
            campaign
        })
    }
}

/// Comes to its end when a person presses Ctrl-C, or a program says that it is to end; with which exit code then.
async fn interrupted() -> u8 {
    let heard = async |kind| match signal(kind) {
        Ok(mut signals) => signals.recv().await,
        // Nobody can be heard: the signal ends the process as it would without this.
        Err(_) => pending().await,
    };
    tokio::select! {
        _ = heard(SignalKind::interrupt()) => INTERRUPTED,
        _ = heard(SignalKind::terminate()) => TERMINATED,
    }
}

/// The day that entries of the register are held against, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "an expired entry expires on the real day; no scenario sees this"
)]
pub(super) fn today() -> Date {
    jiff::Timestamp::now().to_zoned_datetime(TimeZone::UTC).date()
}
