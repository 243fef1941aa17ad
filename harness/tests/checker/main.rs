//! The checkers, judged: on correct histories drawn from a small model, on the same with one bug planted, and
//! on histories written by hand.

mod by_hand;
mod model;
mod mutation;
mod script;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use squall::checker::{Judgement, Params, Registry};
use squall::history::History;

/// Longer than any history of the model takes to settle.
pub const WITHIN: Duration = Duration::from_secs(60);

/// What every checker is told: limits that no history of the model comes near.
fn params() -> Params {
    Params::new().with("most", 1000).with("window", "1s").bounded(Some(WITHIN))
}

/// The names of the checkers that find `history` in violation.
pub fn violated(history: &History) -> BTreeSet<String> {
    let params = params();
    let registry = Registry::standard();
    let violates = |judgement| matches!(judgement, Judgement::Violated(_));
    let found = registry.iter().filter(|checker| violates(checker.judge(history, &params)));
    found.map(|checker| checker.name().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_checker_holds_on_a_correct_history(entries in model::correct()) {
        let history = script::history(entries);
        let params = params();
        for checker in Registry::standard().iter() {
            let judgement = checker.judge(&history, &params);
            prop_assert!(matches!(judgement, Judgement::Holds(_)), "{}: {judgement:?}", checker.name());
        }
    }

    #[test]
    fn no_checker_finds_fault_with_the_beginning_of_a_correct_history(
        entries in model::correct(),
        cut in any::<prop::sample::Index>(),
    ) {
        let length = cut.index(entries.len());
        let beginning = entries.into_iter().take(length).collect();
        prop_assert_eq!(violated(&script::history(beginning)), BTreeSet::new());
    }

    #[test]
    fn a_planted_bug_is_found_by_exactly_its_checkers(
        entries in model::correct(),
        mutation in mutation::any_mutation(),
        pick in any::<prop::sample::Index>(),
    ) {
        let mutated = mutation.apply(entries, pick);
        prop_assume!(mutated.is_some());
        let history = script::history(mutated.unwrap_or_default());
        let expected: BTreeSet<String> = mutation.killers().iter().map(ToString::to_string).collect();
        prop_assert_eq!(violated(&history), expected, "{:?}", mutation);
    }
}

#[test]
fn every_mutation_can_be_planted() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    // Guards the property above against a mutation that never finds a place and so never counts.
    let mut runner = TestRunner::deterministic();
    for mutation in mutation::ALL {
        let planted = (0..64).filter(|_| {
            let entries = model::correct().new_tree(&mut runner).expect("a history").current();
            let pick = any::<prop::sample::Index>().new_tree(&mut runner).expect("a pick").current();
            mutation.apply(entries, pick).is_some()
        });
        assert!(planted.count() >= 8, "{mutation:?}");
    }
}
