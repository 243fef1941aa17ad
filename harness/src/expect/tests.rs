//! Tests of judging: metrics and counters, and what is said of expectations that cannot be judged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::history::{Entry, Phase, Record};
use crate::verdict::Class;

fn entry(ms: u64, what: Record) -> Entry {
    Entry { seq: 0, at: Duration::from_millis(ms), host: "observer".into(), what }
}

fn lag(ms: u64, value: f64) -> Entry {
    entry(ms, Record::Gauge { name: "lag".into(), value })
}

/// Lag 0, 9, 9 while something is broken; healed at 300 ms; 5 and then 0.
fn history() -> History {
    let entries = vec![
        lag(0, 0.0),
        lag(100, 9.0),
        lag(200, 9.0),
        entry(300, Record::Phase(Phase::Healed)),
        lag(400, 5.0),
        lag(500, 0.0),
        entry(600, Record::Phase(Phase::SettleEnd)),
    ];
    History::new(
        entries,
        BTreeMap::from([("duplicate-suppressed".to_owned(), 3), ("retries".to_owned(), 40)]),
    )
}

const SETTLED: Claim = Claim::Eventually { within: None };
const ONCE: Claim = Claim::Sometimes { at_least: 1 };

fn expectation(claim: Claim, subject: &str) -> Expectation {
    let subject = subject.parse().expect("a subject");
    Expectation { claim, subject, with: toml::Table::new() }
}

fn judged(claim: Claim, subject: &str) -> Judged {
    judge(&expectation(claim, subject), &history(), &Registry::standard())
}

fn verdict(claim: Claim, subject: &str) -> Verdict {
    judged(claim, subject).verdict
}

#[test]
fn always_and_never_compare_every_sample() {
    assert_eq!(verdict(Claim::Always, "lag <= 9"), Verdict::Passed);
    assert_eq!(verdict(Claim::Never, "lag > 9"), Verdict::Passed);
    for (claim, subject, summary) in [
        (Claim::Always, "lag < 9", "lag < 9 expected, it was 9"),
        (Claim::Never, "lag == 9", "never lag == 9 expected, it was 9"),
    ] {
        let failed = verdict(claim, subject);
        let violation = failed.violation().expect("a violation");
        assert_eq!((violation.at, violation.class), (Duration::from_millis(100), Class::Safety));
        assert_eq!((violation.checker.as_str(), violation.summary.as_str()), (subject, summary));
    }
}

#[test]
fn a_counter_is_one_sample_and_nothing_measured_is_unknown() {
    assert_eq!(verdict(Claim::Always, "retries <= 40"), Verdict::Passed);
    assert!(verdict(Claim::Always, "retries < 40").violation().is_some());
    let unknown = verdict(Claim::Never, "nonsense > 0");
    assert_eq!(unknown, Verdict::Inconclusive("metric nonsense was not measured".into()));
}

#[test]
fn eventually_counts_from_the_last_heal_to_the_last_breach() {
    let within = |ms| {
        let within = Some(Duration::from_millis(ms));
        verdict(Claim::Eventually { within }, "lag == 0")
    };
    assert_eq!(within(200), Verdict::Passed);
    let late = within(199);
    assert_eq!(late.violation().map(|v| (v.at.as_millis(), v.class)), Some((499, Class::Liveness)));
    let never = verdict(SETTLED, "lag == 7");
    assert_eq!(never.violation().map(|v| v.class), Some(Class::Liveness));
}

#[test]
fn sometimes_missed_is_inconclusive_and_counts_what_was_seen() {
    assert_eq!(verdict(ONCE, "duplicate-suppressed"), Verdict::Passed);
    let missed = judged(Claim::Sometimes { at_least: 4 }, "duplicate-suppressed");
    assert_eq!(missed.verdict, Verdict::Inconclusive("seen 3 times, expected at least 4".into()));
    assert_eq!(missed.count, 3);
    assert!(matches!(verdict(ONCE, "never-heard-of"), Verdict::Inconclusive(_)));
    assert_eq!(judged(ONCE, "lag > 0").count, 3);
}

#[test]
fn a_checker_judges_and_a_mishap_is_the_promise_that_it_does_not_happen() {
    let registry = Registry::standard();
    let checker = |claim, name: &str| {
        let found = checker::find(claim, name, &toml::Table::new(), &registry);
        found.map(|checker| checker.name().to_owned())
    };
    assert_eq!(checker(Claim::Always, "no-phantom").as_deref(), Ok("no-phantom"));
    assert_eq!(checker(Claim::Never, "phantom").as_deref(), Ok("no-phantom"));
    assert_eq!(checker(Claim::Never, "acked-loss").as_deref(), Ok("no-acked-loss"));
    assert_eq!(checker(SETTLED, "drained").as_deref(), Ok("drained"));
    // Nothing was accepted in this history.
    assert!(matches!(verdict(Claim::Always, "recovered"), Verdict::Inconclusive(_)));
}

#[test]
fn what_cannot_be_judged_is_inconclusive_and_says_what_was_expected() {
    let with = |claim, subject| {
        let mut with = expectation(claim, subject);
        with.with.insert("effekt".into(), "card.charged".into());
        with
    };
    let mistakes = [
        (expectation(Claim::Always, "idempotant"), "dlq-complete, drained, idempotent"),
        (expectation(Claim::Never, "no-phantom"), "acked-loss, phantom"),
        (expectation(Claim::Sometimes { at_least: 0 }, "retry"), "at-least of 1 or more"),
        (with(Claim::Always, "idempotent"), "idempotent takes effect, key, found with.effekt"),
        (with(Claim::Always, "lag < 3"), "with belongs to a checker, found it under always = \"lag < 3\""),
        (with(ONCE, "retry"), "with belongs to a checker"),
    ];
    for (expectation, expected) in mistakes {
        let judged = judge(&expectation, &history(), &Registry::standard());
        let Verdict::Inconclusive(said) = judged.verdict else { panic!("{judged:?}") };
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_parameter_of_the_wrong_type_is_not_a_pass() {
    let mut wrong = expectation(Claim::Always, "idempotent");
    wrong.with.insert("effect".into(), 3.into());
    let expected = "expected a text for with.effect, found 3";
    let judged = judge(&wrong, &history(), &Registry::standard());
    assert_eq!(judged.verdict, Verdict::Inconclusive(expected.into()));
}
