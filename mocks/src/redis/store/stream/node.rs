//! Nodes of a stream: up to some entries, or some bytes, that are kept and dropped together.
//!
//! Redis packs a node's entries into one listpack. Entries are not packed here, but their sizes are counted as
//! if they were, since a full listpack begins a new node, and approximate trimming drops whole nodes only.
//!
//! A deleted entry stays where it is, marked, until its node is dropped, as in Redis: the first and last entry
//! of a node count, deleted or not.

use bytes::Bytes;

use super::{Fields, StreamId};
use crate::redis::engine::number::strict_i64;

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEntry {
    /// Its ID.
    pub id: StreamId,
    /// Names and values, in turns.
    pub fields: Fields,
    pub(super) deleted: bool,
}

/// When a node is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeLimits {
    /// Bytes, or 0 for the most a listpack may have (`stream-node-max-bytes`).
    pub bytes: u64,
    /// Entries, deleted ones included, or 0 for any number (`stream-node-max-entries`).
    pub entries: u64,
}

/// Most bytes of a listpack, and of the names and values of one entry.
pub(super) const LISTPACK_BYTES: usize = 1 << 30;

/// Entries in the order in which they were added.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    master: StreamId,
    /// The names of the first entry, which later ones leave out if they have the same.
    names: Vec<Bytes>,
    entries: Vec<StreamEntry>,
    live: usize,
    /// What the entries take in a listpack.
    bytes: usize,
}

impl Node {
    /// A node without entries; the first one has this ID and these names.
    pub(super) fn new(master: StreamId, names: Vec<Bytes>) -> Self {
        let bytes = integer_bytes(as_integer(names.len()))
            + names.iter().map(|name| text_bytes(name)).sum::<usize>()
            + integer_bytes(0);
        Self { master, names, entries: Vec::new(), live: 0, bytes }
    }

    /// Adds an entry at the end; the bytes it takes.
    pub(super) fn push(&mut self, id: StreamId, fields: &[Bytes]) -> usize {
        let cost = self.cost(id, fields);
        self.bytes += cost;
        self.live += 1;
        self.entries.push(StreamEntry { id, fields: Fields::new(fields), deleted: false });
        cost
    }

    /// Whether an entry with these fields belongs into a new node.
    pub(super) fn is_full(&self, fields: &[Bytes], limits: NodeLimits) -> bool {
        let most = usize::try_from(limits.bytes).unwrap_or(LISTPACK_BYTES);
        let most = if most == 0 { LISTPACK_BYTES } else { most.min(LISTPACK_BYTES) };
        let payload: usize = fields.iter().map(Bytes::len).sum();
        let count = self.entries.len() as u64;
        self.listpack_bytes() + payload >= most || limits.entries != 0 && count >= limits.entries
    }

    /// Marks the entry at a position as deleted; whether it was not yet.
    pub(super) fn delete(&mut self, at: usize) -> bool {
        let Some(entry) = self.entries.get_mut(at).filter(|entry| !entry.deleted) else { return false };
        entry.deleted = true;
        self.live -= 1;
        true
    }

    /// The entries, deleted ones included.
    pub(super) fn entries(&self) -> &[StreamEntry] {
        &self.entries
    }

    /// How many entries are not deleted.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// What the entries take, without the counters, which change.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The names that entries may leave out.
    pub(super) fn names(&self) -> &[Bytes] {
        &self.names
    }

    /// Whether an entry has the node's names and no others.
    pub(super) fn leaves_names_out(&self, fields: &[Bytes]) -> bool {
        self.names.len() * 2 == fields.len() && self.names.iter().eq(fields.iter().step_by(2))
    }

    /// Bytes of the whole listpack.
    pub(super) fn listpack_bytes(&self) -> usize {
        const HEADER_AND_END: usize = 7;
        let deleted = self.entries.len() - self.live;
        let counts = integer_bytes(as_integer(self.live)) + integer_bytes(as_integer(deleted));
        HEADER_AND_END + counts + self.bytes
    }

    /// Bytes of one entry: flags, ID as two differences, then names unless they are the node's, values, and how
    /// many pieces there were.
    fn cost(&self, id: StreamId, fields: &[Bytes]) -> usize {
        let pairs = as_integer(fields.len() / 2);
        let differences = integer_bytes(id.ms.wrapping_sub(self.master.ms).cast_signed())
            + integer_bytes(id.seq.wrapping_sub(self.master.seq).cast_signed());
        let rest = if self.leaves_names_out(fields) {
            fields.iter().skip(1).step_by(2).map(|text| text_bytes(text)).sum::<usize>()
                + integer_bytes(3 + pairs)
        } else {
            fields.iter().map(|text| text_bytes(text)).sum::<usize>()
                + integer_bytes(pairs)
                + integer_bytes(4 + 2 * pairs)
        };
        // The flags are a small number whatever they say.
        integer_bytes(0) + differences + rest
    }
}

fn as_integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Bytes of an integer in a listpack, the length that follows it for walking back included.
fn integer_bytes(value: i64) -> usize {
    1 + match value {
        0..=127 => 1,
        -4096..=4095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    }
}

/// Bytes of a text in a listpack: as an integer if it is one.
pub(super) fn text_bytes(text: &[u8]) -> usize {
    if let Some(value) = strict_i64(text) {
        return integer_bytes(value);
    }
    let body = text.len()
        + match text.len() {
            0..64 => 1,
            64..4096 => 2,
            _ => 5,
        };
    body + match body {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}
