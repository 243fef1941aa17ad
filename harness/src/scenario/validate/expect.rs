//! Rules for expectations: one claim each, about something known, within the time there is.

use std::collections::BTreeSet;

use squall_mocks::rule::duration_text;

use super::{Check, join};
use crate::fault::{Fault, KafkaFault, RedisFault};
use crate::scenario::document::{Node, Step};
use crate::scenario::schema::{
    Claim, ExpectEntry, Expectation, InvalidExpectation, Metric, Scenario, Subject, mishap,
};

pub(super) fn check(check: &mut Check<'_>) {
    let path = join(&[], ["expect"]);
    let rows = check.rows(&path, &check.scenario.expectations);
    if rows.is_empty() && check.is_sound(&path) {
        let text = "the scenario expects nothing, so it cannot fail";
        check.mistake(&path, text, "[[expect]]\nalways = \"idempotent\"");
    } else if check.is_sound(&path) && !rows.iter().any(|(_, entry)| entry.sometimes.is_some()) {
        let text = "no `sometimes`: a run in which nothing happens would pass";
        let first = join(&path, [0]);
        check.warning(&first, text, "[[expect]]\nsometimes = \"duplicate-suppressed\"\nat-least = 1");
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
        Subject::Named(name) if matches!(expectation.claim, Claim::Sometimes { .. }) => {
            counted(check, &value, name);
            without(check, path, entry);
        }
        Subject::Named(name) => judged(check, path, &value, name, &expectation),
        Subject::Metric(Metric { name, .. }) => {
            let metrics = &check.vocabulary.metrics;
            if !metrics.contains(name) {
                check.unknown(&value, "metric", name, metrics.iter().map(String::as_str));
            }
            without(check, path, entry);
        }
    }
    match expectation.claim {
        Claim::Eventually { within: Some(within) } => {
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

/// What is counted: a point, or a fault of the scenario. `name` counts how often the fault began, `name.hit` what
/// its rule did.
fn counted(check: &mut Check<'_>, value: &[Step], name: &str) {
    let vocabulary = check.vocabulary;
    let faults = fault_names(check.scenario);
    if vocabulary.points.contains(name) || vocabulary.metrics.contains(name) || faults.contains(name) {
        return;
    }
    if vocabulary.checkers.contains_key(name) {
        let text = format!("`{name}` judges the whole run, and cannot be counted");
        return check.mistake(value, text, format!("always = \"{name}\""));
    }
    let known: BTreeSet<&String> =
        vocabulary.points.iter().chain(&vocabulary.metrics).chain(&faults).collect();
    let known = known.into_iter().map(String::as_str);
    check.unknown(value, "point or fault", name, known);
}

/// A checker, with the keys it needs.
fn judged(check: &mut Check<'_>, path: &[Step], value: &[Step], name: &str, expectation: &Expectation) {
    let checkers = &check.vocabulary.checkers;
    let Some(keys) = checkers.get(&*expectation.claim.checker(name)) else {
        let names = checkers.keys().map(String::as_str);
        if expectation.claim != Claim::Never {
            return check.unknown(value, "checker", name, names);
        }
        if checkers.contains_key(name) {
            let text = format!("`{name}` is a promise: to keep it at no moment is no expectation");
            return check.mistake(value, text, format!("always = \"{name}\""));
        }
        return check.unknown(value, "mishap", name, names.filter_map(mishap));
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

/// Names under which faults are counted.
fn fault_names(scenario: &Scenario) -> BTreeSet<String> {
    let planned = scenario.faults.iter().filter_map(|fault| Some((fault.name.clone()?, fault.fault()?)));
    let chaos = scenario.chaos.iter().flat_map(|chaos| &chaos.any);
    let drawn = chaos.filter_map(|entry| Some((entry.name.clone()?, entry.fault()?)));
    let named = planned.chain(drawn);
    let counted = |(name, fault): (String, Fault)| {
        let is_rule = matches!(
            fault,
            Fault::Kafka(KafkaFault::Rule(_)) | Fault::Redis(RedisFault::Rule(_)) | Fault::Http(_)
        );
        let hit = is_rule.then(|| format!("{name}.hit"));
        hit.into_iter().chain([name])
    };
    named.flat_map(counted).collect()
}

fn without(check: &mut Check<'_>, path: &[Step], entry: &ExpectEntry) {
    if !entry.with.is_empty() {
        let text = "`with` is for checkers";
        check.key_mistake(&join(path, ["with"]), text, "remove it");
    }
}
