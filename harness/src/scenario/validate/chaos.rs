//! Rules for chaos: the same as for faults, and bounds on what is drawn.

use std::time::Duration;

use super::{Check, FAULTS_MAX, fault, join};
use crate::scenario::document::Step;
use crate::scenario::schema::ChaosEntry;

/// Most occurrences one entry may be expected to have.
const OCCURRENCES_MAX: u128 = 10_000;
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
    for (path, entry) in rows {
        bounds(check, &path, entry);
        if let Some(kind) = fault::one_kind(check, &path, entry.faults()) {
            fault::window(check, &path, &kind, entry.lasts.is_some());
            fault::worlds(check, &path, &kind, false);
            fault::settings(check, &path, kind, false);
        }
    }
}

fn bounds(check: &mut Check<'_>, path: &[Step], entry: &ChaosEntry) {
    if !(1..=WEIGHT_MAX).contains(&entry.weight) {
        let text = format!("a weight is 1 to {WEIGHT_MAX}, not {}", entry.weight);
        check.mistake(&join(path, ["weight"]), text, "weight = 1; leave the entry out to never draw it");
    }
    let duration = check.scenario.run.duration;
    let mean = entry.gap.mean;
    let gap = join(path, ["gap", "mean"]);
    if mean < Duration::from_millis(1) {
        check.mistake(&gap, "the mean gap is at least 1ms", "gap = { mean = \"5s\" }");
    } else if duration.as_micros() / mean.as_micros() > OCCURRENCES_MAX {
        let text = format!("this would happen more than {OCCURRENCES_MAX} times in the run");
        check.mistake(&gap, text, "lengthen the mean gap");
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
