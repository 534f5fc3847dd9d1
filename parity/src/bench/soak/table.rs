//! A soak for people.

use std::fmt::{self, Display, Formatter};

use super::{Minute, SoakReport};

/// What stands above the minutes.
pub const HEAD: &str = "minute  resident  files  journal      log  agents  answers     99 %  slowest";

impl Display for Minute {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:>6} {:>6.1} MB {:>6} {:>5.1} MB {:>5.1} MB {:>7} {:>8} {:>5.1} ms {:>5.0} ms",
            self.minute,
            self.resident,
            self.open_files,
            self.journal,
            self.log,
            self.agents,
            self.answers,
            self.most,
            self.slowest
        )
    }
}

impl Display for SoakReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let slopes = &self.slopes;
        writeln!(
            out,
            "a minute: resident {:+.3} MB, open files {:+.2}, journal {:+.3} MB, log {:+.3} MB, 99 % {:+.3} ms",
            slopes.resident, slopes.open_files, slopes.journal, slopes.log, slopes.most
        )?;
        let done: Vec<String> = self
            .done
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        writeln!(out, "done: {}", done.join(", "))?;
        if self.faults.is_empty() {
            return writeln!(out, "no faults");
        }
        writeln!(out, "faults:")?;
        self.faults
            .iter()
            .try_for_each(|(what, count)| writeln!(out, "  {count:>6}  {what}"))
    }
}
