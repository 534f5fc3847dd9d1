//! The part of the staging guide that a run writes: what was proved, what is open, and the table.

use std::fmt::Write as _;

use super::{Ending, RunReport, ending, last_words, markdown::divergences};
use crate::{
    checklist::{Item, State},
    signature::Coverage,
};

/// Where the part begins in the guide.
pub const BEGIN: &str = "<!-- what the last run proved: written by `parity guide --write` -->";
/// Where it ends.
pub const END: &str = "<!-- the end of what the last run proved -->";

/// The part, with its first and last line. Without a run everything is open.
#[must_use]
pub fn render(items: &[Item], report: Option<&RunReport>, signature: Option<&Coverage>) -> String {
    let mut out = format!("{BEGIN}\n\n");
    match report {
        None => out.push_str("No run has been written into this guide yet: `parity guide --write` does it after `parity run`.\n"),
        Some(report) => {
            let from = &report.provenance;
            let _ = writeln!(
                out,
                "Run of {}: **{}**\n\n- Legacy: {}\n- Engine: {}, {}\n- Compared by: {}",
                from.date,
                last_words(report),
                from.legacy,
                from.engine,
                from.revision,
                from.parity
            );
            match signature {
                None => out.push_str("- Not signed\n"),
                Some(coverage) => {
                    let _ = writeln!(out, "- {coverage}");
                }
            }
            if !matches!(ending(report), Ending::Pass) {
                out.push_str("\nThis run did not pass: nothing below takes the place of reading its reports.\n");
            }
        }
    }
    out.push_str("\n### Checklist\n\n");
    for item in items {
        let _ = match item.state(report) {
            State::Proved(by) => writeln!(
                out,
                "- [x] {} (`{}`)  \n  shown by {}",
                item.what,
                item.id,
                by.join(", ")
            ),
            State::Open(open) => writeln!(
                out,
                "- [ ] {} (`{}`)  \n  open: `parity run {}`",
                item.what,
                item.id,
                open.join(" ")
            ),
            State::ByHand => writeln!(
                out,
                "- [ ] {} (`{}`)  \n  by hand: {}",
                item.what,
                item.id,
                item.by_hand.as_deref().unwrap_or_default()
            ),
        };
    }
    if let Some(report) = report {
        out.push_str("\n### Divergences\n");
        divergences(&mut out, report);
    }
    let _ = writeln!(out, "\n{END}");
    out
}

/// A guide with another part in the place of the one that it has. `None` where it has none.
#[must_use]
pub fn put_into(guide: &str, part: &str) -> Option<String> {
    let (before, rest) = guide.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let after = after.strip_prefix('\n').unwrap_or(after);
    Some(format!("{before}{part}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let item = |id: &str, by_hand: Option<&str>| Item {
            id: id.to_owned(),
            what: format!("What {id} is about"),
            by_hand: by_hand.map(str::to_owned),
            scenarios: vec!["a/b".to_owned(), "a/c".to_owned()],
        };
        vec![item("shown", None), item("looked-at", Some("look at it"))]
    }

    #[test]
    fn without_a_run_everything_is_open_and_says_how_it_is_proved() {
        insta::assert_snapshot!(render(&items(), None, None), @r"
        <!-- what the last run proved: written by `parity guide --write` -->

        No run has been written into this guide yet: `parity guide --write` does it after `parity run`.

        ### Checklist

        - [ ] What shown is about (`shown`)  
          open: `parity run a/b a/c`
        - [ ] What looked-at is about (`looked-at`)  
          by hand: look at it

        <!-- the end of what the last run proved -->
        ");
    }

    #[test]
    fn the_part_replaces_the_one_that_is_there_and_nothing_else() {
        let part = render(&items(), None, None);
        let guide = format!("before\n{BEGIN}\nold\n{END}\nbehind\n");
        let once = put_into(&guide, &part).unwrap();
        assert_eq!(once, format!("before\n{part}behind\n"));
        assert_eq!(put_into(&once, &part).unwrap(), once);
        assert_eq!(put_into("no such part", &part), None);
    }
}
