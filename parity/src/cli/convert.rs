//! `parity convert`: scenario files of an earlier format become files of the present one.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Map, Value, json};

use super::output::{complain, say};
use crate::scenario::convert::{Converted, convert};

/// Arguments of `parity convert`.
#[derive(Debug, Args)]
#[command(
    after_help = "A file is written only if every step does in the new format what it did, with the same bytes.\n\n\
    Exit codes:\n  \
      0  every file has the present format now\n  \
      1  a file could not be converted: it is as it was, and the reason is told\n  \
      2  a file or folder could not be read or written"
)]
pub struct Convert {
    /// Scenario files, or `all`.
    #[arg(required = true, value_name = "FILE|all")]
    pub files: Vec<PathBuf>,
    /// File that is told the new place and name of every step, by scenario and old number, as JSON.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
}

/// What became of one file.
enum Done {
    Converted(Box<Converted>),
    Already,
    Wrong(Vec<String>),
}

impl Convert {
    /// Converts in place; a file that cannot be converted does not keep the others back.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        match self.try_run(scenarios) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(super::WRONG),
            Err(error) => super::could_not_run(&error),
        }
    }

    fn try_run(&self, scenarios: &Path) -> Result<bool, String> {
        let (mut converted, mut already, mut wrong) = (0, 0, 0);
        let mut map = Map::new();
        for path in self.paths(scenarios)? {
            let name =
                scenario_name(&path).ok_or_else(|| format!("{}: no <area>/<name>.yaml", path.display()))?;
            match one(&name, &path)? {
                Done::Converted(done) => {
                    converted += 1;
                    map.insert(name, steps(&done));
                }
                Done::Already => already += 1,
                Done::Wrong(faults) => {
                    wrong += 1;
                    faults.iter().for_each(|fault| complain!("{fault}"));
                }
            }
        }
        if let Some(path) = &self.map {
            let text = format!("{:#}\n", Value::Object(map));
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        say!("{converted} converted, {already} had the format already, {wrong} could not be converted");
        Ok(wrong == 0)
    }

    fn paths(&self, scenarios: &Path) -> Result<Vec<PathBuf>, String> {
        if self.files != [Path::new("all")] {
            return Ok(self.files.clone());
        }
        let list = |folder: &Path| -> Result<Vec<PathBuf>, String> {
            let told = |error: std::io::Error| format!("{}: {error}", folder.display());
            let entries = std::fs::read_dir(folder).map_err(told)?;
            entries
                .map(|entry| entry.map(|entry| entry.path()).map_err(told))
                .collect()
        };
        let mut paths = Vec::new();
        for area in list(scenarios)?.into_iter().filter(|path| path.is_dir()) {
            let files = list(&area)?;
            paths.extend(
                files
                    .into_iter()
                    .filter(|path| path.extension().is_some_and(|end| end == "yaml")),
            );
        }
        paths.sort();
        Ok(paths)
    }
}

fn scenario_name(path: &Path) -> Option<String> {
    let area = path.parent()?.file_name()?.to_str()?;
    Some(format!("{area}/{}", path.file_stem()?.to_str()?))
}

fn one(name: &str, path: &Path) -> Result<Done, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(told)?;
    Ok(match convert(name, &text) {
        Ok(None) => Done::Already,
        Ok(Some(converted)) => {
            std::fs::write(path, &converted.text).map_err(told)?;
            Done::Converted(Box::new(converted))
        }
        Err(error) => Done::Wrong(error.0.iter().map(|fault| fault.in_file(path)).collect()),
    })
}

/// `{"<old number>": {"position": n, "name": "..."}}`
fn steps(converted: &Converted) -> Value {
    let steps = converted.numbers.iter().zip(&converted.scenario.steps);
    let entries = steps.map(|(number, step)| {
        (
            number.to_string(),
            json!({"position": step.id, "name": step.name}),
        )
    });
    Value::Object(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_converted_in_place_and_the_map_tells_where_steps_went() {
        let folder = tempfile::tempdir().unwrap();
        let area = folder.path().join("a");
        std::fs::create_dir(&area).unwrap();
        let old = "format: 1\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n  - id: 1\n    at: 0.1\n    get: /x\n  - id: 7\n    at: 0.2\n    get: /x\n";
        std::fs::write(area.join("b.yaml"), old).unwrap();
        std::fs::write(area.join("c.yaml"), "format: 1\nsteps: 0\n").unwrap();
        let map = folder.path().join("map.json");
        let convert = Convert {
            files: vec![PathBuf::from("all")],
            map: Some(map.clone()),
        };
        assert_eq!(convert.try_run(folder.path()), Ok(false));
        let text = std::fs::read_to_string(area.join("b.yaml")).unwrap();
        assert_eq!(
            text,
            "format: 2\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n  - get: /x\n  - get: /x\n"
        );
        assert_eq!(
            std::fs::read_to_string(area.join("c.yaml")).unwrap(),
            "format: 1\nsteps: 0\n"
        );
        let map: Value = serde_json::from_str(&std::fs::read_to_string(map).unwrap()).unwrap();
        assert_eq!(
            map,
            json!({"a/b": {"1": {"position": 1, "name": "GET x"}, "7": {"position": 2, "name": "GET x 2"}}})
        );
        std::fs::remove_file(area.join("c.yaml")).unwrap();
        assert_eq!(convert.try_run(folder.path()), Ok(true));
    }
}
