//! `parity check`: scenarios, register and snapshots are whole and fit together.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::output::{complain, say};
use crate::{
    checklist,
    register::{self, KnownScenarios, RegisterError},
    report::{Signed, verify_markdown},
    scenario::{library, verify},
    snapshot,
};

/// Arguments of `parity check`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:\n  \
      0  nothing is wrong\n  \
      1  something is wrong: each fault stands in a line of its own, `file:line:column: reason`\n  \
      2  the folder of scenarios, or a table, cannot be read\n\n\
    Examples:\n  parity check\n  parity check parity-report/divergences.md    # is it as the run wrote it?")]
pub struct Check {
    /// Tables of `parity run`, to be held against the digest in their last line; nothing else is checked then.
    #[arg(value_name = "TABLE")]
    pub tables: Vec<PathBuf>,
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
}

impl Check {
    /// Prints every fault of every file.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        if !self.tables.is_empty() {
            return self.check_tables();
        }
        match faults(scenarios, &self.snapshots) {
            Ok(Checked {
                scenarios,
                loose,
                faults,
            }) => {
                for fault in &faults {
                    say!("{fault}");
                }
                let loose = loose
                    .map(|count| format!("{count} loose blocks in the register, "))
                    .unwrap_or_default();
                let counted = match faults.len() {
                    1 => "1 fault".to_owned(),
                    many => format!("{many} faults"),
                };
                say!("{scenarios} scenarios, {loose}{counted}");
                if faults.is_empty() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(super::WRONG)
                }
            }
            Err(error) => {
                complain!("{}: {error}", scenarios.display());
                ExitCode::from(super::COULD_NOT_RUN)
            }
        }
    }

    fn check_tables(&self) -> ExitCode {
        let mut code = 0;
        for path in &self.tables {
            let shown = path.display();
            let text = match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) => {
                    complain!("{shown}: {error}");
                    code = super::COULD_NOT_RUN;
                    continue;
                }
            };
            let fault = match verify_markdown(&text) {
                Signed::Whole => {
                    say!("{shown}: as the run wrote it");
                    continue;
                }
                Signed::Changed => {
                    "it was changed after the run wrote it: the digest in its last line is of another text"
                }
                Signed::Without => {
                    "its last line has no digest: it is no table of `parity run`, or something was added below"
                }
            };
            say!("{shown}: {fault}. Run the comparison again");
            code = code.max(super::WRONG);
        }
        ExitCode::from(code)
    }
}

/// What `parity check` found.
#[derive(Debug)]
pub struct Checked {
    /// How many scenarios there are.
    pub scenarios: usize,
    /// How many blocks of the register have patterns; nothing where it cannot be read.
    pub loose: Option<usize>,
    /// Everything that is wrong.
    pub faults: Vec<String>,
}

/// Looks at the scenarios, the register and the snapshots.
///
/// # Errors
/// If the folder of scenarios cannot be read.
pub fn faults(scenarios: &Path, snapshots: &Path) -> std::io::Result<Checked> {
    let entries = library::load(scenarios)?;
    let mut faults = Vec::new();
    // A folder may have none.
    match std::fs::read_to_string(scenarios.join(checklist::FILE)) {
        Ok(text) => faults.extend(
            checklist::read(&text, &entries)
                .err()
                .into_iter()
                .flatten()
                .map(|fault| format!("{}: {fault}", scenarios.join(checklist::FILE).display())),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => faults.push(format!("{}: {error}", scenarios.join(checklist::FILE).display())),
    }
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
    let path = scenarios.join(register::FILE);
    let loose = match register::load(&path, &KnownScenarios::of(&entries)) {
        Ok(register) => {
            let unfinished = register.unfinished();
            faults.extend(unfinished.map(|fault| format!("{}: {fault}", path.display())));
            Some(register.loose())
        }
        Err(error) => {
            match error {
                RegisterError::Entries(mistakes) => faults.extend(mistakes.iter().map(ToString::to_string)),
                other => faults.push(other.to_string()),
            }
            None
        }
    };
    let mut seen = BTreeSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    Ok(Checked {
        scenarios: entries.len(),
        loose,
        faults,
    })
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
        let Checked {
            scenarios: count,
            loose,
            faults,
        } = faults(&scenarios, &snapshots).unwrap();
        assert_eq!(loose, None, "the register cannot be read");
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
