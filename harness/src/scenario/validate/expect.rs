//! Rules for expectations: one claim each, about something known, within the time there is.

use std::collections::BTreeSet;

use squall_mocks::rule::duration_text;

use super::{Check, join};
use crate::scenario::document::{Node, Step};
use crate::scenario::schema::{Claim, ExpectEntry, Expectation, InvalidExpectation, Scenario, Subject};

pub(super) fn check(check: &mut Check<'_>) {
    let path = join(&[], ["expect"]);
    let rows = check.rows(&path, &check.scenario.expectations);
    if rows.is_empty() && check.is_sound(&path) {
        let text = "the scenario expects nothing, so it cannot fail";
        check.mistake(&path, text, "[[expect]]\nalways = \"idempotent\"");
    } else if check.is_sound(&path) && !rows.iter().any(|(_, entry)| entry.sometimes.is_some()) {
        let text = "no `sometimes`: a run in which nothing happens would pass";
        let first = join(&path, [0]);
        check.warning(&first, text, "[[expect]]\nsometimes = \"dedup.suppressed\"\nat-least = 1");
    }
    for (path, entry) in rows {
        expectation(check, &path, entry);
    }
}

fn expectation(check: &mut Check<'_>, path: &[Step], entry: &ExpectEntry) {
    let expectation = match Expectation::try_from(entry.clone()) {
        Ok(expectation) => expectation,
        Err(problem) => return invalid(check, path, entry, &problem),
    };
    let claim = expectation.claim.name();
    let value = join(path, [claim]);
    match &expectation.subject {
        Subject::Named(name) => named(check, path, &value, name, &expectation),
        Subject::Metric { name, .. } => {
            let metrics = &check.vocabulary.metrics;
            if !metrics.contains(name) {
                check.unknown(&value, "metric", name, metrics.iter().map(String::as_str));
            }
            without(check, path, entry);
        }
    }
    match expectation.claim {
        Claim::Eventually { within: Some(within), .. } => {
            let settle = check.scenario.run.settle;
            if within > settle && check.is_sound(&join(&[], ["run"])) {
                let text = format!("this is longer than `run.settle` of {}", duration_text::format(settle));
                let hint =
                    "`eventually` is judged while the run settles: shorten it, or lengthen `run.settle`";
                check.mistake(&join(path, ["within"]), text, hint);
            }
        }
        Claim::Sometimes { at_least: 0 } => {
            check.mistake(&join(path, ["at-least"]), "zero times always holds", "at-least = 1");
        }
        _ => {}
    }
}

fn invalid(check: &mut Check<'_>, path: &[Step], entry: &ExpectEntry, problem: &InvalidExpectation) {
    match problem {
        // A claim that was misspelt was reported.
        InvalidExpectation::NoClaim if !check.is_sound(path) => {}
        InvalidExpectation::NoClaim => check.mistake(path, problem.to_string(), "always = \"idempotent\""),
        InvalidExpectation::TwoClaims(_, second) => {
            check.key_mistake(&join(path, [*second]), problem.to_string(), "make two expectations of it");
        }
        InvalidExpectation::ForeignKey { key, with, .. } => {
            let hint = format!("remove it, or use `{with}`");
            check.key_mistake(&join(path, [*key]), problem.to_string(), hint);
        }
        InvalidExpectation::Comparison(_) => {
            let claims =
                [("always", &entry.always), ("never", &entry.never), ("eventually", &entry.eventually)];
            let made = claims.into_iter().find(|(_, subject)| subject.is_some());
            let claim = made.map_or("sometimes", |(claim, _)| claim);
            let hint = "the comparisons are < <= > >= == !=";
            check.mistake(&join(path, [claim]), problem.to_string(), hint);
        }
    }
}

/// A checker, with the keys it needs; `sometimes` may also be about a point, or about a fault of the scenario:
/// `name` counts how often it began, `name.hit` what a rule did.
fn named(check: &mut Check<'_>, path: &[Step], value: &[Step], name: &str, expectation: &Expectation) {
    let vocabulary = check.vocabulary;
    let counted = matches!(expectation.claim, Claim::Sometimes { .. });
    let Some(keys) = vocabulary.checkers.get(name) else {
        let faults = fault_names(check.scenario);
        let is_fault = faults.contains(name.strip_suffix(".hit").unwrap_or(name));
        if counted && (vocabulary.points.contains(name) || is_fault) {
            return without(check, path, &expectation.clone().into());
        }
        let points = vocabulary.points.iter().chain(&faults).filter(|_| counted);
        let known = vocabulary.checkers.keys().chain(points).map(String::as_str);
        let what = if counted { "checker, point or fault" } else { "checker" };
        return check.unknown(value, what, name, known);
    };
    let path = join(path, ["with"]);
    for key in expectation.with.keys() {
        if !keys.required.contains(key) && !keys.optional.contains(key) {
            let known = keys.required.iter().chain(&keys.optional).map(String::as_str);
            let place = check.root.key_place_of(&join(&path, [key.as_str()]));
            check.unknown_at(place, &format!("key of `{name}`"), key, known);
        }
    }
    let given = check.node(&path).and_then(Node::table);
    for key in keys.required.iter().filter(|key| !given.is_some_and(|table| table.contains_key(*key))) {
        let text = format!("`{name}` needs to be told `{key}`");
        check.mistake(&path, text, format!("with = {{ {key} = … }}"));
    }
}

fn fault_names(scenario: &Scenario) -> BTreeSet<String> {
    let planned = scenario.faults.iter().filter_map(|fault| fault.name.clone());
    let chaos = scenario.chaos.iter().flat_map(|chaos| &chaos.any).filter_map(|entry| entry.name.clone());
    planned.chain(chaos).collect()
}

fn without(check: &mut Check<'_>, path: &[Step], entry: &ExpectEntry) {
    if !entry.with.is_empty() {
        let text = "`with` is for checkers";
        check.key_mistake(&join(path, ["with"]), text, "remove it");
    }
}
