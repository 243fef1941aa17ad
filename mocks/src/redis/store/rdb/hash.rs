//! Hashes: packed or not, and with the deadlines that fields can have from version 12 of the format on.
//!
//! Deadlines are written as what is added to the first of them, plus one, so that nothing is zero; in a
//! listpack they stand as they are behind each value.

use bytes::Bytes;

use super::Layout;
use super::listpack::Listpack;
use super::read::{Reader, write_length, write_string};
use super::value::{form, packed, strings};
use crate::redis::store::Hash;

/// The latest deadline that the format has room for.
const LATEST_MS: i64 = (1 << 48) - 1;

/// A field, its value, and when it is gone.
type Field = (Bytes, Bytes, Option<i64>);

/// Writes a hash behind its form.
pub(super) fn write(hash: &Hash, compress: bool, out: &mut Vec<u8>) {
    let first = hash.next_deadline_ms();
    let form = match (hash.is_table(), hash.is_timed()) {
        (false, true) => form::HASH_LISTPACK_TIMED,
        (false, false) => form::HASH_LISTPACK,
        (true, _) if first.is_some() => form::HASH_TIMED,
        (true, _) => form::HASH,
    };
    out.push(form);
    if matches!(form, form::HASH_LISTPACK_TIMED | form::HASH_TIMED) {
        out.extend_from_slice(&first.unwrap_or(0).to_le_bytes());
    }
    if !hash.is_table() {
        let mut packed = Listpack::new();
        for (field, value) in hash.iter() {
            packed.push(field);
            packed.push(value);
            if hash.is_timed() {
                packed.push(hash.deadline_ms(field).unwrap_or(0).to_string().as_bytes());
            }
        }
        return write_string(&packed.finish(), compress, out);
    }
    write_length(hash.len(), out);
    for (field, value) in hash.iter() {
        if let Some(first) = first {
            let after = hash.deadline_ms(field).map_or(0, |deadline| deadline - first + 1);
            write_length(usize::try_from(after).unwrap_or(0), out);
        }
        write_string(field, compress, out);
        write_string(value, compress, out);
    }
}

/// Reads a hash behind its form; `None` if it is damaged or empty, or a field comes twice.
pub(super) fn read(form: u8, from: &mut Reader<'_>, layout: &Layout) -> Option<Hash> {
    // What is packed stays packed, however long its texts are.
    let packed_limits = (layout.hash.0, usize::MAX);
    match form {
        form::HASH => hash(pairs(&strings(from, 2)?)?, layout.hash, false),
        form::HASH_TIMED => hash(timed(from)?, layout.hash, true),
        form::HASH_LISTPACK_TIMED => {
            from.take(8)?;
            let elements = packed(form, &from.string()?)?;
            let fields = elements.chunks(3).map(|three| match three {
                [field, value, deadline] => Some((field.clone(), value.clone(), deadline_of(deadline)?)),
                _ => None,
            });
            hash(fields.collect::<Option<_>>()?, packed_limits, true)
        }
        _ => hash(pairs(&packed(form, &from.string()?)?)?, packed_limits, false),
    }
}

fn pairs(texts: &[Bytes]) -> Option<Vec<Field>> {
    let pair = |pair: &[Bytes]| Some((pair.first()?.clone(), pair.get(1)?.clone(), None));
    texts.chunks(2).map(pair).collect()
}

/// Fields behind the first deadline, each behind what is to be added to that. Nothing is allocated for what is
/// only announced.
fn timed(from: &mut Reader<'_>) -> Option<Vec<Field>> {
    let first = i64::from_le_bytes(from.take(8)?.try_into().ok()?);
    let mut fields = Vec::new();
    for _ in 0..from.length()? {
        let deadline = match i64::try_from(from.length()?).ok()? {
            0 => None,
            after => Some(first.checked_add(after - 1).filter(|at| (0..=LATEST_MS).contains(at))?),
        };
        fields.push((from.string()?, from.string()?, deadline));
    }
    Some(fields)
}

/// A deadline in a listpack: none if it is zero; `None` if it is no deadline.
fn deadline_of(text: &[u8]) -> Option<Option<i64>> {
    let at = crate::redis::engine::number::strict_i64(text).filter(|at| (0..=LATEST_MS).contains(at))?;
    Some((at > 0).then_some(at))
}

fn hash(fields: Vec<Field>, limits: (usize, usize), is_timed: bool) -> Option<Hash> {
    let mut hash = Hash::default();
    if is_timed {
        hash.make_timed();
    }
    let mut all_new = true;
    // In a listpack the field that goes first stands first, so the last is set first.
    let mut deadlines = Vec::new();
    for (field, value, deadline) in fields {
        all_new &= hash.set(field.clone(), value, limits);
        deadlines.extend(deadline.map(|deadline| (field, deadline)));
    }
    for (field, deadline) in deadlines.into_iter().rev() {
        hash.set_deadline(&field, Some(deadline));
    }
    (all_new && !hash.is_empty()).then_some(hash)
}
