//! The report as JSON lines: one per case, and a last one with the totals.
//!
//! Each line says its `type`. Times are whole nanoseconds, hashes hexadecimal. Fields may be added; none
//! changes its meaning.

use serde::Serialize;

use super::{ScenarioResult, Totals};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Line<'a> {
    Scenario(&'a ScenarioResult),
    Summary(Totals),
}

/// The line of one case, without a line break.
///
/// # Errors
/// Only if JSON cannot be written to memory.
pub fn scenario(result: &ScenarioResult) -> serde_json::Result<String> {
    serde_json::to_string(&Line::Scenario(result))
}

/// The last line, without a line break.
///
/// # Errors
/// Only if JSON cannot be written to memory.
pub fn summary(results: &[ScenarioResult]) -> serde_json::Result<String> {
    serde_json::to_string(&Line::Summary(Totals::of(results)))
}
