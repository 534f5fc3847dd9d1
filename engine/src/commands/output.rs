//! What a command prints: text for people, JSON for programs.

use std::io::{self, Write as _};

use jiff::Timestamp;

use super::Failure;
use crate::domain::{json::Json, json_text::compact_text, timestamp::iso_utc};

/// The widest cell that others are lined up with; a longer one, which anybody may have chosen, moves its own row alone.
const WIDEST: usize = 64;
/// What stands where there is nothing to show.
const NOTHING: &str = "-";

/// What a command answers: one text or the other is printed.
pub(super) struct Answer {
    /// For people.
    pub(super) text: String,
    /// For programs.
    pub(super) json: Json,
}

impl Answer {
    /// Prints it.
    ///
    /// # Errors
    /// It cannot be written. What it is about was done all the same.
    pub(super) fn show(&self, as_json: bool) -> Result<(), Failure> {
        printed(self.try_show(as_json)).map_err(Failure::Refused)
    }

    /// Prints what can be printed but once.
    ///
    /// # Errors
    /// Nobody could read it, also because the reader has gone away.
    pub(super) fn try_show(&self, as_json: bool) -> io::Result<()> {
        let mut text = if as_json {
            compact_text(&self.json)
        } else {
            self.text.clone()
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        write(&text)
    }
}

/// Prints a text as it is.
///
/// # Errors
/// It cannot be written: a message for the person who asked.
pub fn print(text: &str) -> Result<(), String> {
    printed(write(text))
}

/// What came of printing. A reader that has gone away (`| head`) wanted no more, and is no failure.
///
/// # Errors
/// The output could not be written: a message for the person who asked.
pub fn printed(result: io::Result<()>) -> Result<(), String> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!(
            "standard output cannot be written: {error}; a change that was asked for is made all the same"
        )),
        _ => Ok(()),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// A text from the database as a terminal may show it: agents choose their names, and must not command terminals.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// The same of a text that may be missing.
pub(super) fn shown_or_nothing(text: Option<&str>) -> String {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => shown(text),
        None => NOTHING.to_owned(),
    }
}

/// A moment in Unix seconds.
pub(super) fn shown_time(seconds: Option<i64>) -> String {
    seconds
        .filter(|seconds| *seconds != 0)
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| NOTHING.to_owned(), iso_utc)
}

/// Columns under their headings; the last is as wide as it comes. Cells must have gone through [`shown`].
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let width = |cell: &String| cell.chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines()
            .filter_map(|line| line.get(column))
            .map(width)
            .filter(|width| *width <= WIDEST)
            .max()
            .unwrap_or(0)
    });
    let mut text = String::new();
    for line in lines() {
        let mut cells = line.iter().zip(widths).peekable();
        while let Some((cell, widest)) = cells.next() {
            text.push_str(cell);
            if cells.peek().is_some() {
                let gap = widest.saturating_sub(width(cell));
                text.extend(std::iter::repeat_n(' ', gap + 2));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings() {
        let rows = [
            ["é".to_owned(), "1".to_owned()],
            ["longer".to_owned(), "2".to_owned()],
        ];
        assert_eq!(table(["A", "B"], &rows), "A       B\né       1\nlonger  2\n");
        assert_eq!(table(["A", "B"], &[]), "A  B\n");
    }

    #[test]
    fn one_long_cell_widens_no_other_row() {
        let rows = [
            ["x".repeat(100_000), "1".to_owned()],
            ["y".to_owned(), "2".to_owned()],
        ];
        let text = table(["A", "B"], &rows);
        assert!(text.contains(&rows[0][0]));
        assert!(text.len() < 100_500, "{}", text.len());
        let columns: Vec<_> = text.lines().map(|line| line.find(['B', '2'])).collect();
        assert_eq!(columns[0], columns[2], "the others stand under their headings");
    }

    #[test]
    fn texts_cannot_command_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\n\u{202e}b"), "a\\u{1b}[2J\\n\\u{202e}b");
        assert_eq!(shown(".\\svc \"é\" 'x'"), ".\\svc \"é\" 'x'");
        assert_eq!(shown_or_nothing(Some(" ")), "-");
        assert_eq!(shown_time(Some(1_893_553_445)), "2030-01-02T03:04:05+00:00");
        for never in [None, Some(0), Some(i64::MAX)] {
            assert_eq!(shown_time(never), "-");
        }
    }
}
