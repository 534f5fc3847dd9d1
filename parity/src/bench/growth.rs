//! How figures grow: each at a tenth of the size and at the whole of it.

use std::{
    borrow::Cow,
    fmt::{self, Display, Formatter},
};

use serde::Serialize;

use super::{BenchError, Figure, Load, Plan, measure};

/// What is measured, by what it grows with, and the figures that are kept of it.
const MEASURED: [(Load, &str, &[&str]); 4] = [
    (Load::Refresh, "devices", &["answers", "99 %"]),
    (Load::Heartbeat, "devices", &["answers", "99 %"]),
    (Load::Agents, "agents", &["each connection", "all back after"]),
    (Load::Jobs, "jobs", &["all sent after"]),
];
/// Jobs that `jobs` makes at most.
const MOST_JOBS: usize = 1000;

/// A figure at two sizes.
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    pub load: Load,
    /// What there is more of.
    pub of: &'static str,
    pub figure: Cow<'static, str>,
    pub unit: &'static str,
    pub small: Point,
    pub large: Point,
}

/// A size, and a figure at it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    pub size: usize,
    pub value: f64,
}

impl Growth {
    /// How many times as much the figure is where there is ten times as much.
    pub fn times(&self) -> f64 {
        self.large.value / self.small.value
    }
}

impl Display for Growth {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            small, large, unit, ..
        } = self;
        // A fleet of fifty is back within hundredths of a second.
        let digits = |value: f64| if value.abs() < 10.0 { 3 } else { 1 };
        write!(
            out,
            "{:<9} {:<16} {:>6} {}: {:>9.*} {unit}   {:>6}: {:>9.*} {unit}   {:.2} times",
            self.load.name(),
            self.figure,
            small.size,
            self.of,
            digits(small.value),
            small.value,
            large.size,
            digits(large.value),
            large.value,
            self.times()
        )
    }
}

/// Measures everything at both sizes.
///
/// # Errors
/// Something cannot be measured.
pub async fn grow(plan: &Plan, tell: impl Fn(String)) -> Result<Vec<Growth>, BenchError> {
    let mut all = Vec::new();
    for (load, of, figures) in MEASURED {
        let whole = if load == Load::Jobs {
            plan.devices.min(MOST_JOBS)
        } else {
            plan.devices
        };
        let sizes = [(whole / 10).max(1), whole];
        let mut measured: Vec<Vec<Figure>> = Vec::new();
        for devices in sizes {
            tell(format!("{}: {devices} {of}", load.name()));
            measured.push(
                measure(
                    load,
                    &Plan {
                        devices,
                        ..plan.clone()
                    },
                )
                .await?,
            );
        }
        let [small, large] = [measured.first(), measured.last()];
        for name in figures {
            let find = |all: Option<&Vec<Figure>>| all?.iter().find(|one| one.name == *name).cloned();
            if let (Some(small), Some(large)) = (find(small), find(large)) {
                let point = |size, figure: &Figure| Point {
                    size,
                    value: figure.value,
                };
                all.push(Growth {
                    load,
                    of,
                    figure: small.name.clone(),
                    unit: small.unit,
                    small: point(sizes[0], &small),
                    large: point(sizes[1], &large),
                });
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_told_in_its_digits() {
        let row = Growth {
            load: Load::Agents,
            of: "agents",
            figure: "all back after".into(),
            unit: "s",
            small: Point {
                size: 50,
                value: 0.021,
            },
            large: Point {
                size: 500,
                value: 12.34,
            },
        };
        assert_eq!(
            row.to_string(),
            "agents    all back after       50 agents:     0.021 s      500:      12.3 s   587.62 times"
        );
    }
}
