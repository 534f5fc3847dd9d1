//! `parity new`: a scenario to begin with.

use std::{path::Path, process::ExitCode};

use clap::Args;

use super::output::say;
use crate::scenario::{files::stays_inside, model::Scenario};

/// Arguments of `parity new`.
#[derive(Debug, Args)]
pub struct New {
    /// `<area>/<name>`, in small letters, digits and underscores.
    #[arg(value_name = "AREA/NAME")]
    pub scenario: String,
}

/// What a new scenario looks like; AREA becomes the area.
const TEXT: &str = r#"format: 2
# What is tried, in one sentence.
title: An operator makes an install code that two devices may use.
area: AREA
# The time of the first step, in seconds since 1970. A `wait` moves it on, nothing else does.
started_at: 1795510800
# Agents have a key of their own: ${agent1.pubkey}, ${agent1.nonce}, ${agent1.fingerprint}, ${agent1.hostname}.
agents:
  agent1: {hostname: WIN-NEW}
# SQL that is used more than once has a name here.
queries:
  codes: SELECT max_uses, use_count FROM enrollment_install_codes ORDER BY rowid
steps:
  # The first administrator, with cookies for every step `as: admin`. `enroll: agent1` lets an agent in.
  - login: admin
  # `json:` brings its content type. What is captured is ${code} from here on.
  - name: make a code
    as: admin
    post: /api/admin/enrollment-codes
    json: {ttl_hours: 3, max_uses: 2}
    capture: {code: /code}
    # Members that are not named may be anything. A JSON pointer names one value.
    expect: {status: 200, body: {max_uses: 2}, "/use_count": 0}
  - rows: codes
    expect: {rows: [{max_uses: 2, use_count: 0}]}
  - name: without a session
    get: /api/admin/enrollment-codes
    expect: {status: 401}
"#;

impl New {
    /// Writes the file, unless there is one.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        match self.write(scenarios) {
            Ok(path) => {
                say!(
                    "{} written. `parity check` reads it, `parity run {}` runs it",
                    path.display(),
                    self.scenario
                );
                ExitCode::SUCCESS
            }
            Err(error) => super::could_not_run(&error),
        }
    }

    fn write(&self, scenarios: &Path) -> Result<std::path::PathBuf, String> {
        let fits = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let area = match self.scenario.split_once('/') {
            Some((area, name)) if fits(area) && fits(name) && stays_inside(&self.scenario) => area,
            _ => {
                return Err(format!(
                    "{:?} is no <area>/<name> in small letters, digits and underscores",
                    self.scenario
                ));
            }
        };
        let path = scenarios.join(format!("{}.yaml", self.scenario));
        let folder = scenarios.join(area);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let text = TEXT.replace("AREA", &title_case(area));
        Scenario::read(&self.scenario, &text).map_err(|error| error.to_string())?;
        let written = std::fs::File::create_new(&path).and_then(|mut file| {
            use std::io::Write as _;
            file.write_all(text.as_bytes())
        });
        match written {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(format!(
                "{} is there already, and nothing was changed: take another name, or remove it first",
                path.display()
            )),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

fn title_case(area: &str) -> String {
    let mut characters = area.chars().map(|c| if c == '_' { ' ' } else { c });
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runner::{Silent, run_embedded},
        scenario::verify,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_scenario_is_whole_and_what_it_expects_is_so() {
        let folder = tempfile::tempdir().unwrap();
        let new = New {
            scenario: "device_auth/a_1".to_owned(),
        };
        let path = new.write(folder.path()).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("area: Device auth\n"));
        let scenario = Scenario::read("device_auth/a_1", &text).unwrap();
        assert_eq!(verify::problems(&scenario, folder.path()), []);
        let transcript = run_embedded(&scenario, folder.path(), &Silent).await.unwrap();
        assert_eq!(transcript.missed, []);
        let again = new.write(folder.path()).unwrap_err();
        assert!(again.contains("is there already"), "{again}");
        for name in ["a", "../a", "a/../b", "A/b", "a/b/c", "a/"] {
            let new = New {
                scenario: name.to_owned(),
            };
            assert!(new.write(folder.path()).is_err(), "{name}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_expected_and_not_shown_is_told_with_its_place() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n  - get: /health\n    capture: {s: /status}\n    expect: {status: 404, \"/status\": \"${s}\", \"/nothing\": 1}\n  - {get: /health, expect: {\"/status\": \"${late}\"}}\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
        let missed: Vec<_> = transcript
            .missed
            .iter()
            .map(|one| (one.step, one.what.path.as_str()))
            .collect();
        assert_eq!(
            missed,
            [(1, "/expect/status"), (1, "/expect/nothing"), (2, "/expect")]
        );
    }
}
