//! `junit.xml`: a test suite for each area and a test case for each scenario, as CI systems show them.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{ALONE, RunReport, left_out, places::step, shown};
use crate::register::{Area, Outcome, Verdict};

/// Differences that are listed of one scenario; all of them are in the other reports.
const LISTED: usize = 50;

/// The report as XML.
///
/// # Errors
/// If it cannot be written.
pub fn render(report: &RunReport) -> Result<String, quick_junit::SerializeError> {
    let mut out = Report::new("parity");
    if let Some(reason) = &report.could_not_run {
        let mut failed = TestCaseStatus::non_success(NonSuccessKind::Error);
        failed.set_message(reason.as_str());
        let mut suite = TestSuite::new("parity");
        suite.add_test_case(TestCase::new("the run", failed));
        out.add_test_suite(suite);
    }
    if let Some(partial) = &report.partial {
        let mut broken_off = TestCaseStatus::non_success(NonSuccessKind::Error);
        broken_off.set_message(format!(
            "it was interrupted after {} of {} scenarios",
            partial.ran, partial.chosen
        ));
        let mut suite = TestSuite::new("parity");
        suite.add_test_case(TestCase::new("the run", broken_off));
        out.add_test_suite(suite);
    }
    for area in Area::ALL {
        let mut suite = TestSuite::new(area.name());
        for verdict in report.in_area(area) {
            let mut case = TestCase::new(verdict.scenario.as_str(), status(report, verdict));
            case.set_classname(format!("parity.{}", area.name()));
            if let Some(story) = report
                .stories
                .iter()
                .find(|story| story.scenario == verdict.scenario)
            {
                case.set_system_out(story.title.as_str());
            }
            suite.add_test_case(case);
        }
        if suite.tests > 0 {
            out.add_test_suite(suite);
        }
    }
    out.to_string()
}

fn status(report: &RunReport, verdict: &Verdict) -> TestCaseStatus {
    let whole = verdict.not_compared.get(&0);
    let left_out = left_out(report, verdict);
    match verdict.outcome {
        Outcome::Same | Outcome::Accepted if left_out.is_empty() => TestCaseStatus::success(),
        Outcome::Same | Outcome::Accepted => {
            let mut skipped = TestCaseStatus::skipped();
            let reasons: Vec<_> = left_out.into_iter().collect();
            skipped.set_message(format!("in part: {}", reasons.join("; ")));
            skipped
        }
        Outcome::Alone => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(ALONE);
            skipped
        }
        Outcome::NotCompared => {
            let mut skipped = TestCaseStatus::skipped();
            let reasons: Vec<_> = verdict.not_compared.values().map(String::as_str).collect();
            skipped.set_message(whole.map_or_else(|| reasons.join("; "), Clone::clone));
            skipped
        }
        Outcome::CouldNotRun => {
            let mut error = TestCaseStatus::non_success(NonSuccessKind::Error);
            error.set_message(whole.map_or("it could not run", String::as_str));
            error
        }
        Outcome::Different => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            failure.set_message(format!(
                "{} differences that nothing expects, {} expected ones that are not there",
                verdict.different.len(),
                verdict.unmet.len()
            ));
            failure.set_description(description(verdict));
            failure
        }
    }
}

fn description(verdict: &Verdict) -> String {
    let different = verdict.different.iter().map(|difference| {
        format!(
            "{}: {}\n  legacy: {}\n  engine: {}",
            step(verdict, difference.step, None),
            difference.path,
            shown(difference.legacy.as_ref()),
            shown(difference.engine.as_ref())
        )
    });
    let unmet = verdict.unmet.iter().map(|unmet| {
        format!(
            "{}: {} should differ, as {} expects, and does not",
            step(verdict, unmet.step, unmet.name.as_deref()),
            unmet.path,
            unmet.entry
        )
    });
    let mut lines: Vec<_> = different.chain(unmet).collect();
    if let Some(more) = lines.len().checked_sub(LISTED).filter(|more| *more > 0) {
        lines.truncate(LISTED);
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}
