//! The report as annotations of a pull request, in GitHub's workflow commands.
//!
//! Each points at the scenario's file: which expectation is meant is in its title. GitHub shows at most ten annotations of a kind per
//! step, so no more are written. The escapes are those of `@actions/core`'s `command.ts`.

use std::fmt::Write as _;

use super::ScenarioResult;
use crate::history::At;
use crate::verdict::Verdict;

/// Annotations of one kind that are shown.
const SHOWN_MAX: usize = 10;

/// One line per failure or inconclusive case.
#[must_use]
pub fn render(results: &[ScenarioResult]) -> String {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for result in results {
        if let Verdict::Inconclusive(reason) = &result.verdict {
            let title = format!("{} is inconclusive", result.title());
            warnings.push(annotation("warning", result, &title, reason));
        }
        for failure in &result.failures {
            let violation = &failure.violation;
            let title = format!("{}: {} broken", result.title(), violation.checker);
            let mut text = violation.summary.clone();
            let _ = write!(text, "\nat {} with seed {}", At(violation.at), failure.seed);
            if let Some(command) = &failure.replay_command {
                let _ = write!(text, "\n{command}");
            }
            errors.push(annotation("error", result, &title, &text));
        }
    }
    errors.truncate(SHOWN_MAX);
    warnings.truncate(SHOWN_MAX);
    errors.into_iter().chain(warnings).map(|line| line + "\n").collect()
}

fn annotation(kind: &str, result: &ScenarioResult, title: &str, text: &str) -> String {
    let (file, title) = (property(&result.file), property(title));
    format!("::{kind} file={file},title={title}::{}", data(text))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
