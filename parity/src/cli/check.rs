//! `parity check`: scenarios, register and snapshots are whole and fit together.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::{
    register,
    scenario::{library, verify},
    snapshot,
};

/// Arguments of `parity check`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:\n  \
      0  nothing is wrong\n  \
      1  something is wrong: each fault stands in a line of its own, `file:line:column: reason`\n  \
      2  the folder of scenarios cannot be read")]
pub struct Check {
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
}

impl Check {
    /// Prints every fault of every file.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        match faults(scenarios, &self.snapshots) {
            Ok((count, faults)) => {
                for fault in &faults {
                    println!("{fault}");
                }
                println!("{count} scenarios, {} faults", faults.len());
                if faults.is_empty() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(super::WRONG)
                }
            }
            Err(error) => {
                eprintln!("{}: {error}", scenarios.display());
                ExitCode::from(super::COULD_NOT_RUN)
            }
        }
    }
}

/// How many scenarios there are, and everything that is wrong with them, the register and the snapshots.
///
/// # Errors
/// If the folder of scenarios cannot be read.
pub fn faults(scenarios: &Path, snapshots: &Path) -> std::io::Result<(usize, Vec<String>)> {
    let entries = library::load(scenarios)?;
    let mut faults = Vec::new();
    let mut recorded = BTreeSet::new();
    for entry in &entries {
        match &entry.scenario {
            Err(error) => {
                faults.extend(error.faults().iter().map(|fault| fault.in_file(&entry.path)));
                // Whether it has a legacy side nobody knows.
                recorded.insert(format!("{}.snap", entry.name));
            }
            Ok(scenario) => {
                let found = verify::problems(scenario, entry.folder());
                faults.extend(found.iter().map(|fault| fault.in_file(&entry.path)));
                if !scenario.has_legacy() {
                    continue;
                }
                recorded.insert(format!("{}.snap", entry.name));
                if snapshot::path_of(snapshots, &entry.name).exists() {
                    if let Some(fault) = in_snapshot(snapshots, scenario) {
                        faults.push(fault);
                    }
                } else if !scenario.expects() {
                    let cure =
                        "import its recording, give its steps something to `expect`, or say `policy: strict`";
                    let path = entry.path.display();
                    faults.push(format!(
                        "{path}: there is no snapshot to hold the engine against: {cure}"
                    ));
                }
            }
        }
    }
    match snapshot::verify_digests(snapshots) {
        Ok(wrong) => faults.extend(wrong.iter().map(ToString::to_string)),
        Err(error) => faults.push(error.to_string()),
    }
    match snapshot::snapshots_in(snapshots) {
        Ok(there) => {
            for orphan in there.iter().filter(|name| !recorded.contains(*name)) {
                let path = snapshots.join(orphan);
                let path = path.display();
                faults.push(format!(
                    "{path}: no scenario with a legacy side has this name: delete the file and its line in DIGESTS"
                ));
            }
        }
        Err(error) => faults.push(error.to_string()),
    }
    let known: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    let path = scenarios.join("divergences.toml");
    match register::load(&path) {
        Ok(register) => {
            let unknown = register.unknown_scenarios(&known);
            faults.extend(unknown.iter().map(|fault| format!("{}: {fault}", path.display())));
        }
        Err(error) => faults.push(error.to_string()),
    }
    let mut seen = BTreeSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    Ok((entries.len(), faults))
}

/// What is wrong between a scenario and its snapshot; what the digest tells is not told twice.
fn in_snapshot(snapshots: &Path, scenario: &crate::scenario::model::Scenario) -> Option<String> {
    let read = snapshot::read_for(snapshots, scenario);
    read.err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_fault_of_every_file_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (scenarios, snapshots) = (folder.path().join("scenarios"), folder.path().join("snapshots"));
        fs::create_dir_all(scenarios.join("a")).unwrap();
        fs::create_dir_all(snapshots.join("a")).unwrap();
        let head = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n";
        fs::write(
            scenarios.join("a/one.yaml"),
            format!("{head}  - {{get: /, as: no}}\n  - {{get: /, jsno: 1}}\n"),
        )
        .unwrap();
        fs::write(
            scenarios.join("a/two.yaml"),
            format!("{head}  - get: /${{late}}\n"),
        )
        .unwrap();
        fs::write(
            scenarios.join("a/three.yaml"),
            format!("{head}  - {{get: /, expect: {{status: 200}}}}\n"),
        )
        .unwrap();
        fs::write(scenarios.join("a/four.yaml"), "format: 1\n").unwrap();
        fs::write(snapshots.join("a/gone.snap"), "x").unwrap();
        fs::write(scenarios.join("divergences.toml"), "format = 2\nstrange = 1\n").unwrap();
        let (count, faults) = faults(&scenarios, &snapshots).unwrap();
        let faults: Vec<String> = faults
            .iter()
            .map(|fault| fault.replace(&folder.path().display().to_string(), ""))
            .collect();
        assert_eq!(count, 4);
        for part in [
            "/scenarios/a/one.yaml:6:18: `no` is true or false",
            "/scenarios/a/one.yaml:7:14: the step has no `jsno`",
            "/scenarios/a/two.yaml:6: step `GET /`: nothing before it defines ${late}",
            "/scenarios/a/two.yaml: there is no snapshot",
            "/scenarios/a/four.yaml:1:1: format 1 is older",
            "/snapshots/a/gone.snap: unreadable: it is not in DIGESTS",
            "/snapshots/a/gone.snap: no scenario",
            "divergences.toml",
        ] {
            assert!(
                faults.iter().any(|fault| fault.contains(part)),
                "{part}\n{faults:#?}"
            );
        }
        assert!(!faults.iter().any(|fault| fault.contains("three")), "{faults:#?}");
    }
}
