//! `parity import`: recordings become scenarios and snapshots.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::{
    import::{Imported, import_recording},
    normalize::{normalize, sha256_hex},
    scenario::emit::to_yaml,
    snapshot::{self, Provenance, Snapshot},
};

/// Arguments of `parity import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Recording files (JSON).
    #[arg(required = true, value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
    /// Folder that the legacy's recorded behaviour is written to.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
}

impl Import {
    /// Imports every recording; one that cannot be read does not keep the others back.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        let mut failed = false;
        for recording in &self.recordings {
            match import(recording, scenarios, &self.snapshots) {
                Ok(imported) => {
                    println!("{}", imported.scenario.name);
                    for step in &imported.not_runnable {
                        println!("  not runnable: {step}");
                    }
                }
                Err(error) => {
                    eprintln!("{}: {error}", recording.display());
                    failed = true;
                }
            }
        }
        if failed {
            ExitCode::from(super::COULD_NOT_RUN)
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn import(
    recording: &Path,
    scenarios: &Path,
    snapshots: &Path,
) -> Result<Imported, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(recording)?;
    let imported = import_recording(&text)?;
    let path = scenarios.join(format!("{}.yaml", imported.scenario.name));
    let folder = path.parent().unwrap_or(scenarios);
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, to_yaml(&imported.scenario))?;
    for (name, bytes) in &imported.files {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, bytes)?;
    }
    snapshot::write(
        snapshots,
        &Snapshot {
            provenance: Provenance {
                server: imported.server.clone(),
                revision: imported.revision.clone(),
                recording_sha256: sha256_hex(text.as_bytes()),
            },
            normalized: normalize(&imported.transcript),
        },
    )?;
    Ok(imported)
}
