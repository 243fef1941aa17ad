//! `key-order`: events with equal keys take effect in the order of the log.
//!
//! The order of the log is known for certain from outside where one event was acknowledged before another was
//! attempted; such a pair must have its first effects in that order. Events that were on their way at the
//! same time may lie in the log either way, since a retry can leave an earlier copy nobody was told of, so
//! they are not judged; nor are events that never came into the log, which are `no-phantom`'s matter. Later
//! duplicates are `idempotent`'s.

use std::collections::HashMap;

use super::finding::{Finding, Findings};
use super::{Checker, Judgement, Parameter, Params};
use crate::history::{Count, EventFacts, History, Plain, Record, Text};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyOrder;

const PARAMETERS: &[Parameter] = &[Parameter {
    name: "effect",
    about: "judge only the effect of this name; without it, the first of any",
}];

/// Of the events of one ordering key that have taken effect, the one invoked last.
struct Latest<'a> {
    event: &'a EventFacts,
    effect: usize,
}

impl Checker for KeyOrder {
    fn name(&self) -> &str {
        "key-order"
    }

    fn about(&self) -> &str {
        "Events with equal keys take effect in the order in which they were acknowledged."
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn judge(&self, history: &History, with: &Params) -> Judgement {
        let effect = match with.text("effect") {
            Ok(effect) => effect,
            Err(wrong) => return Judgement::Unknown(wrong),
        };
        let mut findings = Findings::new("key-order", history);
        let mut latest: HashMap<&Text, Latest<'_>> = HashMap::new();
        let mut pairs = 0_u64;
        for (at, event) in first_effects(history, effect) {
            let key = &event.operation.ordering_key;
            let Some(before) = latest.get_mut(key) else {
                latest.insert(key, Latest { event, effect: at });
                continue;
            };
            pairs += 1;
            if event.accepted.is_some_and(|accepted| accepted < before.event.invoked) {
                let (earlier, later) = (before.event, before.effect);
                findings.add(at, || overtaken(at, event, earlier, later));
            }
            if event.invoked > before.event.invoked {
                *before = Latest { event, effect: at };
            }
        }
        findings.judge(|| match pairs {
            0 => Judgement::Unknown("no two events with equal keys took effect".into()),
            _ => Judgement::Holds(format!(
                "{} over {}",
                Count(pairs, "successive effect"),
                Count(latest.len() as u64, "key")
            )),
        })
    }
}

/// The first committed effect of each business key, and the event it is of, in the order of the history.
fn first_effects<'a>(
    history: &'a History,
    name: Option<&'a str>,
) -> impl Iterator<Item = (usize, &'a EventFacts)> {
    let index = history.index();
    history.entries().iter().enumerate().filter_map(move |(at, entry)| {
        let Record::Effect(effect) = &entry.what else { return None };
        let facts = index.keys.get(&effect.business_key)?;
        let (_, event) = index.events.get_index(*facts.events.first()?)?;
        (event.open > 0 && facts.first_effect(name) == Some(at)).then_some((at, event))
    })
}

fn overtaken<'a>(at: usize, late: &'a EventFacts, early: &'a EventFacts, effect: usize) -> Finding<'a> {
    let (first, second) = (&late.operation, &early.operation);
    let summary = format!(
        "order {} took effect before order {}, which precedes it under key {} (numbers {} and {})",
        Plain(&second.business_key),
        Plain(&first.business_key),
        Plain(&first.ordering_key),
        second.sequence,
        first.sequence,
    );
    let shown: Vec<usize> = late.accepted.into_iter().chain([late.invoked, early.invoked, effect]).collect();
    let keys = vec![&first.business_key, &second.business_key];
    Finding { at, class: Class::Safety, keys, shown, summary }
}
