//! What ran on a host, and what came of it.

use super::work_devices::BoundTo;

/// A row of the history.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Activity {
    /// Row id; never used again. Agents know it as `job_id`.
    pub id: i64,
    pub hostname: Option<String>,
    pub script_path: Option<String>,
    /// The document's name.
    pub script_name: Option<String>,
    /// `powershell` or `ansible`.
    pub script_type: Option<String>,
    /// When it began, in seconds.
    pub ran_at: Option<i64>,
    /// Its status, as the server or the agent called it.
    pub status: Option<String>,
    pub stdout: Option<String>,
    /// What it printed of errors.
    pub stderr: Option<String>,
}

/// A row of the history without the texts that it printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActivityLine {
    /// The row; `stdout` and `stderr` are not read.
    pub activity: Activity,
    /// Whether it printed anything.
    pub has_stdout: bool,
    /// Whether it printed errors.
    pub has_stderr: bool,
}

/// An activity to be made; it begins now, `Running`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewActivity<'a> {
    pub hostname: Option<&'a str>,
    pub script_path: &'a str,
    /// The document's name.
    pub script_name: &'a str,
    /// `powershell` or `ansible`.
    pub script_type: &'a str,
    /// The one device that gets it and reports on it, by what the host was called when it began.
    pub bound_to: &'a BoundTo,
}

/// An activity that the server ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndedActivity {
    pub id: i64,
    pub hostname: Option<String>,
    /// `powershell` or `ansible`.
    pub script_type: Option<String>,
    /// Its status now.
    pub status: String,
}
