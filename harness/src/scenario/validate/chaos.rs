//! Rules for chaos: the same as for faults, and bounds on what is drawn.

use std::time::Duration;

use super::{Check, FAULTS_MAX, fault, join};
use crate::scenario::document::Step;
use crate::scenario::schema::ChaosEntry;

/// Most occurrences all entries together may be expected to have.
const OCCURRENCES_MAX: u128 = 10_000;
/// Shortest mean gap.
const GAP_MIN: Duration = Duration::from_millis(1);
/// Largest weight.
const WEIGHT_MAX: u32 = 100;
/// Most faults at once.
const CONCURRENT_MAX: u32 = 64;

pub(super) fn check(check: &mut Check<'_>) {
    let Some(chaos) = &check.scenario.chaos else { return };
    let path = join(&[], ["chaos"]);
    if !(1..=CONCURRENT_MAX).contains(&chaos.max_concurrent) {
        let text = format!("1 to {CONCURRENT_MAX} faults at once, not {}", chaos.max_concurrent);
        check.mistake(&join(&path, ["max-concurrent"]), text, "max-concurrent = 2");
    }
    let list = join(&path, ["any"]);
    let rows = check.rows(&list, &chaos.any);
    if rows.is_empty() && check.is_sound(&list) {
        check.mistake(&path, "chaos has no kinds to draw from", "add a [[chaos.any]]");
    }
    if rows.len() > FAULTS_MAX {
        check.mistake(&list, format!("more than {FAULTS_MAX} entries"), "use fewer, with patterns for hosts");
    }
    check.unique_names(&rows, |entry| entry.name.as_deref());
    occurrences(check, &rows);
    for (path, entry) in rows {
        bounds(check, &path, entry);
        if let Some(kind) = fault::one_kind(check, &path, entry.faults()) {
            fault::window(check, &path, &kind, entry.lasts.is_some());
            fault::worlds(check, &path, &kind, false);
            fault::settings(check, &path, kind, false);
        }
    }
}

/// Nobody means a plan of millions of faults. Reported where the sum passes the bound.
fn occurrences(check: &mut Check<'_>, rows: &[(Vec<Step>, &ChaosEntry)]) {
    let duration = check.scenario.run.duration;
    let mut sum = 0;
    for (path, entry) in rows.iter().filter(|(_, entry)| entry.gap.mean >= GAP_MIN) {
        sum += duration.as_micros() / entry.gap.mean.as_micros();
        if sum > OCCURRENCES_MAX {
            let text = format!("chaos would happen more than {OCCURRENCES_MAX} times in the run");
            return check.mistake(&join(path, ["gap", "mean"]), text, "lengthen the mean gap");
        }
    }
}

fn bounds(check: &mut Check<'_>, path: &[Step], entry: &ChaosEntry) {
    if !(1..=WEIGHT_MAX).contains(&entry.weight) {
        let text = format!("a weight is 1 to {WEIGHT_MAX}, not {}", entry.weight);
        check.mistake(&join(path, ["weight"]), text, "weight = 1; leave the entry out to never draw it");
    }
    let duration = check.scenario.run.duration;
    if entry.gap.mean < GAP_MIN {
        let text = "the mean gap is at least 1ms";
        check.mistake(&join(path, ["gap", "mean"]), text, "gap = { mean = \"5s\" }");
    }
    let Some(span) = entry.lasts else { return };
    let path = join(path, ["for"]);
    if span.min < Duration::from_millis(1) {
        check.mistake(&join(&path, ["min"]), "a fault lasts at least 1ms", "min = \"200ms\"");
    }
    if span.min > span.max {
        check.mistake(&path, "`min` is longer than `max`", "for = { min = \"200ms\", max = \"10s\" }");
    } else if span.min >= duration && check.is_sound(&join(&[], ["run"])) {
        let text = "even the shortest does not fit into the run's duration: it never happens";
        check.mistake(&join(&path, ["min"]), text, "shorten it, or lengthen `run.duration`");
    }
}
