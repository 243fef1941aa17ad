//! Streams and the global order, in memory.
//!
//! One list holds all events in the order of their positions; streams and ids are indexes into it. Appends
//! change it only at the end, so an unfinished transaction is taken back by cutting the end off.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Append, Appended, Position, StoreError, StoredEvent, StreamName};
use crate::envelope::EventEnvelope;
use crate::event_id::EventId;

#[derive(Default)]
pub(super) struct Events {
    /// The event at position n is at index n − 1.
    all: Vec<StoredEvent>,
    /// Indexes into `all`; version n of a stream is at index n − 1.
    streams: BTreeMap<StreamName, Vec<usize>>,
    /// Indexes into `all`.
    ids: BTreeMap<EventId, usize>,
}

impl Events {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn append(
        &mut self,
        append: Append,
        now_ms: i64,
        limit: usize,
    ) -> Result<Appended, StoreError> {
        check(&append)?;
        if let Some(appended) = self.repetition(&append)? {
            return Ok(appended);
        }
        let Append { stream, expected, events } = append;
        let actual = self.streams.get(&stream).map_or(0, Vec::len) as u64;
        if !expected.allows(actual) {
            return Err(StoreError::Conflict { stream, expected, actual });
        }
        if events.len() > limit.saturating_sub(self.all.len()) {
            return Err(StoreError::Full { what: "events", limit });
        }
        let (first, count) = (self.all.len() as u64 + 1, events.len() as u64);
        let indexes = self.streams.entry(stream.clone()).or_default();
        for event in events {
            let index = self.all.len();
            self.ids.insert(event.id(), index);
            indexes.push(index);
            self.all.push(StoredEvent {
                stream: stream.clone(),
                version: indexes.len() as u64,
                position: Position(index as u64 + 1),
                recorded_ms: now_ms,
                event,
            });
        }
        Ok(Appended {
            first_version: actual + 1,
            last_version: actual + count,
            first_position: Position(first),
            last_position: Position(first + count - 1),
            duplicate: false,
        })
    }

    pub(super) fn read(&self, stream: &StreamName, from: u64, limit: usize) -> Vec<StoredEvent> {
        let indexes = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        indexes.iter().skip(skipped).take(limit).map(|index| self.all[*index].clone()).collect()
    }

    pub(super) fn read_all(&self, after: Position, limit: usize) -> Vec<StoredEvent> {
        let skipped = usize::try_from(after.0).unwrap_or(usize::MAX);
        self.all.iter().skip(skipped).take(limit).cloned().collect()
    }

    /// Takes back every event after the first `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        while self.all.len() > length {
            let Some(stored) = self.all.pop() else { return };
            self.ids.remove(&stored.event.id());
            if let Some(indexes) = self.streams.get_mut(&stored.stream) {
                indexes.pop();
                if indexes.is_empty() {
                    self.streams.remove(&stored.stream);
                }
            }
        }
    }

    /// Where the events are if all of them are stored already, as the append would have stored them.
    fn repetition(&self, append: &Append) -> Result<Option<Appended>, StoreError> {
        let mut found = Vec::with_capacity(append.events.len());
        for event in &append.events {
            found.push(self.known(event)?);
        }
        let Some(known) = found.iter().flatten().next().copied() else { return Ok(None) };
        let is_run = found.iter().enumerate().all(|(offset, stored)| {
            stored.is_some_and(|stored| {
                stored.stream == append.stream && Some(stored.version) == run_version(&found, offset)
            })
        });
        if !is_run {
            return Err(StoreError::PartialDuplicate {
                stream: append.stream.clone(),
                id: known.event.id(),
                found_in: known.stream.clone(),
                version: known.version,
            });
        }
        let last = found.iter().flatten().last().copied().unwrap_or(known);
        Ok(Some(Appended {
            first_version: known.version,
            last_version: last.version,
            first_position: known.position,
            last_position: last.position,
            duplicate: true,
        }))
    }

    /// The stored event with this id, which must be the same event.
    fn known(&self, event: &EventEnvelope) -> Result<Option<&StoredEvent>, StoreError> {
        let Some(index) = self.ids.get(&event.id()) else { return Ok(None) };
        let stored = &self.all[*index];
        stored.event.digest().expect_same(&event.digest(), event.id())?;
        Ok(Some(stored))
    }
}

/// The version that the event at `offset` must have if the events follow each other in one stream.
fn run_version(found: &[Option<&StoredEvent>], offset: usize) -> Option<u64> {
    let first = found.first().copied().flatten()?;
    Some(first.version + offset as u64)
}

fn check(append: &Append) -> Result<(), StoreError> {
    let invalid = |problem: String| Err(StoreError::InvalidAppend { stream: append.stream.clone(), problem });
    if append.events.is_empty() {
        return invalid("it has no events; leave it out".to_owned());
    }
    let mut ids = BTreeSet::new();
    match append.events.iter().find(|event| !ids.insert(event.id())) {
        Some(twice) => invalid(format!("it has the event {} twice", twice.id())),
        None => Ok(()),
    }
}
