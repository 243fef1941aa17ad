//! Values of each type: which form they are written in, and how each form is read.

use std::sync::Arc;

use bytes::Bytes;

use super::blob::{read_intset, write_intset, ziplist};
use super::listpack::{self, Listpack};
use super::read::{Reader, write_length, write_string};
use super::{Layout, hash, stream};
use crate::redis::engine::number::{float, packed_score, strict_i64};
use crate::redis::store::{End, List, Set, Str, Value, Zset};

/// The first byte of a payload.
pub(super) mod form {
    pub(in super::super) const STRING: u8 = 0;
    pub(in super::super) const LIST: u8 = 1;
    pub(in super::super) const SET: u8 = 2;
    pub(in super::super) const ZSET_TEXT: u8 = 3;
    pub(in super::super) const HASH: u8 = 4;
    pub(in super::super) const ZSET: u8 = 5;
    pub(in super::super) const LIST_ZIPLIST: u8 = 10;
    pub(in super::super) const SET_INTEGERS: u8 = 11;
    pub(in super::super) const ZSET_ZIPLIST: u8 = 12;
    pub(in super::super) const HASH_ZIPLIST: u8 = 13;
    pub(in super::super) const LIST_ZIPLISTS: u8 = 14;
    pub(in super::super) const STREAM_OLD: u8 = 15;
    pub(in super::super) const HASH_LISTPACK: u8 = 16;
    pub(in super::super) const ZSET_LISTPACK: u8 = 17;
    pub(in super::super) const LIST_LISTPACKS: u8 = 18;
    pub(in super::super) const STREAM: u8 = 19;
    pub(in super::super) const HASH_TIMED: u8 = 24;
    pub(in super::super) const HASH_LISTPACK_TIMED: u8 = 25;
}

/// What a node of a list is: one large element, or a listpack.
const NODE_PLAIN: usize = 1;
const NODE_PACKED: usize = 2;

/// Writes a value behind its form.
pub(super) fn write(value: &Value, layout: &Layout, out: &mut Vec<u8>) {
    let mut string = |form: u8, text: &[u8]| {
        out.push(form);
        write_string(text, layout.compress, out);
    };
    match value {
        Value::Str(text) => string(form::STRING, text.data()),
        Value::Set(set) if !set.is_table() => {
            let integers: Vec<i64> = set.iter().filter_map(|member| strict_i64(&member)).collect();
            string(form::SET_INTEGERS, &write_intset(&integers));
        }
        Value::Zset(zset) if !zset.is_table() => {
            let mut packed = Listpack::new();
            for item in zset.all() {
                packed.push(&item.member);
                packed.push(packed_score(item.score).as_bytes());
            }
            string(form::ZSET_LISTPACK, &packed.finish());
        }
        Value::Set(set) => {
            out.push(form::SET);
            write_length(set.len(), out);
            set.iter().for_each(|member| write_string(&member, layout.compress, out));
        }
        Value::Hash(found) => hash::write(found, layout.compress, out),
        Value::Zset(zset) => {
            out.push(form::ZSET);
            write_length(zset.len(), out);
            // The last first, so that a reader adds each at the front.
            for item in zset.all().into_iter().rev() {
                write_string(&item.member, layout.compress, out);
                out.extend_from_slice(&item.score.to_le_bytes());
            }
        }
        Value::List(list) => write_list(list, layout, out),
        Value::Stream(found) => {
            out.push(form::STREAM);
            stream::write(found, layout.compress, out);
        }
    }
}

fn write_list(list: &List, layout: &Layout, out: &mut Vec<u8>) {
    let mut nodes: Vec<Listpack> = Vec::new();
    for element in list.iter() {
        match nodes.last_mut() {
            Some(node) if has_room(node, element.len(), layout.list_node) => node.push(element),
            _ => {
                let mut node = Listpack::new();
                node.push(element);
                nodes.push(node);
            }
        }
    }
    out.push(form::LIST_LISTPACKS);
    write_length(nodes.len(), out);
    for node in nodes {
        write_length(NODE_PACKED, out);
        write_string(&node.finish(), layout.compress, out);
    }
}

/// Whether a node of a list takes another element of `length` bytes.
fn has_room(node: &Listpack, length: usize, limit: i64) -> bool {
    const SIZES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
    const SAFE_BYTES: usize = 8192;
    /// What an element costs beside its bytes, guessed high.
    const OVERHEAD: usize = 8;
    let size = node.size() + length + OVERHEAD;
    match usize::try_from(limit) {
        Ok(most) => size <= SAFE_BYTES && node.count() < most,
        Err(_) => size <= SIZES[usize::try_from(-1 - limit).unwrap_or(0).min(SIZES.len() - 1)],
    }
}

/// Reads a value behind its form; `None` if it is damaged or empty.
pub(super) fn read(from: &mut Reader<'_>, layout: &Layout) -> Option<Value> {
    Some(match from.byte()? {
        form::STRING => Value::Str(Str::encoded(from.string()?)),
        form::LIST => Value::List(Arc::new(list(strings(from, 1)?)?)),
        form::LIST_ZIPLIST => Value::List(Arc::new(list(ziplist(&from.string()?)?)?)),
        form::LIST_ZIPLISTS => {
            let nodes = strings(from, 1)?;
            let elements = nodes.iter().map(|node| ziplist(node)).collect::<Option<Vec<_>>>()?;
            Value::List(Arc::new(list(elements.concat())?))
        }
        form::LIST_LISTPACKS => Value::List(Arc::new(list(nodes(from)?)?)),
        form::SET => Value::Set(Arc::new(set(strings(from, 1)?, layout)?)),
        form::SET_INTEGERS => {
            let integers = read_intset(&from.string()?)?;
            let members = integers.into_iter().map(|number| Bytes::from(number.to_string()));
            Value::Set(Arc::new(set(members.collect(), layout)?))
        }
        form @ (form::HASH
        | form::HASH_LISTPACK
        | form::HASH_ZIPLIST
        | form::HASH_TIMED
        | form::HASH_LISTPACK_TIMED) => Value::Hash(Arc::new(hash::read(form, from, layout)?)),
        form @ (form::ZSET | form::ZSET_TEXT) => {
            let zset = zset(scored(from, form == form::ZSET)?, (0, 0))?;
            Value::Zset(Arc::new(zset.packed(layout.zset)))
        }
        form @ (form::ZSET_LISTPACK | form::ZSET_ZIPLIST) => {
            let elements = packed(form, &from.string()?)?;
            let pair = |pair: &[Bytes]| Some((pair.first()?.clone(), float(pair.get(1)?)?));
            let items = elements.chunks(2).map(pair).collect::<Option<Vec<_>>>()?;
            let is_table = items.len() > layout.zset.0;
            let limits = if is_table { (0, 0) } else { (usize::MAX, usize::MAX) };
            Value::Zset(Arc::new(zset(items, limits)?))
        }
        form @ (form::STREAM | form::STREAM_OLD) => {
            Value::Stream(Arc::new(stream::read(from, form == form::STREAM_OLD)?))
        }
        _ => return None,
    })
}

pub(super) fn packed(form: u8, bytes: &[u8]) -> Option<Vec<Bytes>> {
    let is_ziplist = matches!(form, form::HASH_ZIPLIST | form::ZSET_ZIPLIST);
    if is_ziplist { ziplist(bytes) } else { listpack::elements(bytes) }
}

/// A counted row of strings, `each` of them to an element. Nothing is allocated for what is only announced.
pub(super) fn strings(from: &mut Reader<'_>, each: u64) -> Option<Vec<Bytes>> {
    let count = from.length()?.checked_mul(each)?;
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(from.string()?);
    }
    Some(found)
}

fn scored(from: &mut Reader<'_>, binary: bool) -> Option<Vec<(Bytes, f64)>> {
    let mut found = Vec::new();
    for _ in 0..from.length()? {
        let member = from.string()?;
        found.push((member, if binary { from.float()? } else { from.text_float()? }));
    }
    Some(found)
}

fn nodes(from: &mut Reader<'_>) -> Option<Vec<Bytes>> {
    let mut elements = Vec::new();
    for _ in 0..from.length()? {
        let kind = usize::try_from(from.length()?).ok()?;
        let node = from.string().filter(|node| !node.is_empty())?;
        match kind {
            NODE_PLAIN => elements.push(node),
            NODE_PACKED => elements.extend(listpack::elements(&node)?),
            _ => return None,
        }
    }
    Some(elements)
}

fn list(elements: Vec<Bytes>) -> Option<List> {
    let mut list = List::default();
    elements.into_iter().for_each(|element| list.push(End::Right, element));
    (!list.is_empty()).then_some(list)
}

/// A set without repetitions.
fn set(members: Vec<Bytes>, layout: &Layout) -> Option<Set> {
    let mut set = Set::default();
    let all_new = members.into_iter().all(|member| set.add(member, layout.set_integers));
    (all_new && !set.is_empty()).then_some(set)
}

/// A sorted set without repeated members. With limits of nothing it is a skiplist.
fn zset(items: Vec<(Bytes, f64)>, limits: (usize, usize)) -> Option<Zset> {
    let mut zset = Zset::default();
    for (member, score) in items {
        if score.is_nan() || zset.score(&member).is_some() {
            return None;
        }
        zset.set(member, score, limits);
    }
    (!zset.is_empty()).then_some(zset)
}
