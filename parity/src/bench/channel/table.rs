//! One table of both servers.

use std::fmt;

use super::super::Figure;

/// What both servers did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Comparison {
    /// How many clients connected.
    pub clients: usize,
    pub rows: Vec<Row>,
}

/// One fact about both, of every round in order.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    pub name: std::borrow::Cow<'static, str>,
    /// Its unit; counts have none.
    pub unit: &'static str,
    /// Of this project's server.
    pub ours: Vec<f64>,
    pub socketioxide: Vec<f64>,
}

impl Comparison {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            clients,
            rows: Vec::new(),
        }
    }

    /// Takes in one round: the same figures of both in the same order.
    pub(super) fn note(&mut self, ours: Vec<Figure>, peer: Vec<Figure>) {
        for (index, (ours, peer)) in ours.into_iter().zip(peer).enumerate() {
            match self.rows.get_mut(index) {
                Some(row) => {
                    row.ours.push(ours.value);
                    row.socketioxide.push(peer.value);
                }
                None => self.rows.push(Row {
                    name: ours.name,
                    unit: ours.unit,
                    ours: vec![ours.value],
                    socketioxide: vec![peer.value],
                }),
            }
        }
    }
}

/// For people: the median of the rounds.
impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!("channel, {} clients", self.clients);
        writeln!(formatter, "{head:<38} {:>10} {:>13}", "ours", "socketioxide")?;
        for row in &self.rows {
            let digits = usize::from(!row.unit.is_empty());
            writeln!(
                formatter,
                "  {:<36} {:>10.digits$} {:>13.digits$} {}",
                row.name,
                median(&row.ours),
                median(&row.socketioxide),
                row.unit
            )?;
        }
        Ok(())
    }
}

/// The lower of two middle ones; nothing measured is nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_median_of_each() {
        let mut comparison = Comparison::new(20);
        for (ours, peer) in [(3.0, 70.0), (1.0, 50.0), (2.0, 60.25)] {
            let round = |value| vec![Figure::new("took", value, "ms"), Figure::new("  lost", value, "")];
            comparison.note(round(ours), round(peer));
        }
        insta::assert_snapshot!(comparison, @r"
        channel, 20 clients                          ours  socketioxide
          took                                        2.0          60.2 ms
            lost                                        2            60
        ");
    }
}
