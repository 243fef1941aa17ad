//! Groups of consumers: what was delivered to whom and not acknowledged yet.
//!
//! Invariant: every pending entry names a consumer of the group, and that consumer's set holds its ID. All
//! changes go through [`Group`], so that neither side can be changed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use super::{Counters, StreamId};

/// A group of consumers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The last ID that was delivered.
    pub last_id: StreamId,
    /// How many entries were ever delivered, if known.
    pub entries_read: Option<i64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<Bytes, Consumer>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Whom it was delivered to last.
    pub consumer: Bytes,
    /// When, in Unix milliseconds.
    pub delivered_ms: i64,
    /// How often.
    pub deliveries: u64,
}

/// A consumer of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consumer {
    /// When it last read or claimed, in Unix milliseconds.
    pub seen_ms: i64,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// The IDs of the entries pending for it, in order.
    #[must_use]
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

impl Group {
    /// A group that has read up to an ID.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<i64>) -> Self {
        Self { last_id, entries_read, ..Self::default() }
    }

    /// The consumers, by name.
    #[must_use]
    pub fn consumers(&self) -> &BTreeMap<Bytes, Consumer> {
        &self.consumers
    }

    /// The pending entries, in order.
    #[must_use]
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// The first pending entry from `start` on.
    #[must_use]
    pub fn first_pending(&self, start: Bound<StreamId>) -> Option<(StreamId, &Pending)> {
        self.pending.range((start, Bound::Unbounded)).next().map(|(id, pending)| (*id, pending))
    }

    /// Notes that a consumer is active; whether it is a new one.
    pub fn see(&mut self, consumer: &Bytes, now_ms: i64) -> bool {
        if let Some(known) = self.consumers.get_mut(consumer) {
            known.seen_ms = now_ms;
            return false;
        }
        self.add_consumer(consumer, now_ms)
    }

    /// Adds a consumer, unless there is one of this name; whether it did.
    pub fn add_consumer(&mut self, consumer: &Bytes, now_ms: i64) -> bool {
        if self.consumers.contains_key(consumer) {
            return false;
        }
        let added = Consumer { seen_ms: now_ms, pending: BTreeSet::new() };
        self.consumers.insert(consumer.clone(), added);
        true
    }

    /// Removes a consumer and forgets what is pending for it; how many entries that were, if there was one.
    pub fn remove_consumer(&mut self, consumer: &Bytes) -> Option<usize> {
        let removed = self.consumers.remove(consumer)?;
        for id in &removed.pending {
            self.pending.remove(id);
        }
        Some(removed.pending.len())
    }

    /// Moves on to an entry that is about to be delivered; whether it is a new one.
    pub fn advance(&mut self, id: StreamId, counters: &Counters) -> bool {
        if id <= self.last_id {
            return false;
        }
        match &mut self.entries_read {
            Some(read) if !counters.has_deleted_from(id) => *read = read.wrapping_add(1),
            read if counters.entries_added != 0 => *read = counters.distance_from_first(id),
            _ => {}
        }
        self.last_id = id;
        true
    }

    /// Makes an entry pending for one of the group's consumers, whoever had it before.
    pub fn assign(&mut self, id: StreamId, consumer: &Bytes, delivered_ms: i64, deliveries: u64) {
        self.acknowledge(id);
        if let Some(owner) = self.consumers.get_mut(consumer) {
            owner.pending.insert(id);
            self.pending.insert(id, Pending { consumer: consumer.clone(), delivered_ms, deliveries });
        }
    }

    /// Notes that a pending entry was delivered once more to its consumer.
    pub fn deliver_again(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Forgets a pending entry, if there is one.
    pub fn acknowledge(&mut self, id: StreamId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(owner) = self.consumers.get_mut(&pending.consumer) {
            owner.pending.remove(&id);
        }
        Some(pending)
    }

    /// Bytes, roughly.
    #[must_use]
    pub fn weight(&self) -> usize {
        const PENDING_BYTES: usize = 48;
        let names: usize = self.consumers.keys().map(Bytes::len).sum();
        names + self.pending.len() * PENDING_BYTES
    }
}
