//! A delivery for people.

use std::fmt::{self, Display, Formatter};

use super::DeliveryReport;

impl Display for DeliveryReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let all = self.scheduled + self.quick;
        let of_all = |count: usize| {
            #[allow(clippy::cast_precision_loss, reason = "thousands of scripts")]
            let share = count as f64 / all.max(1) as f64;
            share * 100.0
        };
        writeln!(
            out,
            "delivery: {} agents, {} runs of jobs and {} quick runs, cut every {} s, seed {}",
            self.devices, self.scheduled, self.quick, self.cut_after, self.seed
        )?;
        let rows = [
            ("connections", self.connections),
            ("  cut by the agents' side", self.cuts),
            ("requests without an answer", self.unanswered),
            ("scripts that came to their agents", self.came),
            ("  twice", self.came_twice),
            ("scripts that ended there", self.ran),
            ("  and the server did not confirm it", self.results_lost),
        ];
        for (name, count) in rows {
            writeln!(out, "  {name:<40} {count:>7}")?;
        }
        let without = self.without_confirmation();
        let rows = [
            ("Success, as their agents said", self.succeeded),
            ("Success, assumed after they came", self.assumed),
            ("Failed, as their agents said", self.failed),
            ("Failed for want of confirmation", without),
        ];
        for (name, count) in rows {
            writeln!(out, "  {name:<40} {count:>7} {:>6.2} %", of_all(count))?;
        }
        for (reason, count) in &self.unconfirmed {
            writeln!(out, "    {count:>6}  {reason}")?;
        }
        writeln!(
            out,
            "  {:<40} {:>7.0} s",
            "all ended after the last went out", self.all_ended_after
        )?;
        if self.broken.is_empty() {
            return writeln!(out, "  every promise was kept");
        }
        writeln!(out, "  promises that were broken:")?;
        self.broken
            .iter()
            .try_for_each(|(what, count)| writeln!(out, "    {count:>6}  {what}"))
    }
}
