//! `parity import`: recordings become scenarios and snapshots.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::output::{complain, say};
use crate::{
    import::{Imported, Kept, import_recording, keep},
    normalize::{normalize, sha256_hex},
    scenario::{
        convert::convert,
        emit::{requests_digest, to_yaml},
        model::{ModelError, Scenario},
        yaml,
    },
    snapshot::{self, Provenance, Snapshot, StepTime},
    together::Together,
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
                Ok((imported, kept)) => {
                    say!("{}", imported.scenario.name);
                    for step in &imported.not_runnable {
                        say!("  not runnable: {step}");
                    }
                    for what in &kept.kept {
                        say!("  kept: {what}");
                    }
                    for what in &kept.lost {
                        say!("  not kept: {what}");
                    }
                }
                Err(error) => {
                    complain!("{}: {error}", recording.display());
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
) -> Result<(Imported, Kept), Box<dyn std::error::Error>> {
    let text = String::from_utf8(std::fs::read(recording)?)
        .map_err(|_| "it is no text in UTF-8, and so no recording: copy it whole, or record again")?;
    let mut imported = import_recording(&text)?;
    let digest = sha256_hex(text.as_bytes());
    // A scenario that was renamed since is not made a second time.
    let renamed = snapshot::of_recording(snapshots, &digest)?.filter(|name| *name != imported.scenario.name);
    let recorded = renamed.map(|name| {
        imported.transcript.scenario.clone_from(&name);
        std::mem::replace(&mut imported.scenario.name, name)
    });
    let mut kept = write(&mut imported, &digest, scenarios, snapshots)?;
    if let Some(recorded) = recorded {
        kept.kept
            .insert(0, format!("its name, which is {recorded} in the recording"));
    }
    Ok((imported, kept))
}

/// Writes what a recording became: the scenario, the files beside it, the snapshot and its digest. `digest` is that of the
/// recording.
pub(super) fn write(
    imported: &mut Imported,
    digest: &str,
    scenarios: &Path,
    snapshots: &Path,
) -> Result<Kept, Box<dyn std::error::Error>> {
    let name = imported.scenario.name.clone();
    let path = scenarios.join(format!("{name}.yaml"));
    let (existing, remarks) = existing(&name, &path)?;
    let at = imported.scenario.take_times();
    let mut kept = keep(&mut imported.scenario, existing.as_ref());
    for (line, remark) in remarks {
        kept.lost.push(format!(
            "the remark in line {line}, which a `note` would keep: {remark}"
        ));
    }
    let named = imported.scenario.steps.iter().zip(at);
    let recorded = named.map(|(step, at_us)| StepTime {
        name: step.name.clone(),
        at_us,
    });
    let recorded = recorded.collect();
    let yaml = to_yaml(&imported.scenario);
    let written = Scenario::read(&name, &yaml)
        .map_err(|error| format!("it cannot be written as a scenario: {error}"))?;
    let folder = path.parent().unwrap_or(scenarios);
    let recorded = Snapshot {
        provenance: Provenance {
            server: imported.server.clone(),
            revision: imported.revision.clone(),
            recording_sha256: digest.to_owned(),
            requests_sha256: requests_digest(&written),
        },
        normalized: normalize(&imported.transcript),
        recorded,
    };
    let mut files = Together::default();
    for (name, bytes) in &imported.files {
        files.add(folder.join(name), bytes.clone());
    }
    for (path, text) in snapshot::files(snapshots, &recorded)? {
        files.add(path, text);
    }
    // The last one, so that what a scenario names is there before it is.
    files.add(path, yaml);
    files.write()?;
    Ok(kept)
}

/// The remarks of a file, with their lines.
type Remarks = Vec<(u64, String)>;

/// The scenario as its file stands, whatever format it has, and the remarks in it.
fn existing(name: &str, path: &Path) -> Result<(Option<Scenario>, Remarks), Box<dyn std::error::Error>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((None, Vec::new())),
        Err(error) => return Err(error.into()),
    };
    let unreadable = |error: ModelError| {
        let faults: Vec<String> = error.0.iter().map(|fault| fault.in_file(path)).collect();
        format!(
            "the scenario is there already and cannot be read; mend it, or delete it if nothing in it is to be kept\n{}",
            faults.join("\n")
        )
    };
    let converted = convert(name, &text).map_err(unreadable)?;
    let scenario = match converted {
        Some(converted) => converted.scenario,
        None => Scenario::read(name, &text).map_err(unreadable)?,
    };
    Ok((Some(scenario), yaml::remarks(&text)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn recording(name: &str) -> String {
        let step = |id: u32, path: &str| {
            json!({"id": id, "at": f64::from(id), "kind": "http", "who": "w", "note": "recorded", "request": {"method": "GET", "path": path, "headers": {}},
                   "response": {"status": 200, "json": {}, "wire": {"version": "1.1", "reason": "OK", "length": 2, "headers": []}}})
        };
        let recording = json!({
            "format": 2, "area": "a", "scenario": name, "title": "Recorded.", "base": "http://h", "started_at": 5.5,
            "upstream": "unreachable", "env": {}, "files_before_start": {}, "agents": {},
            "steps": [step(1, "/x"), step(4, "/x")], "heard": [], "final": {"tables": {}, "files": {}},
        });
        recording.to_string()
    }

    #[test]
    fn a_recording_whose_scenario_was_renamed_keeps_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("r.json"), recording("s")).unwrap();
        let import = || import(&at("r.json"), &at("scenarios"), &at("snapshots")).unwrap();
        assert_eq!(import().0.scenario.name, "a/s");
        std::fs::rename(at("scenarios/a/s.yaml"), at("scenarios/a/other.yaml")).unwrap();
        let mut renamed = snapshot::read(&at("snapshots"), "a/s").unwrap();
        std::fs::remove_dir_all(at("snapshots")).unwrap();
        renamed.normalized.scenario = "a/other".to_owned();
        let mut files = Together::default();
        for (path, text) in snapshot::files(&at("snapshots"), &renamed).unwrap() {
            files.add(path, text);
        }
        files.write().unwrap();
        let (imported, kept) = import();
        assert_eq!(imported.scenario.name, "a/other");
        assert_eq!(kept.kept[0], "its name, which is a/s in the recording");
        assert!(!at("scenarios/a/s.yaml").exists());
        assert_eq!(snapshot::verify_digests(&at("snapshots")).unwrap().len(), 0);
    }

    #[test]
    fn an_import_that_cannot_write_its_snapshot_leaves_no_scenario() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("r.json"), recording("s")).unwrap();
        std::fs::create_dir(at("snapshots")).unwrap();
        std::fs::write(at("snapshots/a"), "in the way").unwrap();
        let error = import(&at("r.json"), &at("scenarios"), &at("snapshots")).unwrap_err();
        assert!(error.to_string().contains("snapshots/a/s.snap"), "{error}");
        assert!(!at("scenarios/a/s.yaml").exists());
        assert_eq!(std::fs::read_to_string(at("snapshots/a")).unwrap(), "in the way");
    }

    #[test]
    fn an_import_writes_times_beside_and_keeps_what_people_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("r.json"), recording("s")).unwrap();
        let run = || {
            import(&at("r.json"), &at("scenarios"), &at("snapshots"))
                .unwrap()
                .1
        };
        assert_eq!(run(), Kept::default());
        let file = at("scenarios/a/s.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            !text.contains("\n    at:") && text.contains("title: Recorded."),
            "{text}"
        );
        let snapshot = snapshot::read(&at("snapshots"), "a/s").unwrap();
        let times = |snapshot: Snapshot| snapshot.recorded.into_iter().map(|step| (step.name, step.at_us));
        let (first, second) = (Some(1_000_000), Some(4_000_000));
        assert!(times(snapshot).eq([("GET x".to_owned(), first), ("GET x 2".to_owned(), second)]));

        let text = text.replace("title: Recorded.", "title: By hand. # why").replace(
            "  - as: w\n    note: recorded\n",
            "  - as: w\n    note: by hand\n    name: mine\n",
        );
        std::fs::write(
            &file,
            text.replacen("name: mine", "name: first", 1)
                .replacen("name: mine", "name: second", 1),
        )
        .unwrap();
        let kept = run();
        assert_eq!(kept.kept.len(), 5, "{kept:?}");
        assert_eq!(
            kept.lost,
            ["the remark in line 2, which a `note` would keep: why"]
        );
        let again = std::fs::read_to_string(&file).unwrap();
        assert!(
            again.contains("title: By hand.\n") && again.contains("name: second\n"),
            "{again}"
        );
        let snapshot = snapshot::read(&at("snapshots"), "a/s").unwrap();
        assert!(times(snapshot).eq([("first".to_owned(), first), ("second".to_owned(), second)]));
    }

    #[test]
    fn nothing_is_written_for_a_recording_that_leaves_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut bad: Value = serde_json::from_str(&recording("s")).unwrap();
        bad["area"] = json!("../..");
        std::fs::write(at("r.json"), bad.to_string()).unwrap();
        let error = import(&at("r.json"), &at("scenarios"), &at("snapshots")).unwrap_err();
        assert!(error.to_string().contains("leaves its folder"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
