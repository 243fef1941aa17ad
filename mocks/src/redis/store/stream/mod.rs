//! Streams: entries in order of their IDs, in nodes as Redis keeps them, and groups of consumers that read them.
//!
//! Invariants:
//! - Nodes are found by the ID of the entry each began with. Entries of a node are in the order in which they
//!   were added, which is the order of their IDs unless `XSETID` went back behind deleted entries; what Redis
//!   does then is what comes of looking at entries one after the other, so that is done here.
//! - [`Counters::length`] is the number of entries that are not deleted.
//!
//! A stream without entries is kept: its last ID and its groups matter.

mod counters;
mod fields;
mod group;
mod id;
mod node;
mod packed;
mod radix;
mod trim;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use counters::Counters;
pub use fields::Fields;
pub use group::{Consumer, Group, Pending};
pub use id::StreamId;
pub use node::{NodeLimits, StreamEntry};
pub use trim::{Trim, TrimTo};

use node::{LISTPACK_BYTES, Node};

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    nodes: BTreeMap<StreamId, Node>,
    counters: Counters,
    groups: BTreeMap<Bytes, Group>,
    bytes: usize,
}

impl Stream {
    /// Whether an entry may have these names and values: they must fit into a node.
    #[must_use]
    pub fn fits(fields: &[Bytes]) -> bool {
        fields.iter().map(Bytes::len).sum::<usize>() <= LISTPACK_BYTES
    }

    /// How many entries there are, the last ID, and what else is counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The counters, to be set as `XSETID` sets them.
    pub fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counters.length
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counters.length == 0
    }

    /// Bytes of payload, roughly. Deleted entries count until their node is dropped.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes + self.groups.values().map(Group::weight).sum::<usize>()
    }

    /// Adds an entry, whose ID is greater than the last one.
    pub fn append(&mut self, id: StreamId, fields: &[Bytes], limits: NodeLimits) {
        let last = self.nodes.last_key_value().filter(|(_, node)| !node.is_full(fields, limits));
        let master = match last.map(|(master, _)| *master) {
            Some(master) => master,
            None => {
                self.drop_node(id);
                let node = Node::new(id, fields.iter().step_by(2).cloned().collect());
                self.bytes += node.bytes();
                self.nodes.insert(id, node);
                id
            }
        };
        if let Some(node) = self.nodes.get_mut(&master) {
            self.bytes += node.push(id, fields);
        }
        self.counters.length += 1;
        self.counters.entries_added = self.counters.entries_added.wrapping_add(1);
        self.counters.last_id = id;
        if self.counters.length == 1 {
            self.counters.first_id = id;
        }
    }

    /// The entries from `start` to `end`, both included.
    pub fn range(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = &StreamEntry> {
        let from = self.nodes.range(..=start).next_back().map_or(StreamId::MIN, |(master, _)| *master);
        let entries = self.nodes.range(from..).flat_map(|(_, node)| node.entries());
        let emitted = entries.filter(move |entry| !entry.deleted && entry.id >= start);
        emitted.take_while(move |entry| entry.id <= end)
    }

    /// The entries from `end` back to `start`, both included.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = &StreamEntry> {
        let from = self.nodes.range(..=end).next_back().map_or(StreamId::MAX, |(master, _)| *master);
        let entries = self.nodes.range(..=from).rev().flat_map(|(_, node)| node.entries().iter().rev());
        let emitted = entries.filter(move |entry| !entry.deleted && entry.id <= end);
        emitted.take_while(move |entry| entry.id >= start)
    }

    /// The entry of this ID.
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<&StreamEntry> {
        self.range(id, id).next()
    }

    /// The ID of the last entry, which may be less than the last ID.
    #[must_use]
    pub fn last_entry_id(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// The ID that a trim to the entries there are names: of the first one, deleted or not.
    #[must_use]
    pub fn first_kept_id(&self) -> StreamId {
        let first = self.nodes.values().flat_map(Node::entries).next();
        first.map_or(StreamId::MAX, |entry| entry.id)
    }

    /// Deletes an entry; whether there was one.
    fn delete(&mut self, id: StreamId) -> bool {
        let from = self.nodes.range(..=id).next_back().map_or(StreamId::MIN, |(master, _)| *master);
        let found = self.nodes.range_mut(from..).find_map(|(master, node)| {
            let at = node.entries().iter().position(|entry| !entry.deleted && entry.id >= id)?;
            let is_it = node.entries().get(at).is_some_and(|entry| entry.id == id);
            Some((*master, is_it && node.delete(at), node.live()))
        });
        let Some((master, true, left)) = found else { return false };
        if left == 0 {
            self.drop_node(master);
        }
        self.counters.length -= 1;
        true
    }

    /// Deletes the entries of these IDs; how many there were.
    pub fn delete_all(&mut self, ids: &[StreamId]) -> usize {
        let first_id = self.counters.first_id;
        let (mut deleted, mut first_is_gone) = (0, false);
        for id in ids {
            if self.delete(*id) {
                deleted += 1;
                first_is_gone |= *id == first_id;
                self.counters.max_deleted_id = self.counters.max_deleted_id.max(*id);
            }
        }
        if first_is_gone || deleted > 0 && self.is_empty() {
            self.find_first();
        }
        deleted
    }

    /// Keys of the radix tree that Redis would hold the stream in: one for each node.
    #[must_use]
    pub fn radix_keys(&self) -> usize {
        self.nodes.len()
    }

    /// Nodes of the radix tree that Redis would hold the stream in.
    #[must_use]
    pub fn radix_nodes(&self) -> usize {
        radix::nodes(self.nodes.keys().copied())
    }

    /// The groups of consumers, by name.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<Bytes, Group> {
        &self.groups
    }

    /// The groups of consumers, by name, to be changed.
    pub fn groups_mut(&mut self) -> &mut BTreeMap<Bytes, Group> {
        &mut self.groups
    }

    fn drop_node(&mut self, master: StreamId) -> Option<Node> {
        let node = self.nodes.remove(&master)?;
        self.bytes -= node.bytes();
        Some(node)
    }

    fn find_first(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id);
        self.counters.first_id = first.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
