//! `parity prove`: does the comparison notice what is changed?

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    output::say,
    run::{Progress, today},
};
use crate::{
    campaign::{Campaign, Places},
    prove::{PLACES, operators, prove, survivors::Review, tally::Tally},
};

/// Arguments of `parity prove`.
#[derive(Debug, Args)]
#[command(
    long_about = "Change what the engine showed, place by place, and count which changes the comparison notices.\n\n\
      Every scenario runs once. Then each operator of a fixed list (`--operators` prints it) changes one place at a time of \
      what the engine showed: a header, a value, an event, a row, a file. Of each step, table, file and connection it changes \
      one place (`--places` says how many). The changed copy goes through the whole comparison, \
      the register included. A change that nobody notices is a survivor; survivors.toml beside the scenarios says which there \
      are, exactly how many, and why that is right.",
    after_help = "Exit codes:\n  \
      0  99 % of the changes or more are noticed, and every other one has its reason\n  \
      1  fewer are noticed, a survivor has no reason, one that has a reason survives no longer, or there are fewer changes \
      than mutants.toml notes\n  \
      2  it could not run: a scenario did not run, or differs from the legacy without any change\n\n\
    Of a part of the scenarios, or with another number of places, only the reasons are looked at, not the numbers.\n\n\
    Examples:\n  parity prove\n  parity prove enrollment --json /tmp/prove.json"
)]
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
    /// Note this campaign's numbers in survivors.toml and mutants.toml; reasons are written by hand.
    #[arg(long, conflicts_with = "wanted")]
    pub note: bool,
    /// In how many places of a step, table, file or connection each operator is tried. The numbers of survivors.toml and
    /// mutants.toml are those of one place.
    #[arg(long, default_value_t = PLACES, value_name = "N", conflicts_with = "note")]
    pub places: usize,
    /// Print the operators and what each of them does, and do nothing else.
    #[arg(long)]
    pub operators: bool,
    /// How many scenarios run at a time.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = super::side_by_side)]
    pub side_by_side: usize,
}

impl Prove {
    /// Runs, changes, judges and prints.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        if self.operators {
            for operator in operators::ALL.iter().copied().flatten() {
                say!("{:<26} {}", operator.name, operator.sentence);
            }
            return ExitCode::SUCCESS;
        }
        super::exit_code(self.try_run(scenarios))
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
        let bar = ProgressBar::new(2 * u64::try_from(campaign.len())?);
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
        let runtime = tokio::runtime::Runtime::new()?;
        let (register, sides) =
            runtime.block_on(campaign.observe(self.side_by_side, Arc::new(Progress(bar.clone()))))?;
        let review = Review::load(scenarios, &register)?;
        let tally = prove(&register, &sides, today(), self.places, &|scenario| {
            bar.set_message(scenario.to_owned());
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        say!("{}", tally.tables().trim_end());
        say!("");
        if let Some(file) = &self.json {
            std::fs::write(file, json(&tally)).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        if self.note {
            review.note(&tally)?;
        }
        let review = if self.note {
            Review::load(scenarios, &register)?
        } else {
            review
        };
        let whole = self.wanted.is_empty() && self.places == PLACES;
        let faults = review.faults(&tally, whole);
        for fault in &faults {
            say!("{fault}");
        }
        let (whole, took) = (tally.whole(), began.elapsed().as_secs_f64());
        say!(
            "{}: {} of {} changes noticed in {} scenarios, {:.2} %, {} survivors, {} faults, {took:.1} s",
            if faults.is_empty() { "PASS" } else { "FAIL" },
            whole.caught,
            whole.mutants,
            sides.len(),
            whole.rate(),
            tally.survivors().len(),
            faults.len(),
        );
        Ok(if faults.is_empty() { 0 } else { super::WRONG })
    }
}

/// Counts by operator and area, and every survivor.
fn json(tally: &Tally) -> String {
    let survivors: Vec<_> = tally
        .survivors()
        .iter()
        .map(|one| {
            json!({ "operator": one.operator, "scenario": one.scenario, "part": one.part, "path": one.path })
        })
        .collect();
    json!({ "format": 1, "counts": tally.counts(), "survivors": survivors }).to_string() + "\n"
}
