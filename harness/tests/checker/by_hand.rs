//! Histories written by hand: what each checker says, when it does not know, and what a violation shows.

use std::time::Duration;

use squall::checker::{Judgement, Params, Registry};
use squall::history::{Digest, Edge, Effect, Entry, Record};
use squall::verdict::{Class, Violation};

use super::script::{
    change, charge, commit, dead, ending, entries, fail, history, info, invoke, invoke_poison, lag, observe,
    ok,
};

fn judge_with(checker: &str, params: &Params, records: Vec<Record>) -> Judgement {
    judge_entries(checker, params, entries(records))
}

fn judge_entries(checker: &str, params: &Params, entries: Vec<Entry>) -> Judgement {
    let registry = Registry::standard();
    registry.get(checker).expect("a standard checker").judge(&history(entries), params)
}

fn judge(checker: &str, records: &[&[Record]]) -> Judgement {
    judge_with(checker, &Params::new(), records.concat())
}

fn violation(judgement: Judgement) -> Violation {
    match judgement {
        Judgement::Violated(violation) => violation,
        other => panic!("expected a violation, found {other:?}"),
    }
}

fn unknown(judgement: Judgement) -> String {
    match judgement {
        Judgement::Unknown(reason) => reason,
        other => panic!("expected unknown, found {other:?}"),
    }
}

fn refund(n: usize) -> Record {
    let name = "card.refunded".into();
    let (business_key, token) = (format!("o-{n}").into(), "".into());
    let (resource, section) = ("".into(), "".into());
    Record::Effect(Effect { name, business_key, token, resource, section, committed: true })
}

const LAST: u64 = 9;

/// Order 1 is produced and processed, without a flaw.
fn one() -> [Record; 5] {
    [invoke(1, 1, 7, 0), ok(1), charge(1, true), commit(1), observe(1)]
}

#[test]
fn a_violation_shows_the_records_about_its_key_and_the_faults_among_them() {
    let fault = |edge| Record::Fault { name: "crash\u{1b}[31m".into(), edge };
    let records = [
        invoke(1, 1, 7, 0),
        invoke(2, 2, 7, 1),
        ok(1),
        charge(1, true),
        fault(Edge::Begin),
        charge(2, true),
        charge(1, true),
        fault(Edge::End),
    ];
    let violation = violation(judge("idempotent", &[&records, &ending()]));
    assert_eq!(violation.class, Class::Safety);
    assert_eq!(violation.at, Duration::from_millis(70));
    assert_eq!(violation.summary, "card.charged was committed 2 times for order o-1, at 0.040s and 0.070s");
    let expected = [
        "   0.010s observer invoke #1 event e-1 order o-1 key c-7/0",
        "   0.030s observer ok #1 at 0/1",
        "   0.040s observer card.charged committed for o-1 token t-1 on o-1 in s-1",
        "   0.050s observer fault crash\\u{1b}[31m begins",
        "   0.070s observer card.charged committed for o-1 token t-1 on o-1 in s-1",
    ];
    assert_eq!(violation.evidence, expected);
}

#[test]
fn evidence_is_bounded_and_keeps_what_matters() {
    let mut records = one().to_vec();
    records.extend((0..100).map(|_| charge(1, false)));
    records.push(charge(1, true));
    let violation = violation(judge("idempotent", &[&records]));
    assert_eq!(violation.evidence.len(), 11);
    assert!(violation.evidence[9].contains("card.charged committed for o-1"), "{:?}", violation.evidence);
    assert_eq!(violation.evidence[10], "(96 more records about this are in the history)");
}

#[test]
fn idempotent_judges_only_the_effect_it_is_asked_about() {
    let records = [&one()[..], &[refund(1), refund(1)], &ending()].concat();
    let with = |effect: &str| Params::new().with("effect", effect).with("key", "order_id");
    assert!(matches!(judge_with("idempotent", &with("card.charged"), records.clone()), Judgement::Holds(_)));
    let twice = violation(judge_with("idempotent", &with("card.refunded"), records.clone()));
    assert_eq!(twice.summary, "card.refunded was committed 2 times for order_id o-1, at 0.060s and 0.070s");
    let missing = violation(judge_with("idempotent", &with("mail.sent"), records));
    assert_eq!(missing.class, Class::Liveness);
    assert_eq!(missing.summary, "mail.sent was not committed for order_id o-1");
}

#[test]
fn idempotent_demands_no_effect_of_what_was_refused_unknown_or_dead_lettered() {
    let others = [invoke(2, 2, 7, 1), fail(2), invoke(3, 3, 7, 2), info(3), invoke_poison(4, 4, 7, 3), ok(4)];
    let judgement = judge("idempotent", &[&one(), &others, &[dead(4, 4, 7)], &ending()]);
    assert_eq!(judgement, Judgement::Holds("1 key took effect once, in 1 attempt".into()));
}

#[test]
fn idempotent_does_not_know_without_effects_or_before_the_end() {
    assert_eq!(
        unknown(judge("idempotent", &[&[invoke(1, 1, 7, 0), ok(1)], &ending()])),
        "no request for an effect reached the sink"
    );
    assert!(unknown(judge("idempotent", &[&one()])).contains("did not reach the end"));
}

#[test]
fn an_attempt_under_a_known_token_is_no_second_effect() {
    let again = [charge(1, false), charge(1, false)];
    assert!(matches!(judge("idempotent", &[&one(), &again, &ending()]), Judgement::Holds(_)));
}

#[test]
fn an_acknowledged_event_nothing_came_of_is_lost() {
    let lost = [invoke(2, 2, 7, 1), ok(2), charge(2, false)];
    let violation = violation(judge("no-acked-loss", &[&one(), &lost, &ending()]));
    assert_eq!(violation.class, Class::Safety);
    assert_eq!(violation.summary, "event e-2 (order o-2) was acknowledged at 0.070s and came to nothing");
    let unacknowledged = [invoke(2, 2, 7, 1), info(2), invoke(3, 3, 7, 2)];
    assert!(matches!(judge("no-acked-loss", &[&one(), &unacknowledged, &ending()]), Judgement::Holds(_)));
}

#[test]
fn loss_is_unknown_when_nothing_was_acknowledged_or_nobody_watched() {
    let acknowledged = [invoke(1, 1, 7, 0), ok(1)];
    assert!(
        unknown(judge("no-acked-loss", &[&[invoke(1, 1, 7, 0), info(1)], &ending()])).contains("no event")
    );
    assert!(unknown(judge("no-acked-loss", &[&acknowledged, &ending()])).contains("neither an effect"));
    assert!(unknown(judge("no-acked-loss", &[&one()])).contains("did not reach the end"));
}

#[test]
fn a_result_before_its_commit_is_a_phantom() {
    let early = [invoke(2, 2, 7, 1), ok(2), observe(2), commit(2)];
    let violation = violation(judge("no-phantom", &[&one(), &early, &ending()]));
    assert_eq!(violation.summary, "result r-2 was visible before it was committed");
    assert_eq!(violation.at, Duration::from_millis(80));
    assert!(violation.evidence.iter().any(|line| line.contains("commit r-2 from e-2")));
}

#[test]
fn an_event_with_two_results_is_a_violation_and_one_with_one_is_not() {
    assert!(matches!(judge("one-result", &[&one(), &ending()]), Judgement::Holds(_)));
    let violation = violation(judge("one-result", &[&one(), &[observe(1)], &ending()]));
    assert_eq!(violation.class, Class::Safety);
    assert!(violation.summary.contains("has another result"), "{}", violation.summary);
    assert!(unknown(judge("one-result", &[&one()[..4], &ending()])).contains("no result"));
}

#[test]
fn a_charge_before_its_order_was_placed_is_a_phantom() {
    let violation = violation(judge("no-phantom", &[&[charge(1, true)], &one()]));
    assert_eq!(violation.summary, "card.charged was committed for o-1, which nobody had attempted");
}

#[test]
fn a_refused_event_is_visible_only_if_another_operation_may_have_produced_it() {
    let refused = [invoke(1, 1, 7, 0), fail(1)];
    let again = [invoke(2, 1, 7, 0), info(2)];
    let visible = [charge(1, true), commit(1), observe(1)];
    let violation = violation(judge("no-phantom", &[&refused, &visible, &ending()]));
    assert_eq!(
        violation.summary,
        "card.charged was committed for o-1, whose every operation failed (and 1 more)"
    );
    assert!(matches!(judge("no-phantom", &[&refused, &again, &visible, &ending()]), Judgement::Holds(_)));
}

#[test]
fn what_an_operation_is_told_after_its_end_does_not_count() {
    let contradicted = [invoke(1, 1, 7, 0), ok(1), fail(1), charge(1, true), commit(1), observe(1)];
    assert!(matches!(judge("no-phantom", &[&contradicted, &ending()]), Judgement::Holds(_)));
}

#[test]
fn results_without_any_commit_are_not_judged() {
    let uncommitted = [invoke(1, 1, 7, 0), ok(1), charge(1, true), observe(1)];
    assert!(unknown(judge("no-phantom", &[&uncommitted, &ending()])).contains("no commit"));
}

#[test]
fn an_order_that_overtakes_another_of_its_customer_breaks_the_order() {
    let placed = [invoke(1, 1, 7, 0), ok(1), invoke(2, 2, 7, 1), ok(2)];
    let violation = violation(judge("key-order", &[&placed, &[charge(2, true), charge(1, true)], &ending()]));
    assert_eq!(
        violation.summary,
        "order o-2 took effect before order o-1, which precedes it under key c-7 (numbers 1 and 0)"
    );
    assert_eq!(violation.evidence.len(), 6);
    let in_order = judge("key-order", &[&placed, &[charge(1, true), charge(2, true)], &ending()]);
    assert_eq!(in_order, Judgement::Holds("1 successive effect over 1 key".into()));
}

#[test]
fn every_order_overtaken_by_the_same_one_is_counted() {
    let placed = |n: usize| [invoke(n as u64, n, 7, n as u64), ok(n as u64)];
    let charged = [charge(3, true), charge(1, true), charge(2, true)];
    let found = violation(judge("key-order", &[&placed(1), &placed(2), &placed(3), &charged, &ending()]));
    assert!(found.summary.starts_with("order o-3 took effect before order o-1"), "{}", found.summary);
    assert!(found.summary.ends_with("(and 1 more)"), "{}", found.summary);
}

#[test]
fn the_first_acknowledgement_of_a_repeated_event_decides_its_place() {
    let placed = [invoke(1, 1, 7, 0), ok(1), invoke(2, 2, 7, 1), ok(2), invoke(3, 1, 7, 0), ok(3)];
    violation(judge("key-order", &[&placed, &[charge(2, true), charge(1, true)], &ending()]));
}

#[test]
fn orders_on_their_way_at_the_same_time_or_refused_or_of_other_customers_have_no_order() {
    let charged = [charge(2, true), charge(1, true)];
    let together = [invoke(1, 1, 7, 0), invoke(2, 2, 7, 1), ok(1), ok(2)];
    assert!(matches!(judge("key-order", &[&together, &charged, &ending()]), Judgement::Holds(_)));
    let refused = [invoke(1, 1, 7, 0), ok(1), invoke(2, 2, 7, 1), fail(2)];
    assert!(unknown(judge("key-order", &[&refused, &charged, &ending()])).contains("no two events"));
    let others = [invoke(1, 1, 7, 0), ok(1), invoke(2, 2, 8, 0), ok(2)];
    assert!(unknown(judge("key-order", &[&others, &charged, &ending()])).contains("no two events"));
}

#[test]
fn a_dead_letter_without_an_id_is_known_by_its_place_or_its_value() {
    let anonymous = |offset, value| {
        let Record::DeadLetter(mut letter) = dead(2, 2, 7) else { panic!("a dead letter") };
        letter.event = None;
        letter.offset = offset;
        letter.value = value;
        Record::DeadLetter(letter)
    };
    let poison = [invoke_poison(2, 2, 7, 1), ok(2)];
    let value = super::script::value(2);
    let judge = |letter| judge("dlq-complete", &[&one(), &poison, &[letter], &ending()]);
    let complete = Judgement::Holds("1 processed, 1 dead-lettered".into());
    assert_eq!(judge(anonymous(2, value)), complete);
    assert_eq!(judge(anonymous(99, value)), complete);
    let changed = violation(judge(anonymous(2, super::script::value(3))));
    assert!(changed.summary.contains("was produced with value"), "{}", changed.summary);
    let invented = violation(judge(anonymous(99, super::script::value(3))));
    assert!(
        invented.summary.ends_with("is of an event nobody produced (and 1 more)"),
        "{}",
        invented.summary
    );
}

#[test]
fn a_dead_letter_may_be_of_any_copy_the_workload_produced() {
    let copy = |op, text: &str| {
        let Record::Invoke(mut operation) = invoke_poison(op, 2, 7, 1) else { panic!("an operation") };
        operation.value = Digest::of(text.as_bytes());
        Record::Invoke(operation)
    };
    let letter = |text: &str| {
        let Record::DeadLetter(mut letter) = dead(2, 2, 7) else { panic!("a dead letter") };
        letter.value = Digest::of(text.as_bytes());
        Record::DeadLetter(letter)
    };
    let copies = [copy(2, "first"), ok(2), copy(3, "second"), ok(3)];
    let judge = |text| judge("dlq-complete", &[&one(), &copies, &[letter(text)], &ending()]);
    assert!(matches!(judge("first"), Judgement::Holds(_)));
    assert!(matches!(judge("second"), Judgement::Holds(_)));
    violation(judge("third"));
}

#[test]
fn dead_letters_from_other_topics_are_not_judged() {
    let Record::DeadLetter(mut letter) = dead(900, 900, 0) else { panic!("a dead letter") };
    violation(judge("dlq-complete", &[&one(), &[Record::DeadLetter(letter.clone())], &ending()]));
    letter.topic = "payments".into();
    let other = judge("dlq-complete", &[&one(), &[Record::DeadLetter(letter)], &ending()]);
    assert_eq!(other, Judgement::Holds("1 processed, 0 dead-lettered".into()));
}

#[test]
fn a_result_is_followed_back_through_the_events_between() {
    let between = Record::Commit { event: "r-2".into(), cause: "r-1".into() };
    // Its own business key is no order, so only the chain tells what it stems from.
    let Record::Observe(mut result) = observe(2) else { panic!("a result") };
    result.business_key = "parcel-2".into();
    let records = [invoke(1, 1, 7, 0), ok(1), commit(1), between, Record::Observe(result)];
    let complete = judge("dlq-complete", &[&records, &ending()]);
    assert_eq!(complete, Judgement::Holds("1 processed, 0 dead-lettered".into()));
}

#[test]
fn poison_neither_processed_nor_dead_lettered_is_missing() {
    let violation =
        violation(judge("dlq-complete", &[&one(), &[invoke_poison(2, 2, 7, 1), ok(2)], &ending()]));
    assert_eq!(violation.class, Class::Liveness);
    assert_eq!(
        violation.summary,
        "event e-2 (order o-2), which is poison, was neither processed nor dead-lettered"
    );
    assert!(unknown(judge("dlq-complete", &[&one()])).contains("did not reach the end"));
}

/// A run whose load ends at 1 s and heals at 2 s, with `late` behind it, until 20 s.
fn healed(late: Vec<(u64, Record)>) -> Vec<Entry> {
    let [load_end, heal, settle_end] = ending();
    let timed = [(1000, load_end), (2000, heal)].into_iter().chain(late).chain([(20_000, settle_end)]);
    let entry = |(ms, what)| Entry { seq: 0, at: Duration::from_millis(ms), host: "observer".into(), what };
    let mut all = entries([one().to_vec(), vec![invoke(LAST, 9, 7, 1), ok(LAST)]].concat());
    all.extend(timed.map(entry));
    all
}

fn within(seconds: u64) -> Params {
    Params::new().bounded(Some(Duration::from_secs(seconds)))
}

#[test]
fn recovery_is_counted_from_the_last_heal() {
    let charged = || healed(vec![(7000, charge(9, true))]);
    let holds = judge_entries("recovered", &within(5), charged());
    assert_eq!(holds, Judgement::Holds("2 resolved, the last 5.000s after the last heal".into()));
    let late = violation(judge_entries("recovered", &within(4), charged()));
    assert_eq!((late.class, late.at), (Class::Liveness, Duration::from_secs(6)));
    let expected = "event e-9 (order o-9) was resolved 5.000s after the last heal, expected within 4.000s";
    assert_eq!(late.summary, expected);
    assert!(matches!(judge_entries("recovered", &Params::new(), charged()), Judgement::Holds(_)));
}

#[test]
fn a_fault_that_ends_later_than_the_healing_postpones_the_bound() {
    let end = Record::Fault { name: "partition".into(), edge: Edge::End };
    let late = healed(vec![(6000, end), (7000, charge(9, true))]);
    assert!(matches!(judge_entries("recovered", &within(1), late), Judgement::Holds(_)));
}

#[test]
fn an_event_processed_before_its_late_acknowledgement_is_resolved_with_it() {
    let late = healed(vec![
        (3000, invoke(10, 10, 8, 0)),
        (3000, charge(10, true)),
        (9000, ok(10)),
        (9000, charge(9, true)),
    ]);
    assert!(matches!(judge_entries("recovered", &within(7), late.clone()), Judgement::Holds(_)));
    let late = violation(judge_entries("recovered", &within(6), late));
    assert!(late.summary.ends_with("(and 1 more)"), "{}", late.summary);
}

#[test]
fn a_load_that_outlasts_the_healing_postpones_the_bound() {
    let end = ending()[0].clone();
    let late = healed(vec![(6000, end), (7000, charge(9, true))]);
    assert!(matches!(judge_entries("recovered", &within(1), late), Judgement::Holds(_)));
}

#[test]
fn what_never_recovers_is_a_violation_even_without_a_bound() {
    let never = violation(judge_entries("recovered", &Params::new(), healed(vec![])));
    assert_eq!(never.summary, "event e-9 (order o-9) was not resolved 18.000s after the last heal");
    assert_eq!(never.at, Duration::from_secs(20));
}

#[test]
fn recovery_is_unknown_before_the_end_unless_the_bound_has_passed() {
    let mut cut = healed(vec![(9000, lag(1.0))]);
    cut.pop();
    assert!(unknown(judge_entries("recovered", &within(30), cut.clone())).contains("did not reach"));
    assert!(unknown(judge_entries("recovered", &Params::new(), cut.clone())).contains("did not reach"));
    assert_eq!(violation(judge_entries("recovered", &within(3), cut)).at, Duration::from_secs(5));
}

#[test]
fn a_lag_that_touches_zero_and_rises_again_is_drained_only_later() {
    let touched = || {
        let samples =
            [(2500, 0.0), (3000, 4.0), (8000, 0.0), (9000, 0.0)].map(|(ms, value)| (ms, lag(value)));
        healed([(2100, charge(9, true))].into_iter().chain(samples).collect())
    };
    assert!(matches!(judge_entries("recovered", &within(1), touched()), Judgement::Holds(_)));
    assert!(matches!(judge_entries("drained", &within(6), touched()), Judgement::Holds(_)));
    let late = violation(judge_entries("drained", &within(5), touched()));
    let expected = "gauge lag.billing was back at zero 6.000s after the last heal, expected within 5.000s";
    assert_eq!(late.summary, expected);
    let samples = [("2.500", 0), ("3.000", 4), ("8.000", 0), ("9.000", 0)]
        .map(|(at, lag)| format!("   {at}s observer gauge lag.billing = {lag}"));
    assert_eq!(late.evidence, samples);
}

#[test]
fn sections_that_follow_each_other_do_not_exclude_each_other() {
    // The third section repeats what the first had begun.
    let sections =
        [change(1, "a", 1), change(2, "a", 2), change(3, "b", 1), change(4, "a", 2), change(5, "a", 3)];
    let judgement = judge("mutual-exclusion", &[&sections]);
    assert_eq!(judgement, Judgement::Holds("4 sections on 2 resources did not interleave".into()));
    assert!(unknown(judge("mutual-exclusion", &[&ending()])).contains("no effect was committed"));
}

#[test]
fn a_section_that_goes_on_after_another_has_begun_breaks_mutual_exclusion() {
    let sections = [change(1, "a", 1), change(2, "a", 2), change(3, "b", 3), change(4, "a", 1)];
    let violation = violation(judge("mutual-exclusion", &[&sections, &ending()]));
    assert_eq!((violation.class, violation.at), (Class::Safety, Duration::from_millis(40)));
    assert!(violation.summary.ends_with("at 0.010s, 0.020s and 0.040s"), "{}", violation.summary);
    assert_eq!(violation.evidence.len(), 3, "{:?}", violation.evidence);
}

#[test]
fn a_resource_may_be_served_so_often_in_a_window_and_not_once_more() {
    let limit = |most: u64| Params::new().with("most", most).with("window", "30ms");
    // 10 ms apart, so three in any 30 ms; the other resource is not counted with them.
    let served: Vec<Record> = (0..5).map(|n| change(n, "a", n)).chain([change(9, "b", 9)]).collect();
    let holds = judge_with("rate-limited", &limit(3), served.clone());
    assert_eq!(holds, Judgement::Holds("at most 3 in 30ms, on 2 resources".into()));
    let violation = violation(judge_with("rate-limited", &limit(2), served.clone()));
    assert_eq!((violation.class, violation.at), (Class::Safety, Duration::from_millis(30)));
    assert_eq!(violation.summary, "a was served 3 times in 30ms from 0.010s on, 2 are allowed (and 2 more)");
    let other = limit(2).with("effect", "mail.sent");
    assert!(unknown(judge_with("rate-limited", &other, served.clone())).contains("no effect on a resource"));
    assert!(unknown(judge_with("rate-limited", &Params::new(), served.clone())).contains("with.most"));
    let wrong = Params::new().with("most", 1).with("window", "soon");
    assert!(unknown(judge_with("rate-limited", &wrong, served)).contains("found \"soon\""));
}
