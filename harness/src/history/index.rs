//! Facts per event and per business key, collected in one pass over the history.
//!
//! Every number here is a position in [`History::entries`](super::History::entries). The index states what
//! happened and judges nothing. Maps are iterated only where they are ordered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use super::{DeadLetter, Digest, Entry, Observed, OpId, Operation, Record, Text};

/// What is known of one event the workload attempted.
#[derive(Debug)]
pub(crate) struct EventFacts {
    /// The first operation that tried to produce it.
    pub operation: Operation,
    /// When that was.
    pub invoked: usize,
    /// When the event was first acknowledged.
    pub accepted: Option<usize>,
    /// Operations on it that did not certainly fail.
    pub open: u32,
    /// The first result observed on an output topic.
    pub result: Option<usize>,
    /// The first dead letter.
    pub dead: Option<usize>,
    /// The first of: result, committed effect, dead letter.
    pub resolved: Option<usize>,
}

/// What is known of one business key, attempted by the workload or only seen at the sink.
#[derive(Debug, Default)]
pub(crate) struct KeyFacts {
    /// Its events, as positions in [`Index::events`]; empty if the workload never attempted one.
    pub events: Vec<usize>,
    /// Committed effects by name, oldest first.
    pub effects: BTreeMap<Text, Vec<usize>>,
    /// The first result about this key whose causing event is not known. It counts for all its events.
    pub result: Option<usize>,
}

impl KeyFacts {
    /// The first committed effect of this name, or of any.
    pub fn first_effect(&self, name: Option<&str>) -> Option<usize> {
        let wanted = self.effects.iter().filter(|(effect, _)| name.is_none_or(|name| name == &***effect));
        wanted.filter_map(|(_, commits)| commits.first().copied()).min()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By event id, in the order of first invocation.
    pub events: IndexMap<Text, EventFacts>,
    /// By business key, in the order of first invocation, keys without one last.
    pub keys: IndexMap<Text, KeyFacts>,
    /// The first commit of each outbox event, and its cause.
    pub commits: HashMap<Text, (usize, Text)>,
    /// Topics the workload produced to.
    pub topics: BTreeSet<Text>,
    /// Requests for effects, committed or not.
    pub effects: u64,
    /// Results observed.
    pub results: u64,
    /// Dead letters observed.
    pub dead_letters: u64,
    operations: HashMap<OpId, (usize, bool)>,
    positions: HashMap<(Text, i32, i64), usize>,
    values: HashMap<Digest, usize>,
}

/// Steps followed from a result to the event that caused it; longer chains count as unknown.
const CHAIN_MAX: usize = 16;

impl Index {
    pub fn of(entries: &[Entry]) -> Self {
        let mut index = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            index.add(at, &entry.what);
        }
        // Acknowledgements and commits may be recorded after what depends on them was seen.
        for (at, entry) in entries.iter().enumerate() {
            index.attribute(at, &entry.what);
        }
        index.resolve();
        index
    }

    /// Whether anything at all was seen to come of the workload.
    pub fn saw_outcomes(&self) -> bool {
        self.effects + self.results + self.dead_letters > 0
    }

    /// The events that were acknowledged, oldest invocation first.
    pub fn accepted(&self) -> impl Iterator<Item = (&Text, &EventFacts, usize)> {
        self.events.iter().filter_map(|(id, facts)| facts.accepted.map(|at| (id, facts, at)))
    }

    /// The event a dead letter is about: by its id, else by its position, else by its value.
    pub fn event_of_dead_letter(&self, dead: &DeadLetter) -> Option<usize> {
        match &dead.event {
            Some(id) => self.events.get_index_of(id),
            None => self.event_at(dead).or_else(|| self.values.get(&dead.value).copied()),
        }
    }

    /// Whether the workload produced an event with this value.
    pub fn produced(&self, event: usize, value: Digest) -> bool {
        self.values.get(&value) == Some(&event)
    }

    /// The event acknowledged at the position the dead letter states.
    pub fn event_at(&self, dead: &DeadLetter) -> Option<usize> {
        self.positions.get(&(dead.topic.clone(), dead.partition, dead.offset)).copied()
    }

    /// The workload's event a result stems from, through any events in between.
    pub fn cause_of(&self, seen: &Observed) -> Option<usize> {
        let committed = |event: &Text| self.commits.get(event).map(|(_, cause)| cause.clone());
        let mut cause = seen.cause.clone().or_else(|| committed(&seen.event))?;
        for _ in 0..CHAIN_MAX {
            if let Some(found) = self.events.get_index_of(&cause) {
                return Some(found);
            }
            cause = committed(&cause)?;
        }
        None
    }

    fn add(&mut self, at: usize, what: &Record) {
        match what {
            Record::Invoke(operation) => self.invoke(at, operation),
            Record::Ok { op, partition, offset } => {
                let Some(event) = self.finish(*op) else { return };
                let Some((_, facts)) = self.events.get_index_mut(event) else { return };
                facts.accepted.get_or_insert(at);
                let position = (facts.operation.topic.clone(), *partition, *offset);
                self.positions.entry(position).or_insert(event);
            }
            Record::Fail { op, .. } => {
                let Some(event) = self.finish(*op) else { return };
                if let Some((_, facts)) = self.events.get_index_mut(event) {
                    facts.open -= 1;
                }
            }
            Record::Info { op, .. } => {
                self.finish(*op);
            }
            Record::Commit { event, cause } => {
                self.commits.entry(event.clone()).or_insert_with(|| (at, cause.clone()));
            }
            Record::Effect(_) => self.effects += 1,
            Record::Observe(_) => self.results += 1,
            Record::DeadLetter(_) => self.dead_letters += 1,
            Record::Fault { .. } | Record::Phase(_) | Record::Gauge { .. } => {}
        }
    }

    fn invoke(&mut self, at: usize, operation: &Operation) {
        let entry = self.events.entry(operation.event.clone());
        let event = entry.index();
        let facts = entry.or_insert_with(|| EventFacts {
            operation: operation.clone(),
            invoked: at,
            accepted: None,
            open: 0,
            result: None,
            dead: None,
            resolved: None,
        });
        facts.open += 1;
        let first = facts.invoked == at;
        self.operations.insert(operation.op, (event, false));
        self.values.entry(operation.value).or_insert(event);
        self.topics.insert(operation.topic.clone());
        let key = self.keys.entry(operation.business_key.clone()).or_default();
        if first {
            key.events.push(event);
        }
    }

    /// The event of an operation that ends now, unless it has ended before.
    fn finish(&mut self, op: OpId) -> Option<usize> {
        let (event, ended) = self.operations.get_mut(&op)?;
        (!std::mem::replace(ended, true)).then_some(*event)
    }

    fn attribute(&mut self, at: usize, what: &Record) {
        match what {
            Record::Effect(effect) if effect.committed => {
                let key = self.keys.entry(effect.business_key.clone()).or_default();
                key.effects.entry(effect.name.clone()).or_default().push(at);
            }
            Record::Observe(seen) => match self.cause_of(seen) {
                Some(event) => self.set(event, |facts| &mut facts.result, at),
                None => {
                    if let Some(key) = self.keys.get_mut(&seen.business_key) {
                        key.result.get_or_insert(at);
                    }
                }
            },
            Record::DeadLetter(dead) => {
                if let Some(event) = self.event_of_dead_letter(dead) {
                    self.set(event, |facts| &mut facts.dead, at);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, event: usize, field: impl Fn(&mut EventFacts) -> &mut Option<usize>, at: usize) {
        if let Some((_, facts)) = self.events.get_index_mut(event) {
            field(facts).get_or_insert(at);
        }
    }

    fn resolve(&mut self) {
        for facts in self.events.values_mut() {
            let key = self.keys.get(&facts.operation.business_key);
            let effect = key.and_then(|key| key.first_effect(None));
            facts.result = [facts.result, key.and_then(|key| key.result)].into_iter().flatten().min();
            facts.resolved = [facts.result, facts.dead, effect].into_iter().flatten().min();
        }
    }
}
