//! What commands say to people. A reader that goes away (`parity show … | head`) ends nothing: the rest is not said, and
//! the command still does what it does and ends with its own exit code.

use std::fmt::Arguments;
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
    let written = out.write_fmt(text).and_then(|()| out.flush());
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
    let _ = io::stderr().lock().write_fmt(text);
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
