//! The findings of the preflight, one line each.

use std::fmt;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The server runs, but somebody should look at it.
    Warning,
    /// The server would not start, or not serve this folder rightly.
    Problem,
    /// The settings are wrong; a problem with an exit code of its own.
    WrongSettings,
}

impl Verdict {
    /// Whether the server would not start.
    pub fn is_problem(self) -> bool {
        matches!(self, Self::Problem | Self::WrongSettings)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem | Self::WrongSettings => "problem",
        })
    }
}

/// One thing that was looked at; one line when displayed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How grave it is.
    pub verdict: Verdict,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name or value from outside must not begin a line of its own.
        let text: String = self
            .text
            .chars()
            .map(|one| if one.is_control() { ' ' } else { one })
            .collect();
        write!(formatter, "{:8} {}: {text}", self.verdict, self.subject)
    }
}

/// What keeps the server from starting.
pub fn problems(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.verdict.is_problem())
}

/// The exit code of a start that finds this: 0 where it starts.
pub fn exit_code(findings: &[Finding]) -> u8 {
    let worst = findings.iter().map(|finding| finding.verdict).max();
    match worst {
        None | Some(Verdict::Ok | Verdict::Warning) => 0,
        Some(Verdict::Problem) => 1,
        Some(Verdict::WrongSettings) => 2,
    }
}

/// Findings as they come.
#[derive(Debug, Default)]
pub struct Report(Vec<Finding>);

impl Report {
    /// One more.
    pub fn add(&mut self, verdict: Verdict, subject: &'static str, text: impl Into<String>) {
        self.0.push(Finding {
            verdict,
            subject,
            text: text.into(),
        });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that were found elsewhere.
    pub fn append(&mut self, findings: Vec<Finding>) {
        self.0.extend(findings);
    }

    pub fn finish(self) -> Vec<Finding> {
        self.0
    }
}
