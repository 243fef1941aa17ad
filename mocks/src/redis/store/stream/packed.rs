//! Nodes taken apart into the elements of the listpack that Redis packs each in, and put together again: what
//! files and payloads hold of a stream.
//!
//! A listpack of a node begins with how many entries are not deleted, how many are, the number of names, the
//! names, and 0. Each entry is its flags, its ID as two differences to the node's, the number of its pairs and
//! its names if they are not the node's, its values, and how many elements that was.
//!
//! Elements may come from anywhere: those that are no node are refused, and no count is believed.

use bytes::Bytes;

use super::node::Node;
use super::{Stream, StreamId};
use crate::redis::engine::number::strict_i64;

/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry's names are the node's, and left out.
const SAME_NAMES: i64 = 2;

impl Stream {
    /// The nodes: the ID each began with, and its elements. What is counted and the groups are not in them.
    pub fn packed(&self) -> impl Iterator<Item = (StreamId, Vec<Bytes>)> {
        self.nodes.iter().map(|(master, node)| (*master, pack(*master, node)))
    }

    /// Adds a node, and counts its entries in the length; `None`, and no change, if the elements are not one, or
    /// there is one of this ID. Everything else that is counted is set with [`Stream::counters_mut`].
    pub fn push_packed(&mut self, master: StreamId, elements: &[Bytes]) -> Option<()> {
        if self.nodes.contains_key(&master) {
            return None;
        }
        let node = unpack(master, elements)?;
        self.bytes += node.bytes();
        self.counters.length += node.live() as u64;
        self.nodes.insert(master, node);
        self.find_first();
        Some(())
    }
}

fn integer(number: i64) -> Bytes {
    Bytes::from(number.to_string())
}

fn count(number: usize) -> Bytes {
    Bytes::from(number.to_string())
}

fn pack(master: StreamId, node: &Node) -> Vec<Bytes> {
    let names = node.names();
    let mut packed = vec![count(node.live()), count(node.entries().len() - node.live()), count(names.len())];
    packed.extend_from_slice(names);
    packed.push(integer(0));
    for entry in node.entries() {
        let start = packed.len();
        let fields: Vec<Bytes> = entry.fields.copies().collect();
        let same = node.leaves_names_out(&fields);
        let flags = if entry.deleted { DELETED } else { 0 } | if same { SAME_NAMES } else { 0 };
        packed.push(integer(flags));
        packed.push(integer(entry.id.ms.wrapping_sub(master.ms).cast_signed()));
        packed.push(integer(entry.id.seq.wrapping_sub(master.seq).cast_signed()));
        if same {
            packed.extend(fields.into_iter().skip(1).step_by(2));
        } else {
            packed.push(count(fields.len() / 2));
            packed.extend(fields);
        }
        packed.push(count(packed.len() - start));
    }
    packed
}

fn unpack(master: StreamId, elements: &[Bytes]) -> Option<Node> {
    let mut rest = Rest(elements);
    let (live, deleted) = (rest.count()?, rest.count()?);
    let names = rest.count()?;
    let names = rest.take(names)?.to_vec();
    if rest.integer()? != 0 {
        return None;
    }
    let mut node = Node::new(master, names.clone());
    while !rest.0.is_empty() {
        let before = rest.0.len();
        let flags = rest.integer()?;
        let ms = master.ms.wrapping_add(rest.integer()?.cast_unsigned());
        let seq = master.seq.wrapping_add(rest.integer()?.cast_unsigned());
        let fields: Vec<Bytes> = if flags & SAME_NAMES != 0 {
            let values = rest.take(names.len())?;
            names.iter().zip(values).flat_map(|(name, value)| [name.clone(), value.clone()]).collect()
        } else {
            let pairs = rest.count()?;
            rest.take(pairs.checked_mul(2)?)?.to_vec()
        };
        let read = before - rest.0.len();
        if rest.count()? != read {
            return None;
        }
        let at = node.entries().len();
        node.push(StreamId { ms, seq }, &fields);
        if flags & DELETED != 0 {
            node.delete(at);
        }
    }
    let entries = node.entries().len();
    (entries > 0 && node.live() == live && entries - node.live() == deleted).then_some(node)
}

/// Elements still to be read.
struct Rest<'a>(&'a [Bytes]);

impl<'a> Rest<'a> {
    fn integer(&mut self) -> Option<i64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        strict_i64(first)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.integer()?).ok()
    }

    fn take(&mut self, count: usize) -> Option<&'a [Bytes]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}
