//! Collects what a checker finds wrong and turns it into a judgement.
//!
//! The earliest finding becomes the violation, because later ones are often its consequences; the others are
//! counted. Evidence is every record about the keys concerned, and the faults among them, as many as fit.

use std::collections::HashSet;

use super::Judgement;
use crate::history::{History, OpId, Plain, Record, Text};
use crate::verdict::{Class, Violation};

/// Records a violation shows at most.
const EVIDENCE_MAX: usize = 10;

/// Something wrong.
pub(super) struct Finding<'a> {
    /// The entry at which the promise was broken.
    pub at: usize,
    pub class: Class,
    /// The business keys concerned.
    pub keys: Vec<&'a Text>,
    /// Entries that must be shown; `at` always is.
    pub shown: Vec<usize>,
    pub summary: String,
}

pub(super) struct Findings<'a> {
    checker: &'static str,
    history: &'a History,
    first: Option<Finding<'a>>,
    count: usize,
}

impl<'a> Findings<'a> {
    pub fn new(checker: &'static str, history: &'a History) -> Self {
        Self { checker, history, first: None, count: 0 }
    }

    /// Adds a finding; it is only made if it is the earliest so far.
    pub fn add(&mut self, at: usize, finding: impl FnOnce() -> Finding<'a>) {
        self.count += 1;
        if self.first.as_ref().is_none_or(|first| at < first.at) {
            self.first = Some(finding());
        }
    }

    /// Adds that something due was missing when the run ended.
    pub fn missing(&mut self, class: Class, key: &'a Text, summary: impl FnOnce() -> String) {
        let at = self.history.entries().len().saturating_sub(1);
        self.add(at, || Finding { at, class, keys: vec![key], shown: Vec::new(), summary: summary() });
    }

    /// Violated if anything was found; else whatever `otherwise` says, unless the history is incomplete.
    pub fn judge(self, otherwise: impl FnOnce() -> Judgement) -> Judgement {
        match self.first {
            Some(first) => Judgement::Violated(violation(self.checker, self.history, first, self.count)),
            None if self.history.dropped() > 0 => {
                let dropped = self.history.dropped();
                Judgement::Unknown(format!("the history is full, {dropped} records are missing at its end"))
            }
            None => otherwise(),
        }
    }
}

fn violation(checker: &str, history: &History, finding: Finding<'_>, count: usize) -> Violation {
    let at = history.entries().get(finding.at).map(|entry| entry.at).unwrap_or_default();
    let shown = finding.shown.into_iter().chain([finding.at]).collect();
    let evidence = lines(history, &finding.keys, shown);
    let summary = match count - 1 {
        0 => finding.summary,
        others => format!("{} (and {others} more)", finding.summary),
    };
    Violation { checker: checker.to_owned(), class: finding.class, at, summary, evidence }
}

/// The chosen entries, and what else fits of the records about `keys` and the faults among them.
fn lines(history: &History, keys: &[&Text], mut chosen: Vec<usize>) -> Vec<String> {
    let related = related(history, keys);
    let first = related.iter().chain(&chosen).min().copied().unwrap_or(usize::MAX);
    let last = related.iter().chain(&chosen).max().copied().unwrap_or(0);
    let is_fault = |at: &usize| {
        history.entries().get(*at).is_some_and(|entry| matches!(entry.what, Record::Fault { .. }))
    };
    chosen.sort_unstable();
    chosen.dedup();
    let mut left_out = 0;
    for at in related.into_iter().chain((first..=last).filter(is_fault)) {
        match chosen.contains(&at) {
            true => {}
            false if chosen.len() < EVIDENCE_MAX => chosen.push(at),
            false => left_out += 1,
        }
    }
    chosen.sort_unstable();
    let mut lines: Vec<String> =
        chosen.iter().filter_map(|at| history.entries().get(*at)).map(ToString::to_string).collect();
    if left_out > 0 {
        lines.push(format!("({left_out} more records about this are in the history)"));
    }
    lines
}

/// The records about one business key, and the faults among them.
pub(super) fn evidence_about(history: &History, key: &Text) -> Vec<String> {
    lines(history, &[key], Vec::new())
}

/// The last samples of a gauge, and the faults among them.
pub(super) fn evidence_of_gauge(history: &History, gauge: &Text) -> Vec<String> {
    let is_sample = |what: &Record| matches!(what, Record::Gauge { name, .. } if name == gauge);
    let entries = history.entries().iter().enumerate().rev();
    let samples = entries.filter(|(_, entry)| is_sample(&entry.what)).map(|(at, _)| at);
    lines(history, &[], samples.take(EVIDENCE_MAX).collect())
}

/// The entries about these business keys, in order.
fn related(history: &History, keys: &[&Text]) -> Vec<usize> {
    let index = history.index();
    let concerns = |key: &Text| keys.contains(&key);
    let event_concerns = |event: Option<usize>| {
        let facts = event.and_then(|event| index.events.get_index(event));
        facts.is_some_and(|(_, facts)| concerns(&facts.operation.business_key))
    };
    let mut operations: HashSet<OpId> = HashSet::new();
    let mut related = Vec::new();
    for (at, entry) in history.entries().iter().enumerate() {
        let about = match &entry.what {
            Record::Invoke(operation) => {
                concerns(&operation.business_key) && {
                    operations.insert(operation.op);
                    true
                }
            }
            Record::Ok { op, .. } | Record::Fail { op, .. } | Record::Info { op, .. } => {
                operations.contains(op)
            }
            Record::Effect(effect) => concerns(&effect.business_key),
            Record::Commit { cause, .. } => event_concerns(index.events.get_index_of(cause)),
            Record::Observe(seen) => concerns(&seen.business_key),
            Record::DeadLetter(dead) => event_concerns(index.event_of_dead_letter(dead)),
            Record::Fault { .. } | Record::Phase(_) | Record::Gauge { .. } => false,
        };
        if about {
            related.push(at);
        }
    }
    related
}

/// How a summary names an event.
pub(super) fn name(event: &Text, key: &Text) -> String {
    format!("event {} (order {})", Plain(event), Plain(key))
}
