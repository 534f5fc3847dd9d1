//! What the system measures of a process.

use std::time::Duration;

use super::ServerError;

/// The unit in which the system counts processor time (`USER_HZ`, 100 a second wherever Linux runs).
const MILLISECONDS_OF_A_TICK: u64 = 10;

/// Resident memory, in megabytes of a million bytes.
pub(super) fn resident_megabytes(process: u32) -> Result<f64, ServerError> {
    megabytes(process, "VmRSS:")
}

/// The most that was resident so far, or since [`forget_peak`].
pub(crate) fn peak_megabytes(process: u32) -> Result<f64, ServerError> {
    megabytes(process, "VmHWM:")
}

/// Begins to note the peak anew.
pub(super) fn forget_peak(process: u32) -> Result<(), ServerError> {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").map_err(ServerError::Usage)
}

/// Files and connections that are open.
pub(super) fn open_files(process: u32) -> Result<usize, ServerError> {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).map_err(ServerError::Usage)?;
    Ok(files.count())
}

/// Files that this process has open, connections among them.
pub(super) fn own_open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Processor time used so far.
pub(super) fn processor_time(process: u32) -> Result<Duration, ServerError> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).map_err(ServerError::Usage)?;
    // The second field is the program's name, which may hold blanks; user and system time are the 14th and 15th.
    let ticks: Option<u64> = stat.rsplit_once(')').and_then(|(_, fields)| {
        let mut fields = fields.split_ascii_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    });
    ticks
        .map(|ticks| Duration::from_millis(ticks * MILLISECONDS_OF_A_TICK))
        .ok_or_else(|| ServerError::Usage(std::io::Error::other("no times in its stat")))
}

fn megabytes(process: u32, name: &str) -> Result<f64, ServerError> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).map_err(ServerError::Usage)?;
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse()
                .ok()
        })
        .map(|kibibytes: f64| kibibytes * 1024.0 / 1e6)
        .ok_or_else(|| ServerError::Usage(std::io::Error::other("no memory in its status")))
}
