//! `parity accept`: what differs in one scenario becomes expected.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;

use super::{output::say, run::today};
use crate::{
    campaign::{Campaign, Places},
    diff::Difference,
    mask::Masked,
    register::{self, KnownScenarios, LegacySide, Outcome, Ran, Register, StepNames, Verdict, judge},
    report::replace,
    runner::Silent,
    scenario::library,
    snapshot,
};

/// Arguments of `parity accept`.
#[derive(Debug, Args)]
#[command(
    after_help = "The differences of the scenario that no entry accepts are written into the entry, with exact values and \
    the names of their steps. Read what was written before it is committed: the entry's reason has to explain every line.\n\n\
    Exit codes:\n  \
      0  written\n  \
      1  there is nothing to accept: the file is as it was\n  \
      2  it could not be done: the file is as it was, and the reason is told\n\n\
    Example:\n  parity accept enrollment/poll_replay --as only-ed25519-keys-prove"
)]
pub struct Accept {
    /// `<area>/<name>`, as `parity list` prints it.
    pub scenario: String,
    /// The entry of the register that explains the differences.
    #[arg(long = "as", value_name = "ID")]
    pub entry: String,
    /// Only differences of these steps, by name; without it those of all steps.
    #[arg(long = "step", value_name = "NAME")]
    pub steps: Vec<String>,
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
}

impl Accept {
    /// Runs the scenario and writes the register.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        match self.try_run(scenarios) {
            Ok(0) => {
                say!(
                    "{}: nothing differs that no entry accepts; the register is as it was",
                    self.scenario
                );
                ExitCode::from(super::WRONG)
            }
            Ok(count) => {
                say!(
                    "{count} differences of {} are in the entry `{}` now",
                    self.scenario,
                    self.entry
                );
                ExitCode::SUCCESS
            }
            Err(error) => super::could_not_run(&error),
        }
    }

    /// How many differences were written.
    fn try_run(&self, scenarios: &Path) -> Result<usize, Box<dyn std::error::Error>> {
        let path = scenarios.join(register::FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let entries = library::load(scenarios)?;
        let known = KnownScenarios::of(&entries);
        let register = register::parse(&path, &text, &known)?;
        let values = register.values.clone();
        let verdict = self.verdict(scenarios, entries, register)?;
        let step = |number: u32| verdict.steps.get(&number).cloned();
        if let Some(unknown) = self
            .steps
            .iter()
            .find(|name| !verdict.steps.values().any(|own| own == *name))
        {
            let fault = known.step_fault(&self.scenario, unknown);
            return Err(fault
                .unwrap_or_else(|| format!("there is no step `{unknown}`"))
                .into());
        }
        let chosen = |one: &&Difference| {
            self.steps.is_empty() || step(one.step).is_some_and(|name| self.steps.contains(&name))
        };
        let differences: Vec<Difference> = verdict.different.iter().filter(chosen).cloned().collect();
        // Also where there is nothing to accept an unknown entry is a mistake.
        let written = register::accept(&text, &self.entry, &differences, step, &values)?;
        for unmet in &verdict.unmet {
            say!(
                "{}, {}: `{}` no longer differs as the entry `{}` says: remove the place there, or correct it",
                self.scenario,
                unmet.name.as_deref().unwrap_or("any step"),
                unmet.path,
                unmet.entry
            );
        }
        if differences.is_empty() {
            return Ok(0);
        }
        let left = still_different(&register::parse(&path, &written, &known)?, &verdict);
        if differences.iter().any(|difference| left.contains(difference)) {
            return Err("the block that was made does not accept what was seen; nothing was written".into());
        }
        replace(&path, &written)?;
        Ok(differences.len())
    }

    fn verdict(
        &self,
        scenarios: &Path,
        entries: Vec<library::Entry>,
        register: Register,
    ) -> Result<Verdict, Box<dyn std::error::Error>> {
        let places = Places {
            scenarios: scenarios.to_owned(),
            snapshots: self.snapshots.clone(),
        };
        if let Some(changed) = snapshot::verify_digest(&self.snapshots, &self.scenario)? {
            return Err(changed.into());
        }
        let campaign = Campaign::of(places, entries, register, std::slice::from_ref(&self.scenario))?;
        let runtime = tokio::runtime::Runtime::new()?;
        let report = runtime.block_on(campaign.run(1, today(), Arc::new(Silent)));
        let mut verdicts = report.judgement.verdicts;
        let verdict = verdicts.pop().filter(|_| verdicts.is_empty());
        let verdict = verdict.ok_or_else(|| match report.could_not_run {
            Some(reason) => reason,
            None => format!(
                "{} is not the name of one scenario with a legacy side",
                self.scenario
            ),
        })?;
        if verdict.alone_steps.is_some() {
            return Err(format!(
                "{} has no recording, so it shows no difference between two servers: what it expects itself is mended in \
                 its file",
                self.scenario
            )
            .into());
        }
        match verdict.not_compared.get(&0) {
            Some(reason) if verdict.outcome == Outcome::CouldNotRun => Err(reason.clone().into()),
            _ => Ok(verdict),
        }
    }
}

/// What the register does not accept of what was seen.
fn still_different(register: &Register, verdict: &Verdict) -> Vec<Difference> {
    let accepted = verdict.accepted.iter().map(|(_, difference)| difference);
    let seen = Ran {
        scenario: verdict.scenario.clone(),
        names: StepNames::from(verdict.steps.clone()),
        started_at_us: None,
        steps: Vec::new(),
        not_compared: verdict.not_compared.clone(),
        outcome: Ok(accepted.chain(&verdict.different).cloned().collect()),
        masked: Masked::default(),
        is_alone: false,
        legacy_side: LegacySide::Recorded,
        unseen: None,
        noisy: Vec::new(),
        slack: None,
        broken: None,
        earlier: Vec::new(),
    };
    let judged = judge(register, &[seen], today());
    judged
        .verdicts
        .into_iter()
        .flat_map(|verdict| verdict.different)
        .collect()
}
