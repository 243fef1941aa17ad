//! Streams: their nodes as listpacks, what is counted, the groups and what is pending in them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::listpack::{self, Listpack};
use super::read::{Reader, write_length, write_number, write_string};
use crate::redis::store::{Counters, Group, Stream, StreamId};

/// How a group is written that does not know how many entries it has read.
const UNKNOWN: u64 = u64::MAX;

pub(super) fn write(stream: &Stream, compress: bool, out: &mut Vec<u8>) {
    write_length(stream.radix_keys(), out);
    for (master, elements) in stream.packed() {
        write_string(&master.to_bytes(), compress, out);
        let mut packed = Listpack::new();
        elements.iter().for_each(|element| packed.push(element));
        write_string(&packed.finish(), compress, out);
    }
    let counters = stream.counters();
    write_number(counters.length, out);
    for id in [counters.last_id, counters.first_id, counters.max_deleted_id] {
        write_id(id, out);
    }
    write_number(counters.entries_added, out);
    write_length(stream.groups().len(), out);
    for (name, group) in stream.groups() {
        write_string(name, compress, out);
        write_id(group.last_id, out);
        write_number(group.entries_read.map_or(UNKNOWN, i64::cast_unsigned), out);
        write_pending(group, compress, out);
    }
}

/// What is pending in a group, then whom each of its consumers it is pending for.
fn write_pending(group: &Group, compress: bool, out: &mut Vec<u8>) {
    write_length(group.pending().len(), out);
    for (id, pending) in group.pending() {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
        write_number(pending.deliveries, out);
    }
    write_length(group.consumers().len(), out);
    for (name, consumer) in group.consumers() {
        write_string(name, compress, out);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        write_length(consumer.pending().len(), out);
        consumer.pending().iter().for_each(|id| out.extend_from_slice(&id.to_bytes()));
    }
}

fn write_id(id: StreamId, out: &mut Vec<u8>) {
    write_number(id.ms, out);
    write_number(id.seq, out);
}

/// Reads a stream, which may have no entries; `None` if it is damaged. `is_old` is the form of versions before 7,
/// which counted less.
pub(super) fn read(from: &mut Reader<'_>, is_old: bool) -> Option<Stream> {
    let mut stream = Stream::default();
    for _ in 0..from.length()? {
        let master = id_of(&from.string()?)?;
        stream.push_packed(master, &listpack::elements(&from.string()?)?)?;
    }
    let counted = *stream.counters();
    let length = from.length()?;
    let last_id = read_id(from)?;
    *stream.counters_mut() = if is_old {
        Counters { last_id, max_deleted_id: StreamId::MIN, entries_added: length, ..counted }
    } else {
        let (first_id, max_deleted_id) = (read_id(from)?, read_id(from)?);
        Counters { length, last_id, first_id, max_deleted_id, entries_added: from.length()? }
    };
    if length != counted.length {
        return None;
    }
    for _ in 0..from.length()? {
        let name = from.string()?;
        let last_id = read_id(from)?;
        let entries_read = if is_old {
            stream.counters().distance_from_first(last_id)
        } else {
            Some(from.length()?).filter(|read| *read != UNKNOWN).map(u64::cast_signed)
        };
        let mut group = Group::new(last_id, entries_read);
        read_pending(from, &mut group)?;
        if stream.groups_mut().insert(name, group).is_some() {
            return None;
        }
    }
    Some(stream)
}

fn read_pending(from: &mut Reader<'_>, group: &mut Group) -> Option<()> {
    let mut pending = BTreeMap::new();
    for _ in 0..from.length()? {
        let id = id_of(from.take(16)?)?;
        let (delivered_ms, deliveries) = (from.milliseconds()?, from.length()?);
        if pending.insert(id, (delivered_ms, deliveries)).is_some() {
            return None;
        }
    }
    for _ in 0..from.length()? {
        let name: Bytes = from.string()?;
        if !group.add_consumer(&name, from.milliseconds()?) {
            return None;
        }
        for _ in 0..from.length()? {
            let id = id_of(from.take(16)?)?;
            // Each is pending for exactly one consumer.
            let (delivered_ms, deliveries) = pending.remove(&id)?;
            group.assign(id, &name, delivered_ms, deliveries);
        }
    }
    pending.is_empty().then_some(())
}

fn read_id(from: &mut Reader<'_>) -> Option<StreamId> {
    Some(StreamId { ms: from.length()?, seq: from.length()? })
}

fn id_of(bytes: &[u8]) -> Option<StreamId> {
    let (ms, seq) = bytes.split_at_checked(8)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    Some(StreamId { ms: number(ms)?, seq: number(seq)? })
}
