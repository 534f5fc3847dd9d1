//! Where the password of an account comes from: never from the command line, which every user of the machine can see.

use std::io::{self, IsTerminal as _, Read};

use clap::Args;

use super::Failure;
use crate::domain::{digest::sha512_hex, password::generated_password, random::Random};

/// A longer password is a mistake, such as a file that was piped in.
const LONGEST: u64 = 4096;

/// Without either option the password is asked for on the terminal.
#[derive(Debug, Args)]
pub(super) struct PasswordArguments {
    /// Read the password from standard input, to its end; one line end there is not part of it.
    #[arg(long, conflicts_with = "generate_password")]
    password_stdin: bool,
    /// Make up a password of 24 characters and print it, once.
    #[arg(long)]
    generate_password: bool,
}

/// A password for an account.
pub(super) struct ChosenPassword {
    text: String,
    made_up: bool,
}

impl ChosenPassword {
    /// The form that accounts hold.
    pub(super) fn sha512(&self) -> String {
        sha512_hex(self.text.as_bytes())
    }

    /// The password, where nobody knows it yet.
    pub(super) fn made_up(&self) -> Option<&str> {
        self.made_up.then_some(self.text.as_str())
    }
}

impl PasswordArguments {
    /// Gets the password from where the arguments say.
    pub(super) fn choose(&self, random: &dyn Random) -> Result<ChosenPassword, Failure> {
        if self.generate_password {
            return Ok(ChosenPassword {
                text: generated_password(random),
                made_up: true,
            });
        }
        let text = if self.password_stdin {
            read_all(io::stdin().lock())?
        } else {
            ask()?
        };
        if text.is_empty() {
            return Err(Failure::refused("the password is empty: an account needs one"));
        }
        Ok(ChosenPassword { text, made_up: false })
    }
}

fn read_all(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(Failure::io("cannot read the password from standard input"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::Refused(format!(
            "the password on standard input is longer than {LONGEST} bytes"
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::refused("the password on standard input is not written in UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.contains(['\n', '\r']) {
        return Err(Failure::refused(
            "the password on standard input has several lines",
        ));
    }
    Ok(text.to_owned())
}

fn ask() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::refused(
            "there is no terminal to ask for the password: use --password-stdin or --generate-password",
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(Failure::io("cannot read the password from the terminal"))
    };
    let text = ask("New password: ")?;
    if text.is_empty() {
        return Ok(text);
    }
    if ask("The same again: ")? != text {
        return Err(Failure::refused("the two passwords differ; nothing was changed"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<String, String> {
        read_all(input).map_err(|failure| failure.to_string())
    }

    #[test]
    fn one_line_end_is_not_part_of_a_password_and_blanks_are() {
        assert_eq!(read(b" p \n").as_deref(), Ok(" p "));
        assert_eq!(read(b"p\r\n").as_deref(), Ok("p"));
        assert_eq!(read("pä".as_bytes()).as_deref(), Ok("pä"));
        assert_eq!(read(&[b'a'; 4096]).map(|text| text.len()), Ok(4096));
        for wrong in [&b"a\n\n"[..], b"a\nb", b"\xff", &[b'a'; 4097]] {
            assert!(read(wrong).is_err(), "{}", wrong.len());
        }
    }
}
