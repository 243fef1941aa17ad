//! `one-result`: no event has two results.
//!
//! Judged as a reader sees the output topics that reads committed transactions only: for systems that promise
//! exactly one result on the log itself, by transactions, not by consumers that recognise duplicates. That every
//! event has a result at all is `no-acked-loss`'s matter.

use std::collections::BTreeMap;

use super::finding::{Finding, Findings, name};
use super::{Checker, Judgement, Params};
use crate::history::{Count, History, Record};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneResult;

impl Checker for OneResult {
    fn name(&self) -> &str {
        "one-result"
    }

    fn about(&self) -> &str {
        "No event has two results on the output topics, for readers of committed records."
    }

    fn judge(&self, history: &History, _: &Params) -> Judgement {
        let index = history.index();
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        let mut findings = Findings::new("one-result", history);
        for (at, entry) in history.entries().iter().enumerate() {
            let Record::Observe(seen) = &entry.what else { continue };
            let Some(event) = index.cause_of(seen) else { continue };
            let earlier = *first.entry(event).or_insert(at);
            let Some((id, facts)) = index.events.get_index(event).filter(|_| earlier != at) else { continue };
            let key = &facts.operation.business_key;
            findings.add(at, || {
                let place = format!("{}-{}@{}", seen.topic, seen.partition, seen.offset);
                let summary = format!("{} has another result, at {place}", name(id, key));
                Finding { at, class: Class::Safety, keys: vec![key], shown: vec![earlier, at], summary }
            });
        }
        findings.judge(|| match first.len() as u64 {
            0 => Judgement::Unknown("no result was observed".into()),
            events => Judgement::Holds(format!("{} one result each", Count(events, "event"))),
        })
    }
}
