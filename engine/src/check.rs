//! Says whether a root folder can be served, without changing anything in it.

use std::path::Path;

use crate::{
    config::{
        settings::Settings,
        variables::{self, ProcessVariables},
    },
    domain::clock::Clock,
    preflight::{self, Finding, Report, Verdict},
};

/// Looks at everything that a start with these variables in this working folder would use. `adjust` is what the command
/// line says beside them.
pub async fn check(
    environment: &ProcessVariables,
    working_folder: &Path,
    create: bool,
    adjust: impl FnOnce(Settings) -> Settings,
    clock: &dyn Clock,
) -> Vec<Finding> {
    let mut report = Report::default();
    for warning in variables::warnings(&environment.texts) {
        report.add(Verdict::Warning, "variables", warning);
    }
    let mut wrong = environment.unreadable();
    match Settings::from_map(&environment.texts, working_folder) {
        Ok(settings) if wrong.is_empty() => {
            report.add(Verdict::Ok, "variables", "every value can be read");
            let settings = adjust(settings);
            report.append(preflight::before_serving(&settings, create, clock).await);
            return report.finish();
        }
        Ok(_) => {}
        Err(errors) => wrong.extend(errors.0.iter().map(ToString::to_string)),
    }
    for text in wrong {
        report.add(Verdict::WrongSettings, "variables", text);
    }
    report.add(
        Verdict::WrongSettings,
        "root folder",
        "not looked at: correct the variables first",
    );
    report.finish()
}
