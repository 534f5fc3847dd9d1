//! What was measured of the lists.

use std::fmt;

use super::{super::Latencies, ListPlan};

/// Every list that was asked for.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListReport {
    pub devices: usize,
    pub operators: usize,
    pub heartbeats: usize,
    /// Megabytes resident before anything is asked for, of each server.
    pub rest_mb: Vec<f64>,
    pub rows: Vec<ListRow>,
}

/// One list, of every round in order.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListRow {
    pub list: String,
    /// Empty where the server has no such list.
    pub rounds: Vec<Round>,
}

/// One list, measured once.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Round {
    /// Of one answer, a million bytes each.
    pub megabytes: f64,
    /// Over all operators.
    pub megabytes_a_second: f64,
    /// One operator.
    pub alone: Waits,
    /// All operators at once.
    pub together: Waits,
    /// The most that the server had resident above its rest.
    pub memory_alone_mb: f64,
    pub memory_together_mb: f64,
    /// Of the heartbeats meanwhile.
    pub heartbeats_99_ms: f64,
    pub heartbeats_worst_ms: f64,
}

/// How long operators waited.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Waits {
    pub answers: usize,
    pub first_byte: Shares,
    pub whole: Shares,
}

/// The usual shares, in milliseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Shares {
    #[serde(rename = "50_ms")]
    pub half: f64,
    #[serde(rename = "99_ms")]
    pub most: f64,
    #[serde(rename = "worst_ms")]
    pub worst: f64,
}

/// Which of an operator's waits.
type Part = fn(&Waits) -> Shares;

impl Shares {
    pub(super) fn of(mut waits: Latencies) -> Self {
        let mut at = |share| waits.quantile(share).unwrap_or_default().as_secs_f64() * 1000.0;
        Self {
            half: at(0.5),
            most: at(0.99),
            worst: at(1.0),
        }
    }
}

impl ListReport {
    pub(super) fn new(plan: &ListPlan) -> Self {
        Self {
            devices: plan.devices,
            operators: plan.operators,
            heartbeats: plan.heartbeats,
            rest_mb: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(super) fn note_rest(&mut self, megabytes: f64) {
        self.rest_mb.push(megabytes);
    }

    pub(super) fn note(&mut self, list: String, measured: Option<Round>) {
        match self.rows.iter_mut().find(|row| row.list == list) {
            Some(row) => row.rounds.extend(measured),
            None => self.rows.push(ListRow {
                list,
                rounds: measured.into_iter().collect(),
            }),
        }
    }
}

impl ListRow {
    /// The lower of two middle ones.
    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        let mut sorted: Vec<_> = self.rounds.iter().map(figure).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
            .get(sorted.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or_default()
    }

    fn worst(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(figure).fold(0.0, f64::max)
    }

    fn write_waits(
        &self,
        formatter: &mut fmt::Formatter<'_>,
        who: &str,
        waits: impl Fn(&Round) -> Waits,
    ) -> fmt::Result {
        write!(formatter, "    {who:<14}")?;
        let parts: [(&str, Part); 2] = [
            ("first byte", |waits| waits.first_byte),
            ("whole", |waits| waits.whole),
        ];
        for (name, part) in parts {
            write!(
                formatter,
                "{name:>12} {:>8.1} {:>8.1} {:>8.1}",
                self.median(|round| part(&waits(round)).half),
                self.median(|round| part(&waits(round)).most),
                self.worst(|round| part(&waits(round)).worst),
            )?;
        }
        Ok(())
    }
}

/// For people: the median of the rounds, and the worst of all.
impl fmt::Display for ListReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "lists, {} devices, {} heartbeats a second; waits in ms: 50 %, 99 %, worst; memory in MB above the rest of{}",
            self.devices,
            self.heartbeats,
            self.rest_mb
                .iter()
                .map(|rest| format!(" {rest:.0}"))
                .collect::<String>()
        )?;
        for row in &self.rows {
            if row.rounds.is_empty() {
                writeln!(formatter, "  {}: not there", row.list)?;
                continue;
            }
            writeln!(
                formatter,
                "  {}: {:.3} MB, heartbeats 99 % {:.1} ms, worst {:.1} ms",
                row.list,
                row.median(|round| round.megabytes),
                row.median(|round| round.heartbeats_99_ms),
                row.worst(|round| round.heartbeats_worst_ms),
            )?;
            row.write_waits(formatter, "alone", |round| round.alone)?;
            writeln!(
                formatter,
                "   memory {:.0}",
                row.worst(|round| round.memory_alone_mb)
            )?;
            row.write_waits(formatter, &format!("with {}", self.operators), |round| {
                round.together
            })?;
            writeln!(
                formatter,
                "   memory {:.0}, {:.0} MB/s",
                row.worst(|round| round.memory_together_mb),
                row.median(|round| round.megabytes_a_second),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(figure: f64) -> Round {
        let shares = Shares {
            half: figure,
            most: figure * 2.0,
            worst: figure * 3.0,
        };
        let waits = Waits {
            answers: 1,
            first_byte: shares,
            whole: shares,
        };
        Round {
            megabytes: 1.5,
            megabytes_a_second: figure * 10.0,
            alone: waits,
            together: waits,
            memory_alone_mb: figure,
            memory_together_mb: figure * 2.0,
            heartbeats_99_ms: figure,
            heartbeats_worst_ms: figure * 4.0,
        }
    }

    #[test]
    fn the_table_shows_the_median_and_the_worst_of_each() {
        let mut report = ListReport {
            devices: 10,
            operators: 8,
            heartbeats: 5,
            rest_mb: vec![20.4],
            rows: Vec::new(),
        };
        for figure in [3.0, 1.0, 2.0] {
            report.note("/api/devices".to_owned(), Some(round(figure)));
            report.note("/api/none".to_owned(), None);
        }
        insta::assert_snapshot!(report, @r"
        lists, 10 devices, 5 heartbeats a second; waits in ms: 50 %, 99 %, worst; memory in MB above the rest of 20
          /api/devices: 1.500 MB, heartbeats 99 % 2.0 ms, worst 12.0 ms
            alone           first byte      2.0      4.0      9.0       whole      2.0      4.0      9.0   memory 3
            with 8          first byte      2.0      4.0      9.0       whole      2.0      4.0      9.0   memory 6, 20 MB/s
          /api/none: not there
        ");
    }
}
