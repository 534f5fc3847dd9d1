//! `parity import`: recordings become scenarios.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::{
    import::{Imported, import_recording},
    scenario::emit::to_yaml,
};

/// Arguments of `parity import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Recording files (JSON).
    #[arg(required = true, value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
}

impl Import {
    /// Imports every recording; one that cannot be read does not keep the others back.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        let mut failed = false;
        for recording in &self.recordings {
            match import(recording, scenarios) {
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

fn import(recording: &Path, scenarios: &Path) -> Result<Imported, Box<dyn std::error::Error>> {
    let imported = import_recording(&std::fs::read_to_string(recording)?)?;
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
    Ok(imported)
}
