//! Bugs planted in correct histories, each with the checkers that must find it, and no others.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use squall::history::{DeadLetter, Digest, Entry, Operation, Phase, Record, Text};

use super::{WITHIN, script};

/// One bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    SecondCommit,
    NothingComesOfIt,
    ResultLost,
    EffectLost,
    Overtaken,
    EffectOfNobody,
    ResultNeverCommitted,
    ResultBeforeCommit,
    RefusedYetCharged,
    RefusedYetDeadLettered,
    DeadLetterInvented,
    DeadLetterOfAnotherPlace,
    DeadLetterLosesItsKey,
    DeadLetterChangesItsValue,
    DeadLetterLost,
    BothProcessedAndDeadLettered,
    PoisonProcessed,
    TooLate,
    LagLeft,
}

pub const ALL: [Mutation; 19] = [
    Mutation::SecondCommit,
    Mutation::NothingComesOfIt,
    Mutation::ResultLost,
    Mutation::EffectLost,
    Mutation::Overtaken,
    Mutation::EffectOfNobody,
    Mutation::ResultNeverCommitted,
    Mutation::ResultBeforeCommit,
    Mutation::RefusedYetCharged,
    Mutation::RefusedYetDeadLettered,
    Mutation::DeadLetterInvented,
    Mutation::DeadLetterOfAnotherPlace,
    Mutation::DeadLetterLosesItsKey,
    Mutation::DeadLetterChangesItsValue,
    Mutation::DeadLetterLost,
    Mutation::BothProcessedAndDeadLettered,
    Mutation::PoisonProcessed,
    Mutation::TooLate,
    Mutation::LagLeft,
];

pub fn any_mutation() -> impl Strategy<Value = Mutation> {
    prop::sample::select(ALL.as_slice())
}

impl Mutation {
    /// The checkers that must find it.
    pub fn killers(self) -> &'static [&'static str] {
        match self {
            Self::SecondCommit | Self::EffectLost => &["idempotent"],
            Self::NothingComesOfIt | Self::DeadLetterLost => {
                &["dlq-complete", "drained", "idempotent", "no-acked-loss", "recovered"]
            }
            Self::Overtaken => &["key-order"],
            Self::EffectOfNobody
            | Self::ResultNeverCommitted
            | Self::ResultBeforeCommit
            | Self::RefusedYetCharged
            | Self::RefusedYetDeadLettered => &["no-phantom"],
            Self::ResultLost
            | Self::DeadLetterInvented
            | Self::DeadLetterOfAnotherPlace
            | Self::DeadLetterLosesItsKey
            | Self::DeadLetterChangesItsValue
            | Self::BothProcessedAndDeadLettered
            | Self::PoisonProcessed => &["dlq-complete"],
            Self::TooLate => &["drained", "recovered"],
            Self::LagLeft => &["drained"],
        }
    }

    /// The entries with the bug planted, or `None` if there is no place for it.
    pub fn apply(self, mut entries: Vec<Entry>, pick: Index) -> Option<Vec<Entry>> {
        let operations = operations(&entries);
        let charged = places(&entries, |what| matches!(what, Record::Effect(effect) if effect.committed));
        let letters = places(&entries, |what| matches!(what, Record::DeadLetter(_)));
        let end = entries.len() - 1;
        match self {
            Self::SecondCommit => {
                let at = choose(&charged, pick)?;
                let again = entries[at].what.clone();
                insert(&mut entries, at + 1 + pick.index(end - at), again);
            }
            Self::NothingComesOfIt => {
                let (operation, _) = choose(&processed(&entries, &operations), pick)?;
                entries.retain(|entry| !comes_of(&entry.what, &operation));
            }
            Self::ResultLost => {
                let (operation, _) = choose(&processed(&entries, &operations), pick)?;
                let lost = |what: &Record| matches!(what, Record::Observe(_)) && comes_of(what, &operation);
                entries.retain(|entry| !lost(&entry.what));
            }
            Self::EffectLost => {
                let (_, charge) = choose(&processed(&entries, &operations), pick)?;
                entries.remove(charge);
            }
            Self::Overtaken => {
                let accepted = processed(&entries, &operations);
                let (early, late) = choose(&overtakable(&entries, &accepted), pick)?;
                let charge = entries.remove(early).what;
                // The other has moved up by one.
                insert(&mut entries, late, charge);
            }
            Self::EffectOfNobody => insert(&mut entries, pick.index(end), script::charge(900, true)),
            Self::ResultNeverCommitted => insert(&mut entries, pick.index(end), script::observe(900)),
            Self::ResultBeforeCommit => {
                let commits = places(&entries, |what| matches!(what, Record::Commit { .. }));
                let commit = entries.remove(choose(&commits, pick)?).what;
                insert(&mut entries, end - 1, commit);
            }
            Self::RefusedYetCharged | Self::RefusedYetDeadLettered => {
                let (operation, at) = choose(&refused(&entries, &operations), pick)?;
                let n = number(&operation.business_key);
                let what = match self {
                    Self::RefusedYetCharged => script::charge(n, true),
                    _ => script::dead(operation.op.0, n, number(&operation.ordering_key)),
                };
                insert(&mut entries, at + 1, what);
            }
            Self::DeadLetterInvented => insert(&mut entries, pick.index(end), script::dead(900, 900, 0)),
            Self::DeadLetterOfAnotherPlace => {
                let at = choose(&letters, pick)?;
                let elsewhere = processed(&entries, &operations).first()?.0.op.0;
                change(&mut entries[at], |dead| dead.offset = i64::try_from(elsewhere).unwrap_or(-1));
            }
            Self::DeadLetterLosesItsKey => {
                change(&mut entries[choose(&letters, pick)?], |dead| dead.key = "".into());
            }
            Self::DeadLetterChangesItsValue => {
                change(&mut entries[choose(&letters, pick)?], |dead| dead.value = Digest(0));
            }
            Self::DeadLetterLost => {
                let Record::DeadLetter(lost) = &entries[choose(&letters, pick)?].what else { return None };
                let event = lost.event.clone();
                entries
                    .retain(|entry| !matches!(&entry.what, Record::DeadLetter(dead) if dead.event == event));
            }
            Self::BothProcessedAndDeadLettered => {
                let (operation, _) = choose(&processed(&entries, &operations), pick)?;
                let (n, customer) = (number(&operation.business_key), number(&operation.ordering_key));
                insert(&mut entries, end, script::dead(operation.op.0, n, customer));
            }
            Self::PoisonProcessed => {
                let poison = |at: &usize| match &entries[*at].what {
                    Record::DeadLetter(dead) => operations
                        .iter()
                        .find(|operation| Some(&operation.event) == dead.event.as_ref() && operation.poison)
                        .map(|operation| (*at, number(&operation.business_key))),
                    _ => None,
                };
                let (at, n) = choose(&letters.iter().filter_map(poison).collect::<Vec<_>>(), pick)?;
                entries[at].what = script::observe(n);
                insert(&mut entries, at, script::commit(n));
                insert(&mut entries, at, script::charge(n, true));
            }
            Self::TooLate => {
                let (operation, charge) = choose(&processed(&entries, &operations), pick)?;
                if !is_last_of_its_customer(&entries, charge, &operation) {
                    return None;
                }
                postpone(&mut entries, &operation);
            }
            Self::LagLeft => insert(&mut entries, end, script::lag(3.0)),
        }
        Some(entries)
    }
}

fn choose<T: Clone>(from: &[T], pick: Index) -> Option<T> {
    (!from.is_empty()).then(|| pick.get(from).clone())
}

fn insert(entries: &mut Vec<Entry>, at: usize, what: Record) {
    let time = entries[at.min(entries.len() - 1)].at;
    entries.insert(at, Entry { seq: 0, at: time, host: "observer".into(), what });
}

fn change(entry: &mut Entry, how: impl FnOnce(&mut DeadLetter)) {
    if let Record::DeadLetter(dead) = &mut entry.what {
        how(dead);
    }
}

fn places(entries: &[Entry], wanted: impl Fn(&Record) -> bool) -> Vec<usize> {
    entries.iter().enumerate().filter(|(_, entry)| wanted(&entry.what)).map(|(at, _)| at).collect()
}

fn operations(entries: &[Entry]) -> Vec<Operation> {
    let operation = |entry: &Entry| match &entry.what {
        Record::Invoke(operation) => Some(operation.clone()),
        _ => None,
    };
    entries.iter().filter_map(operation).collect()
}

/// The number in `o-7` or `c-2`.
fn number(name: &Text) -> usize {
    name.split_once('-').and_then(|(_, number)| number.parse().ok()).expect("a name of the script")
}

/// Whether `what` is an outcome of `operation`.
fn comes_of(what: &Record, operation: &Operation) -> bool {
    match what {
        Record::Effect(effect) => effect.business_key == operation.business_key,
        Record::Observe(seen) => seen.business_key == operation.business_key,
        Record::Commit { cause, .. } => *cause == operation.event,
        Record::DeadLetter(dead) => dead.event.as_ref() == Some(&operation.event),
        _ => false,
    }
}

/// Acknowledged operations whose order took effect, and where; of a repeated event only the first.
fn processed(entries: &[Entry], operations: &[Operation]) -> Vec<(Operation, usize)> {
    let is_ok = |wanted: &Operation| {
        entries.iter().any(|entry| matches!(entry.what, Record::Ok { op, .. } if op == wanted.op))
    };
    let charge = |wanted: &Operation| {
        let charged =
            |what: &Record| matches!(what, Record::Effect(e) if e.committed) && comes_of(what, wanted);
        entries.iter().position(|entry| charged(&entry.what))
    };
    let mut seen = std::collections::BTreeSet::new();
    let accepted = operations.iter().filter(|operation| is_ok(operation));
    accepted
        .filter(|operation| seen.insert(operation.event.clone()))
        .filter_map(|operation| charge(operation).map(|at| (operation.clone(), at)))
        .collect()
}

fn refused(entries: &[Entry], operations: &[Operation]) -> Vec<(Operation, usize)> {
    let failed = |wanted: &Operation| {
        entries.iter().position(|entry| matches!(entry.what, Record::Fail { op, .. } if op == wanted.op))
    };
    operations.iter().filter_map(|operation| failed(operation).map(|at| (operation.clone(), at))).collect()
}

/// Pairs of charges of one customer: the first, whose order was acknowledged, and a later one.
fn overtakable(entries: &[Entry], accepted: &[(Operation, usize)]) -> Vec<(usize, usize)> {
    let customer = |operation: &Operation| operation.ordering_key.clone();
    let mut pairs = Vec::new();
    for (first, early) in accepted {
        let later =
            accepted.iter().filter(|(second, late)| customer(second) == customer(first) && late > early);
        pairs.extend(later.map(|(_, late)| (*early, *late)));
    }
    debug_assert!(pairs.iter().all(|(_, late)| *late < entries.len()));
    pairs
}

fn is_last_of_its_customer(entries: &[Entry], charge: usize, operation: &Operation) -> bool {
    let of_customer: Vec<Text> = operations(entries)
        .into_iter()
        .filter(|other| other.ordering_key == operation.ordering_key)
        .map(|other| other.business_key)
        .collect();
    let later = |entry: &Entry| matches!(&entry.what, Record::Effect(e) if e.committed && of_customer.contains(&e.business_key));
    !entries[charge + 1..].iter().any(later)
}

/// Moves the outcomes of `operation` to a time when they are due no more.
fn postpone(entries: &mut Vec<Entry>, operation: &Operation) {
    let (late, mut rest): (Vec<Entry>, Vec<Entry>) =
        entries.drain(..).partition(|entry| comes_of(&entry.what, operation));
    let settled = rest.pop().expect("the end of the run");
    assert_eq!(settled.what, Record::Phase(Phase::SettleEnd));
    let due = settled.at + WITHIN + Duration::from_secs(1);
    let moved = |entry: Entry| Entry { at: due, ..entry };
    entries.extend(rest);
    entries.extend(late.into_iter().chain([settled]).map(moved));
}
