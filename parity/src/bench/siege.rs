//! What one hostile peer can do while agents and operators work: every attack on a server of its own.

mod attacks;
mod witnesses;

use std::{collections::BTreeMap, fmt, time::Duration};

use borealis_engine::integrations::listener;

use self::{
    attacks::{ATTACKS, Attack},
    witnesses::{Waits, Witnesses},
};
use super::{BenchError, Plan, ServerProcess};

/// How long whoever works may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How much more may be resident after a while than before the attack, in megabytes.
const MOST_KEPT: f64 = 30.0;
/// How long the server is left alone before its memory is read.
const QUIET: Duration = Duration::from_secs(2);

/// What became of what an attack tried, and how often.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn note(&mut self, outcome: impl Into<String>) {
        self.add(outcome, 1);
    }

    fn add(&mut self, outcome: impl Into<String>, times: u64) {
        *self.0.entry(outcome.into()).or_default() += times;
    }

    fn merge(&mut self, other: Self) {
        for (outcome, times) in other.0 {
            self.add(outcome, times);
        }
    }

    fn of(&self, outcome: &str) -> u64 {
        self.0.get(outcome).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (outcome, times)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{outcome}: {times}")?;
        }
        Ok(())
    }
}

/// What one attack did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Assault {
    pub attack: &'static str,
    /// What it tried.
    pub tried: &'static str,
    /// What became of that.
    pub outcome: Tally,
    /// The longest wait of an agent, in milliseconds.
    pub agent_ms: f64,
    /// The longest wait of an operator, in milliseconds.
    pub operator_ms: f64,
    /// Megabytes resident before.
    pub before_mb: f64,
    /// The most that was resident during the attack.
    pub peak_mb: f64,
    /// Megabytes resident once the server was left alone for a while.
    pub after_mb: f64,
    /// What went beyond its bound; nothing where all is well.
    pub failures: Vec<String>,
}

impl fmt::Display for Assault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failures.is_empty() {
            "ok".to_owned()
        } else {
            format!("NOT OK: {}", self.failures.join("; "))
        };
        writeln!(formatter, "  {}: {}", self.attack, self.tried)?;
        writeln!(formatter, "    what became of it     {}", self.outcome)?;
        writeln!(
            formatter,
            "    longest waits         agent {:.0} ms, operator {:.0} ms",
            self.agent_ms, self.operator_ms
        )?;
        writeln!(
            formatter,
            "    resident              {:.0} MB before, {:.0} MB at the worst, {:.0} MB afterwards",
            self.before_mb, self.peak_mb, self.after_mb
        )?;
        writeln!(formatter, "    {verdict}")
    }
}

/// Makes every attack, and tells of each when it is over.
pub async fn besiege(plan: &Plan, mut tell: impl FnMut(Assault)) -> Result<(), BenchError> {
    listener::raise_open_files_limit();
    let is_wanted = |attack: &&Attack| plan.attack.as_ref().is_none_or(|name| attack.name.contains(name));
    let wanted: Vec<_> = ATTACKS.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        let names = ATTACKS.iter().map(|attack| attack.name);
        return Err(BenchError::NothingChosen(names.collect::<Vec<_>>().join(", ")));
    }
    for attack in wanted {
        tell(assault(attack, plan).await?);
    }
    Ok(())
}

async fn assault(attack: &Attack, plan: &Plan) -> Result<Assault, BenchError> {
    let server = match attack.soft_limit {
        None => ServerProcess::start(&plan.engine).await?,
        Some(files) => ServerProcess::start_with_soft_limit(&plan.engine, files).await?,
    };
    let (witnesses, attacker) = Witnesses::gather(&server).await?;
    tokio::time::sleep(QUIET).await;
    let before = server.resident_megabytes()?;
    server.forget_peak()?;
    let log_before = server.log_bytes()?;
    let watching = witnesses.watch(server.address());
    let outcome = (attack.run)(server.address(), attacker, plan.duration).await;
    let Waits {
        agent,
        operator,
        failures: mut failed,
    } = watching.end().await?;
    let mut outcome = outcome?;
    let peak = server.peak_megabytes()?;
    let log_growth = server.log_bytes()?.saturating_sub(log_before);
    outcome.add("bytes of log", log_growth);
    tokio::time::sleep(plan.rest).await;
    let after = server.resident_megabytes()?;
    for (who, wait) in [("an agent", agent), ("an operator", operator)] {
        if wait > LONGEST_WAIT {
            failed.push(format!("{who} waited for {:.1} s", wait.as_secs_f64()));
        }
    }
    if peak > attack.most_megabytes {
        failed.push(format!("{peak:.0} MB resident"));
    }
    if after > before + MOST_KEPT {
        failed.push(format!("{:.0} MB were kept", after - before));
    }
    failed.extend((attack.judge)(&outcome));
    Ok(Assault {
        attack: attack.name,
        tried: attack.tried,
        outcome,
        agent_ms: agent.as_secs_f64() * 1000.0,
        operator_ms: operator.as_secs_f64() * 1000.0,
        before_mb: before,
        peak_mb: peak,
        after_mb: after,
        failures: failed,
    })
}
