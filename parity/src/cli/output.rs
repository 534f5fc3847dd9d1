//! What commands say to people. A reader that goes away (`parity show … | head`) ends nothing: the rest is not said, and
//! the command still does what it does and ends with its own exit code.

use std::fmt::{self, Arguments};
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Lines for people.
    Text,
    /// JSON for programs.
    Json,
}

/// Whether something could not be said for another reason than that nobody reads on.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes a text to the standard output.
pub fn write_out(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let written = write_tame(&mut out, text).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        write_err(format_args!(
            "parity: the standard output cannot be written to: {error}\n"
        ));
    }
}

/// Writes a text to the standard error output. Where that fails there is nobody to tell.
pub fn write_err(text: Arguments<'_>) {
    let _ = write_tame(&mut io::stderr().lock(), text);
}

/// Writes a text of which no character commands the terminal: much of what is said are a server's own words.
fn write_tame(out: &mut dyn Write, text: Arguments<'_>) -> io::Result<()> {
    let mut tame = Tame { out, written: Ok(()) };
    // Why it failed stands in `written`.
    let _ = fmt::write(&mut tame, text);
    tame.written
}

struct Tame<'a> {
    out: &'a mut dyn Write,
    written: io::Result<()>,
}

impl fmt::Write for Tame<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_wild = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        for part in text.split_inclusive(is_wild) {
            let wild = part.chars().next_back().filter(|last| is_wild(*last));
            let calm = part.trim_end_matches(is_wild);
            self.written = match wild {
                // As JSON has it, so that what programs read stays JSON.
                Some(wild) => write!(self.out, "{calm}\\u{:04x}", u32::from(wild)),
                None => self.out.write_all(calm.as_bytes()),
            };
            if self.written.is_err() {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Whether everything was said that somebody would have read.
#[must_use]
pub fn is_whole() -> bool {
    !FAILED.load(Ordering::Relaxed)
}

/// `println!` that survives its reader.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::output::write_out(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// `eprintln!` that survives its reader.
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::cli::output::write_err(format_args!("{}\n", format_args!($($text)*)))
    };
}

pub(crate) use {complain, say};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_commands_the_terminal() {
        let said = |text: &str| {
            let mut out = Vec::new();
            write_tame(&mut out, format_args!("{text}\n")).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said("/body/a\u{1b}[2Jb"), "/body/a\\u001b[2Jb\n");
        assert_eq!(
            said("\u{7}\u{7}\r\u{9b}2J\u{7f}"),
            "\\u0007\\u0007\\u000d\\u009b2J\\u007f\n"
        );
        assert_eq!(said("two\tcolumns\nü ✓"), "two\tcolumns\nü ✓\n");
    }
}
