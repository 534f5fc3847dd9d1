//! One of the two servers as a process.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::super::{ServerError, usage};

/// A running example.
#[derive(Debug)]
pub(super) struct Process {
    running: Running,
    pub(super) address: SocketAddr,
}

/// Ends with whoever holds it.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts it and waits until it says where it listens.
    pub(super) fn start(binary: &Path) -> Result<Self, ServerError> {
        let path = binary.display().to_string();
        let started = Command::new(binary)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn();
        let mut running = match started {
            Ok(child) => Running(child),
            Err(source) => return Err(ServerError::StartExample { path, source }),
        };
        let mut said = String::new();
        if let Some(output) = running.0.stdout.take() {
            let read = BufReader::new(output).read_line(&mut said);
            read.map_err(ServerError::Place)?;
        }
        let address = said.trim().strip_prefix("listening on ");
        match address.and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Self { running, address }),
            None => Err(ServerError::NoAddress { path, said }),
        }
    }

    pub(super) fn resident_megabytes(&self) -> Result<f64, ServerError> {
        usage::resident_megabytes(self.running.0.id())
    }

    pub(super) fn peak_megabytes(&self) -> Result<f64, ServerError> {
        usage::peak_megabytes(self.running.0.id())
    }

    pub(super) fn forget_peak(&self) -> Result<(), ServerError> {
        usage::forget_peak(self.running.0.id())
    }

    pub(super) fn processor_time(&self) -> Result<Duration, ServerError> {
        usage::processor_time(self.running.0.id())
    }
}
