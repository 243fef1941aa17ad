//! Strings as rows of bits, behaving as `bitops.c` of Redis 7.0. The fields of `BITFIELD` are next door.
//!
//! Bit 0 is the highest bit of the first byte. A string grows to the byte of the last bit written and never
//! beyond `proto-max-bulk-len`, which bounds offsets.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::{GENERIC, STRING};
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Str, Value};

pub(super) const BAD_OFFSET: CmdError = CmdError::fixed("ERR bit offset is not an integer or out of range");

pub(crate) fn setbit(call: &mut Call<'_>) -> Outcome {
    const NOT_A_BIT: CmdError = CmdError::fixed("ERR bit is not an integer or out of range");
    let offset = strict_i64(&call.args[2]).ok_or(BAD_OFFSET).and_then(|offset| checked(call, offset))?;
    let on = match strict_i64(&call.args[3]) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(NOT_A_BIT),
    };
    let mut target = Target::open(call, offset)?;
    let (byte, mask) = (target.byte(offset / 8), 0x80 >> (offset % 8));
    let before = byte & mask != 0;
    target.write(offset / 8, if on { byte | mask } else { byte & !mask });
    target.changes = usize::from(target.grows() || before != on);
    target.close(call);
    Ok(Reply::flag(before))
}

pub(crate) fn getbit(call: &mut Call<'_>) -> Outcome {
    let offset = strict_i64(&call.args[2]).ok_or(BAD_OFFSET).and_then(|offset| checked(call, offset))?;
    let data = call.read_str(&call.args[1])?.unwrap_or_default();
    Ok(Reply::flag(data.get(offset / 8).is_some_and(|byte| byte & 0x80 >> (offset % 8) != 0)))
}

/// An offset in bits within the longest string there may be.
pub(super) fn checked(call: &Call<'_>, offset: i64) -> Result<usize, CmdError> {
    let offset = usize::try_from(offset).map_err(|_| BAD_OFFSET)?;
    if offset / 8 >= call.engine.config.bulk_bytes { Err(BAD_OFFSET) } else { Ok(offset) }
}

/// A string that bits are written to: the command's key, and what will be different in it.
pub(super) struct Target {
    before: Option<Bytes>,
    length: usize,
    written: BTreeMap<usize, u8>,
    /// Changes to count.
    pub(super) changes: usize,
}

impl Target {
    /// The string of the command's key, to become long enough for the bit at `last`.
    pub(super) fn open(call: &mut Call<'_>, last: usize) -> Result<Self, CmdError> {
        let before = call.look_str(&call.args[1])?;
        Ok(Self { before, length: last / 8 + 1, written: BTreeMap::new(), changes: 0 })
    }

    #[cfg(test)]
    pub(super) fn of(data: Vec<u8>) -> Self {
        Self { length: data.len(), before: Some(data.into()), written: BTreeMap::new(), changes: 0 }
    }

    /// Whether the string is new or becomes longer, which makes any write a change.
    pub(super) fn grows(&self) -> bool {
        self.before.as_ref().is_none_or(|before| before.len() < self.length)
    }

    /// The byte at a position as it is now; behind the end there are zeros.
    pub(super) fn byte(&self, at: usize) -> u8 {
        let before = || self.before.as_ref().and_then(|before| before.get(at)).copied();
        self.written.get(&at).copied().or_else(before).unwrap_or(0)
    }

    /// Sets a byte within the length that was asked for.
    pub(super) fn write(&mut self, at: usize, byte: u8) {
        self.written.insert(at, byte);
    }

    /// Writes the string. The real server makes room, and a plain string of an integer, before it knows
    /// whether anything will change, so that is kept even if nothing counts as a change.
    pub(super) fn close(self, call: &mut Call<'_>) {
        let (key, db, is_new) = (&call.args[1], call.db(), self.before.is_none());
        // While it is held, the bytes cannot be changed in place.
        drop(self.before);
        let (length, written, changes) = (self.length, self.written, self.changes);
        let apply = |data: &mut BytesMut| {
            if data.len() < length {
                data.resize(length, 0);
            }
            for (at, byte) in written {
                data[at] = byte;
            }
        };
        if is_new {
            let mut data = BytesMut::new();
            apply(&mut data);
            call.put(key, Value::Str(Str::raw(data.freeze())), None);
        } else {
            let place = if changes > 0 { call.edit(key) } else { call.engine.store.reshape(db, key) };
            if let Some(Value::Str(text)) = place {
                text.modify(apply);
            }
        }
        if changes > 0 {
            call.notify(STRING, "setbit", key);
        }
    }
}

pub(crate) fn bitop(call: &mut Call<'_>) -> Outcome {
    const ONE_SOURCE: CmdError = CmdError::fixed("ERR BITOP NOT must be called with a single source key.");
    let combine: fn(u8, u8) -> u8 = match &call.args[1] {
        word if is(word, "and") => |left, right| left & right,
        word if is(word, "or") => |left, right| left | right,
        word if is(word, "xor") => |left, right| left ^ right,
        word if is(word, "not") => |left, _| !left,
        _ => return Err(CmdError::SYNTAX),
    };
    let (inverts, keys) = (is(&call.args[1], "not"), call.rest(3));
    if inverts && call.args.len() != 4 {
        return Err(ONE_SOURCE);
    }
    let source = |key| Ok(call.read_str(key)?.unwrap_or_default());
    let sources = keys.iter().map(source).collect::<Result<Vec<Bytes>, CmdError>>()?;
    let length = sources.iter().map(Bytes::len).max().unwrap_or(0);
    let mut result = BytesMut::zeroed(length);
    let (first, others) = sources.split_first().ok_or(CmdError::SYNTAX)?;
    result[..first.len()].copy_from_slice(first);
    if inverts {
        result.iter_mut().for_each(|byte| *byte = combine(*byte, 0));
    }
    for other in others {
        // What is beyond the end of a source is zero.
        let padded = other.iter().copied().chain(std::iter::repeat(0));
        result.iter_mut().zip(padded).for_each(|(byte, other)| *byte = combine(*byte, other));
    }
    let target = &call.args[2];
    if length > 0 {
        call.put(target, Value::Str(Str::raw(result.freeze())), None);
        call.notify(STRING, "set", target);
    } else if call.delete(target) {
        call.notify(GENERIC, "del", target);
    }
    Ok(Reply::count(length))
}

/// A range of bits in a string, both ends included.
struct Span {
    first: usize,
    last: usize,
}

impl Span {
    /// What `start` and `end` select of `length` bytes; negative ones count from the end. `None` if nothing.
    fn of(start: i64, end: i64, length: usize, in_bits: bool) -> Option<Self> {
        let unit = if in_bits { 1 } else { 8 };
        let total = i64::try_from(length * 8 / unit).unwrap_or(i64::MAX);
        let from_end = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
        let (start, end) = (from_end(start), from_end(end).min(total - 1));
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        (start <= end).then(|| Self { first: start * unit, last: end * unit + unit - 1 })
    }

    /// The bits of each byte that the range covers, with the byte's position.
    fn masks(&self) -> impl Iterator<Item = (usize, u8)> {
        let (first, last) = (self.first, self.last);
        (first / 8..=last / 8).map(move |at| {
            let head = if at == first / 8 { 0xff >> (first % 8) } else { 0xff_u8 };
            let tail = if at == last / 8 { 0xff << (7 - last % 8) } else { 0xff_u8 };
            (at, head & tail)
        })
    }
}

fn in_bits(unit: Option<&Bytes>) -> Result<bool, CmdError> {
    match unit {
        None => Ok(false),
        Some(word) if is(word, "byte") => Ok(false),
        Some(word) if is(word, "bit") => Ok(true),
        Some(_) => Err(CmdError::SYNTAX),
    }
}

pub(crate) fn bitcount(call: &mut Call<'_>) -> Outcome {
    // A missing key is answered before the other arguments are looked at.
    let Some(data) = call.read_str(&call.args[1])? else { return Ok(Reply::Int(0)) };
    let (start, end) = match call.args.len() {
        2 => (0, -1),
        4 | 5 => (call.integer(2)?, call.integer(3)?),
        _ => return Err(CmdError::SYNTAX),
    };
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::Int(0));
    }
    let span = Span::of(start, end, data.len(), in_bits(call.args.get(4))?);
    let ones = span.map_or(0, |span| span.masks().map(|(at, mask)| (data[at] & mask).count_ones()).sum());
    Ok(Reply::Int(i64::from(ones)))
}

pub(crate) fn bitpos(call: &mut Call<'_>) -> Outcome {
    const NOT_A_BIT: CmdError = CmdError::fixed("ERR The bit argument must be 1 or 0.");
    let set = match call.integer(2)? {
        0 => false,
        1 => true,
        _ => return Err(NOT_A_BIT),
    };
    let Some(data) = call.read_str(&call.args[1])? else { return Ok(Reply::Int(if set { -1 } else { 0 })) };
    if call.args.len() > 6 {
        return Err(CmdError::SYNTAX);
    }
    let start = if call.args.len() > 3 { call.integer(3)? } else { 0 };
    let in_bits = in_bits(call.args.get(5))?;
    let end_given = call.args.len() > 4;
    let end = if end_given { call.integer(4)? } else { -1 };
    let Some(span) = Span::of(start, end, data.len(), in_bits) else { return Ok(Reply::Int(-1)) };
    let found = span.masks().find_map(|(at, mask)| {
        let wanted = if set { data[at] & mask } else { !data[at] & mask };
        (wanted != 0).then(|| at * 8 + wanted.leading_zeros() as usize)
    });
    Ok(match found {
        Some(position) => Reply::count(position),
        // Without an end the string goes on in zeros.
        None if !set && !end_given => Reply::count(data.len() * 8),
        None => Reply::Int(-1),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn masks_cover_exactly_the_bits_of_a_range(start in -40_i64..40, end in -40_i64..40, length in 0_usize..5) {
            let total = i64::try_from(length * 8).unwrap_or(0);
            let clamp = |at: i64| if at < 0 { (at + total).max(0) } else { at };
            let expected: Vec<i64> = (0..total).filter(|at| (clamp(start)..=clamp(end)).contains(at)).collect();
            let covered: Vec<i64> = Span::of(start, end, length, true)
                .into_iter()
                .flat_map(|span| span.masks().collect::<Vec<_>>())
                .flat_map(|(at, mask)| (0..8).filter(move |bit| mask & 0x80 >> bit != 0).map(move |bit| at * 8 + bit))
                .map(|at| i64::try_from(at).unwrap_or(0))
                .collect();
            prop_assert_eq!(covered, expected);
        }
    }
}
