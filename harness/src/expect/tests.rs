//! Tests of expectations: understanding their texts, and judging metrics and counters.

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

fn expectation(modality: Modality, subject: &str) -> Expectation {
    Expectation::new(modality, subject)
}

fn verdict(expectation: &Expectation) -> Verdict {
    expectation.judge(&history(), &Registry::standard()).verdict
}

#[test]
fn always_and_never_compare_every_sample() {
    let (always, never) = (Modality::Always, Modality::Never);
    assert_eq!(verdict(&expectation(always, "metric lag <= 9")), Verdict::Passed);
    assert_eq!(verdict(&expectation(never, "metric lag > 9")), Verdict::Passed);
    for (modality, subject) in [(always, "metric lag < 9"), (never, "metric lag == 9")] {
        let failed = verdict(&expectation(modality, subject));
        let violation = failed.violation().expect("a violation");
        assert_eq!((violation.at, violation.class), (Duration::from_millis(100), Class::Safety));
    }
}

#[test]
fn a_counter_is_one_sample_and_nothing_measured_is_unknown() {
    assert_eq!(verdict(&expectation(Modality::Always, "metric retries <= 40")), Verdict::Passed);
    assert!(verdict(&expectation(Modality::Always, "metric retries < 40")).violation().is_some());
    let unknown = verdict(&expectation(Modality::Never, "metric nonsense > 0"));
    assert_eq!(unknown, Verdict::Inconclusive("metric nonsense was not measured".into()));
}

#[test]
fn eventually_counts_from_the_last_heal_to_the_last_breach() {
    let within = |ms| {
        let within = Some(Duration::from_millis(ms));
        verdict(&Expectation { within, ..expectation(Modality::Eventually, "metric lag == 0") })
    };
    assert_eq!(within(200), Verdict::Passed);
    let late = within(199);
    assert_eq!(late.violation().map(|v| (v.at.as_millis(), v.class)), Some((499, Class::Liveness)));
    let never = verdict(&expectation(Modality::Eventually, "metric lag == 7"));
    assert_eq!(never.violation().map(|v| v.class), Some(Class::Liveness));
}

#[test]
fn sometimes_missed_is_inconclusive_and_counts_what_was_seen() {
    let sometimes = |subject: &str, at_least| {
        let expectation = Expectation { at_least, ..expectation(Modality::Sometimes, subject) };
        expectation.judge(&history(), &Registry::standard())
    };
    assert_eq!(sometimes("duplicate-suppressed", None).verdict, Verdict::Passed);
    let missed = sometimes("duplicate-suppressed", Some(4));
    assert!(matches!(missed.verdict, Verdict::Inconclusive(_)));
    assert_eq!((missed.count, missed.at_least), (3, 4));
    assert!(matches!(sometimes("never-heard-of", None).verdict, Verdict::Inconclusive(_)));
    assert_eq!(sometimes("metric lag > 0", None).count, 3);
}

#[test]
fn a_checker_judges_and_a_mishap_is_the_promise_that_it_does_not_happen() {
    let registry = Registry::standard();
    let checker = |modality, subject: &str| match Subject::of(&expectation(modality, subject), &registry) {
        Ok(Subject::Checker(checker)) => checker.name().to_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(checker(Modality::Always, "no-phantom"), "no-phantom");
    assert_eq!(checker(Modality::Never, "phantom"), "no-phantom");
    assert_eq!(checker(Modality::Never, "acked-loss"), "no-acked-loss");
    assert_eq!(checker(Modality::Eventually, "drained"), "drained");
    // Nothing was accepted in this history.
    assert!(matches!(verdict(&expectation(Modality::Always, "recovered")), Verdict::Inconclusive(_)));
}

#[test]
fn mistakes_say_what_was_expected() {
    let registry = Registry::standard();
    let plain = |modality, subject: &str| expectation(modality, subject);
    let mut bounded = plain(Modality::Always, "idempotent");
    bounded.within = Some(Duration::from_secs(1));
    let mut counted = plain(Modality::Sometimes, "retry");
    counted.at_least = Some(0);
    let mut parameter = plain(Modality::Always, "idempotent");
    parameter.with.insert("effekt".into(), "card.charged".into());
    let mistakes = [
        (plain(Modality::Always, "idempotant"), "dlq-complete, drained, idempotent"),
        (plain(Modality::Never, "no-phantom"), "acked-loss, phantom"),
        (plain(Modality::Always, "metric lag"), "metric <name> <op> <number>"),
        (plain(Modality::Always, "metric lag <= many"), "metric <name> <op> <number>"),
        (plain(Modality::Always, "metric lag <= NaN"), "metric <name> <op> <number>"),
        (plain(Modality::Sometimes, " "), "name of a counter"),
        (bounded, "within belongs to eventually"),
        (counted, "at-least of 1 or more"),
        (parameter, "idempotent takes effect, key, found with.effekt"),
    ];
    for (expectation, expected) in mistakes {
        let error = expectation.validate(&registry).expect_err(&expectation.subject).to_string();
        assert!(error.contains(expected), "{error}");
        let verdict = expectation.judge(&history(), &registry).verdict;
        assert_eq!(verdict, Verdict::Inconclusive(error));
    }
}

#[test]
fn a_parameter_of_the_wrong_type_is_not_a_pass() {
    let mut wrong = expectation(Modality::Always, "idempotent");
    wrong.with.insert("effect".into(), 3.into());
    let expected = "expected a text for with.effect, found 3";
    assert_eq!(verdict(&wrong), Verdict::Inconclusive(expected.into()));
}

#[test]
fn an_expectation_survives_toml() {
    let text = "\
modality = \"eventually\"
subject = \"drained\"
within = \"30s\"
line = 7

[with]
key = \"order_id\"
";
    let read: Expectation = toml::from_str(text).expect("an expectation");
    assert_eq!(read.within, Some(Duration::from_secs(30)));
    assert_eq!(toml::to_string(&read).expect("TOML"), text);
    assert!(
        toml::from_str::<Expectation>("modality = \"always\"\nsubject = \"x\"\nwithin = \"30\"").is_err()
    );
}
