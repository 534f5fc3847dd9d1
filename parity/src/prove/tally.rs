//! How many mutants there were, and how many of them were noticed.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use super::Survivor;

/// Mutants, and those of them that were noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// All.
    pub mutants: usize,
    /// Those that the comparison noticed.
    pub caught: usize,
}

impl Count {
    /// How many of a hundred were noticed.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "nobody makes so many mutants")]
        let rate = 100.0 * self.caught as f64 / (self.mutants.max(1)) as f64;
        rate
    }

    fn add(&mut self, other: Self) {
        self.mutants += other.mutants;
        self.caught += other.caught;
    }
}

/// All counts of a campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// By operator and area.
    counts: BTreeMap<&'static str, BTreeMap<String, Count>>,
    survivors: Vec<Survivor>,
}

impl Tally {
    pub(super) fn count(
        &mut self,
        operator: &'static str,
        scenario: &str,
        noticed: bool,
        survivor: impl FnOnce() -> Survivor,
    ) {
        let area = scenario.split('/').next().unwrap_or_default().to_owned();
        let count = self.counts.entry(operator).or_default().entry(area).or_default();
        count.mutants += 1;
        count.caught += usize::from(noticed);
        if !noticed {
            self.survivors.push(survivor());
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (operator, areas) in other.counts {
            for (area, count) in areas {
                self.counts
                    .entry(operator)
                    .or_default()
                    .entry(area)
                    .or_default()
                    .add(count);
            }
        }
        self.survivors.extend(other.survivors);
        self.survivors.sort();
    }

    /// By operator, then by area.
    pub fn counts(&self) -> &BTreeMap<&'static str, BTreeMap<String, Count>> {
        &self.counts
    }

    /// The mutants that nobody noticed, sorted.
    pub fn survivors(&self) -> &[Survivor] {
        &self.survivors
    }

    /// Everything together.
    pub fn whole(&self) -> Count {
        let mut whole = Count::default();
        self.counts
            .values()
            .flat_map(BTreeMap::values)
            .for_each(|one| whole.add(*one));
        whole
    }

    /// By operator.
    pub fn by_operator(&self) -> Vec<(String, Count)> {
        let sum = |areas: &BTreeMap<String, Count>| {
            let mut sum = Count::default();
            areas.values().for_each(|one| sum.add(*one));
            sum
        };
        self.counts
            .iter()
            .map(|(name, areas)| ((*name).to_owned(), sum(areas)))
            .collect()
    }

    /// By area.
    pub fn by_area(&self) -> Vec<(String, Count)> {
        let mut areas: BTreeMap<String, Count> = BTreeMap::new();
        for (area, count) in self.counts.values().flatten() {
            areas.entry(area.clone()).or_default().add(*count);
        }
        areas.into_iter().collect()
    }

    /// The tables for people.
    pub fn tables(&self) -> String {
        let mut out = String::new();
        for (title, rows) in [("operator", self.by_operator()), ("area", self.by_area())] {
            // A String takes whatever is written to it.
            let _ = writeln!(out, "{title:<27} mutants    caught  survivors     rate");
            let all = ("all".to_owned(), self.whole());
            for (name, count) in rows.iter().chain([&all]) {
                let Count { mutants, caught } = count;
                let (survivors, rate) = (mutants - caught, count.rate());
                let _ = writeln!(
                    out,
                    "{name:<26} {mutants:>8} {caught:>9} {survivors:>10} {rate:>7.2}%"
                );
            }
            out.push('\n');
        }
        out
    }
}
