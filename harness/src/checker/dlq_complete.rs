//! `dlq-complete`: every accepted event is either processed or dead-lettered, and no dead letter is invented.
//!
//! Processed means that a result was observed on an output topic. A dead letter carries the key and the value
//! its event was produced with, and names a place where that event lies. Poison events are dead-lettered;
//! others may be, when their attempts are exhausted. The same event may be dead-lettered more than once, since
//! the dead-letter topic is itself written at least once. Dead letters whose source is not a topic of the
//! workload are not judged.

use super::finding::{Finding, Findings, name};
use super::{Checker, Judgement, NOT_SETTLED, NOTHING_ACCEPTED, Params};
use crate::history::{DeadLetter, EventFacts, History, Index, Plain, Record, Text};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct DlqComplete;

impl Checker for DlqComplete {
    fn name(&self) -> &str {
        "dlq-complete"
    }

    fn about(&self) -> &str {
        "Every accepted event is either processed or dead-lettered, unchanged; poison always is."
    }

    fn judge(&self, history: &History, _: &Params) -> Judgement {
        let index = history.index();
        let mut findings = Findings::new("dlq-complete", history);
        for (at, entry) in history.entries().iter().enumerate() {
            let Record::DeadLetter(dead) = &entry.what else { continue };
            if let Some((event, wrong)) = mistake(index, dead) {
                findings.add(at, || {
                    let keys = event.map(|facts| &facts.operation.business_key).into_iter().collect();
                    let shown = event.map(|facts| facts.invoked).into_iter().collect();
                    Finding { at, class: Class::Safety, keys, shown, summary: wrong }
                });
            }
        }
        let settled = history.is_settled();
        let watched = index.results + index.dead_letters > 0;
        for (id, event, _) in index.accepted().filter(|_| watched) {
            account(&mut findings, settled, id, event);
        }
        let accepted = index.accepted().count();
        findings.judge(|| {
            if accepted == 0 {
                Judgement::Unknown(NOTHING_ACCEPTED.into())
            } else if !watched {
                Judgement::Unknown("neither a result nor a dead letter was observed".into())
            } else if !settled {
                Judgement::Unknown(NOT_SETTLED.into())
            } else {
                let dead = index.accepted().filter(|(_, event, _)| event.dead.is_some()).count();
                Judgement::Holds(format!("{} processed, {dead} dead-lettered", accepted - dead))
            }
        })
    }
}

/// What is wrong with a dead letter, and the event it is about, if that is known.
fn mistake<'a>(index: &'a Index, dead: &DeadLetter) -> Option<(Option<&'a EventFacts>, String)> {
    if !index.topics.contains(&dead.topic) {
        return None;
    }
    let place = format!("{}/{}/{}", Plain(&dead.topic), dead.partition, dead.offset);
    let Some(event) = index.event_of_dead_letter(dead) else {
        return Some((None, format!("the dead letter from {place} is of an event nobody produced")));
    };
    let (id, facts) = index.events.get_index(event)?;
    let what = name(id, &facts.operation.business_key);
    let wrong = if index.event_at(dead).is_some_and(|other| other != event) {
        format!("the dead letter of {what} names {place}, where another event lies")
    } else if dead.key != facts.operation.ordering_key {
        let (expected, found) = (Plain(&facts.operation.ordering_key), Plain(&dead.key));
        format!("{what} was produced with key {expected} and dead-lettered with key {found}")
    } else if dead.value != facts.operation.value && !index.produced(event, dead.value) {
        let expected = facts.operation.value;
        format!("{what} was produced with value {expected} and dead-lettered with value {}", dead.value)
    } else {
        return None;
    };
    Some((Some(facts), wrong))
}

/// Adds an accepted event that is both, or in the end neither, processed and dead-lettered.
fn account<'a>(findings: &mut Findings<'a>, settled: bool, id: &'a Text, event: &'a EventFacts) {
    let key = &event.operation.business_key;
    match (event.result, event.dead) {
        (Some(result), Some(dead)) => {
            let at = result.max(dead);
            findings.add(at, || Finding {
                at,
                class: Class::Safety,
                keys: vec![key],
                shown: vec![result, dead],
                summary: format!("{} was both processed and dead-lettered", name(id, key)),
            });
        }
        (Some(at), None) if event.operation.poison && settled => {
            findings.add(at, || Finding {
                at,
                class: Class::Safety,
                keys: vec![key],
                shown: vec![at],
                summary: format!("{} is poison and was processed", name(id, key)),
            });
        }
        (None, None) if settled => findings.missing(Class::Liveness, key, || {
            let kind = if event.operation.poison { ", which is poison," } else { "" };
            format!("{}{kind} was neither processed nor dead-lettered", name(id, key))
        }),
        _ => {}
    }
}
