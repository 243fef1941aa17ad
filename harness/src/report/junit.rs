//! The report as JUnit XML: one test case per scenario and case, whatever the number of seeds.
//!
//! JUnit knows no third value, so an inconclusive case is an *error* of type `inconclusive`, while a violated
//! one is a *failure* of its checker's type. Names never contain a seed, so that a CI server can follow a
//! case from run to run.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Failure, ScenarioResult};
use crate::history::At;
use crate::verdict::Verdict;

/// Renders the results.
///
/// # Errors
/// Only if XML cannot be written to memory.
pub fn render(results: &[ScenarioResult]) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("squall");
    for result in results {
        let mut case = TestCase::new(result.title(), status(result));
        case.set_classname(result.file.as_str()).set_time(result.wall_time);
        suite.add_test_case(case);
    }
    suite.set_time(results.iter().map(|result| result.wall_time).sum());
    let mut report = Report::new("squall");
    report.add_test_suite(suite);
    report.to_string()
}

fn status(result: &ScenarioResult) -> TestCaseStatus {
    let mut status = match &result.verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        Verdict::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Inconclusive(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped(_) | Verdict::NotRun => TestCaseStatus::skipped(),
    };
    match &result.verdict {
        Verdict::Failed(violation) => {
            let described: Vec<String> = result.failures.iter().map(describe).collect();
            status.set_type(violation.checker.as_str());
            status.set_message(result.failures.first().map(headline).unwrap_or_default());
            status.set_description(described.join("\n"));
        }
        Verdict::Inconclusive(reason) => {
            status.set_type("inconclusive").set_message(reason.as_str());
        }
        Verdict::Skipped(reason) => {
            status.set_message(reason.as_str());
        }
        Verdict::Passed | Verdict::NotRun => {}
    }
    status
}

fn headline(failure: &Failure) -> String {
    let violation = &failure.violation;
    let (checker, class, at) = (&violation.checker, violation.class, At(violation.at));
    format!("{checker} ({class}) broken at {at} with seed {}: {}", failure.seed, violation.summary)
}

fn describe(failure: &Failure) -> String {
    let mut lines = vec![headline(failure)];
    lines.extend(failure.violation.evidence.iter().map(|line| format!("  {line}")));
    lines.extend(failure.plan_path.iter().map(|path| format!("plan: {path}")));
    lines.extend(failure.replay_command.iter().map(|command| format!("replay: {command}")));
    lines.push(String::new());
    lines.join("\n")
}
