//! `no-phantom`: nothing is visible that did not happen.
//!
//! A result on an output topic was committed by the store before; an effect was committed only for a business
//! key the workload had attempted; and nothing is visible of an event all of whose operations certainly
//! failed. Without any record of commits the first part is unknown.

use super::finding::{Finding, Findings, name};
use super::{Checker, Judgement, Params};
use crate::history::{Count, Effect, History, Index, Observed, Plain, Record, Text};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPhantom;

impl Checker for NoPhantom {
    fn name(&self) -> &str {
        "no-phantom"
    }

    fn about(&self) -> &str {
        "Nothing is visible that was not attempted and committed before."
    }

    fn judge(&self, history: &History, _: &Params) -> Judgement {
        let index = history.index();
        let mut findings = Findings::new("no-phantom", history);
        for (at, entry) in history.entries().iter().enumerate() {
            let wrong = match &entry.what {
                Record::Observe(seen) => {
                    result(index, at, seen).map(|(shown, text)| (&seen.business_key, shown, text))
                }
                Record::Effect(effect) if effect.committed => {
                    unattempted(index, at, effect).map(|text| (&effect.business_key, None, text))
                }
                Record::DeadLetter(dead) => index.event_of_dead_letter(dead).and_then(|event| {
                    failed(index, event).map(|(key, what)| (key, None, format!("{what} was dead-lettered")))
                }),
                _ => None,
            };
            if let Some((key, shown, summary)) = wrong {
                let shown = shown.into_iter().collect();
                findings.add(at, || Finding { at, class: Class::Safety, keys: vec![key], shown, summary });
            }
        }
        findings.judge(|| {
            let (results, effects) = (index.results, index.effects);
            if !index.saw_outcomes() {
                Judgement::Unknown("neither an effect, a result nor a dead letter was observed".into())
            } else if results > 0 && index.commits.is_empty() {
                Judgement::Unknown("results were observed, but no commit they could stem from".into())
            } else {
                Judgement::Holds(format!(
                    "{} and {} have a cause",
                    Count(results, "result"),
                    Count(effects, "request")
                ))
            }
        })
    }
}

/// What is wrong with a result, and the commit that comes too late.
fn result(index: &Index, at: usize, seen: &Observed) -> Option<(Option<usize>, String)> {
    let result = Plain(&seen.event);
    match index.commits.get(&seen.event) {
        Some((commit, _)) if *commit > at => {
            return Some((Some(*commit), format!("result {result} was visible before it was committed")));
        }
        // Without any commit at all nobody watched the store.
        None if !index.commits.is_empty() => {
            return Some((None, format!("result {result} was never committed")));
        }
        _ => {}
    }
    let (_, event) = failed(index, index.cause_of(seen)?)?;
    Some((None, format!("result {result} stems from {event}")))
}

/// What is wrong with a committed effect.
fn unattempted(index: &Index, at: usize, effect: &Effect) -> Option<String> {
    let (name, key) = (Plain(&effect.name), Plain(&effect.business_key));
    let events =
        index.keys.get(&effect.business_key).map(|facts| facts.events.as_slice()).unwrap_or_default();
    // The first event of a key is the first invoked.
    let invoked = events.first().and_then(|event| index.events.get_index(*event)).map(|(_, e)| e.invoked);
    if invoked.is_none_or(|invoked| invoked > at) {
        return Some(format!("{name} was committed for {key}, which nobody had attempted"));
    }
    let all_failed = events.iter().all(|event| failed(index, *event).is_some());
    all_failed.then(|| format!("{name} was committed for {key}, whose every operation failed"))
}

/// The event, if all its operations certainly failed.
fn failed(index: &Index, event: usize) -> Option<(&Text, String)> {
    let (id, facts) = index.events.get_index(event)?;
    let key = &facts.operation.business_key;
    (facts.open == 0).then(|| (key, format!("{}, whose every operation failed,", name(id, key))))
}
