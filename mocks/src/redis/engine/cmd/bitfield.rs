//! `BITFIELD`: integers of 1 to 64 bits at any bit of a string, behaving as `bitops.c` of Redis 7.0.
//!
//! All operations are parsed before the first one runs, so a bad one leaves the string as it was.

use bytes::Bytes;

use super::bit::{BAD_OFFSET, Target, checked};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// What a value that does not fit turns into.
#[derive(Clone, Copy, PartialEq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

/// Where an integer lies, and how wide it is.
#[derive(Clone, Copy)]
struct Field {
    offset: usize,
    /// 1 to 64, or to 63 without sign.
    bits: usize,
    signed: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Get,
    Set(i64, Overflow),
    Increase(i64, Overflow),
}

pub(crate) fn bitfield(call: &mut Call<'_>) -> Outcome {
    let steps = parse(call)?;
    let writes = steps.iter().filter(|(_, step)| !matches!(step, Step::Get));
    let Some(last) = writes.map(|(field, _)| field.offset + field.bits - 1).max() else {
        return read(call, &steps);
    };
    let mut target = Target::open(call, last)?;
    let run = |(field, step): &(Field, Step)| write(&mut target, *field, *step);
    let replies = steps.iter().map(run).collect();
    target.close(call);
    Ok(Reply::Array(replies))
}

pub(crate) fn bitfield_ro(call: &mut Call<'_>) -> Outcome {
    const READS_ONLY: CmdError = CmdError::fixed("ERR BITFIELD_RO only supports the GET subcommand");
    let steps = parse(call)?;
    if steps.iter().any(|(_, step)| !matches!(step, Step::Get)) {
        return Err(READS_ONLY);
    }
    read(call, &steps)
}

fn read(call: &mut Call<'_>, steps: &[(Field, Step)]) -> Outcome {
    let data = call.read_str(&call.args[1])?.unwrap_or_default();
    Ok(Reply::Array(
        steps
            .iter()
            .map(|(field, _)| Reply::Int(field.get(|at| data.get(at).copied().unwrap_or(0))))
            .collect(),
    ))
}

fn parse(call: &Call<'_>) -> Result<Vec<(Field, Step)>, CmdError> {
    const BAD_OVERFLOW: CmdError = CmdError::fixed("ERR Invalid OVERFLOW type specified");
    let (mut steps, mut overflow) = (Vec::new(), Overflow::Wrap);
    let mut rest = call.rest(2);
    while let Some((word, tail)) = rest.split_first() {
        rest = match tail {
            [kind, tail @ ..] if is(word, "overflow") => {
                overflow = match kind {
                    kind if is(kind, "wrap") => Overflow::Wrap,
                    kind if is(kind, "sat") => Overflow::Saturate,
                    kind if is(kind, "fail") => Overflow::Fail,
                    _ => return Err(BAD_OVERFLOW),
                };
                tail
            }
            [kind, offset, tail @ ..] if is(word, "get") => {
                steps.push((Field::parse(call, kind, offset)?, Step::Get));
                tail
            }
            [kind, offset, value, tail @ ..] if is(word, "set") || is(word, "incrby") => {
                let field = Field::parse(call, kind, offset)?;
                let value = strict_i64(value).ok_or(CmdError::NOT_INTEGER)?;
                let step = if is(word, "set") { Step::Set } else { Step::Increase };
                steps.push((field, step(value, overflow)));
                tail
            }
            _ => return Err(CmdError::SYNTAX),
        };
    }
    Ok(steps)
}

fn write(target: &mut Target, field: Field, step: Step) -> Reply {
    let before = field.get(|at| target.byte(at));
    let (wanted, overflow) = match step {
        Step::Get => return Reply::Int(before),
        Step::Set(value, overflow) => (field.fit(value, 0, overflow), overflow),
        Step::Increase(by, overflow) => (field.fit(before, by, overflow), overflow),
    };
    let Some(after) = wanted else {
        debug_assert!(overflow == Overflow::Fail, "only FAIL writes nothing");
        return Reply::Null;
    };
    field.set(target, after);
    target.changes += usize::from(target.grows() || before != after);
    Reply::Int(if matches!(step, Step::Set(..)) { before } else { after })
}

impl Field {
    fn parse(call: &Call<'_>, kind: &Bytes, offset: &Bytes) -> Result<Self, CmdError> {
        const BAD_TYPE: CmdError = CmdError::fixed(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        let (signed, width, widest) = match kind.split_first() {
            Some((b'i', width)) => (true, width, 64),
            Some((b'u', width)) => (false, width, 63),
            _ => return Err(BAD_TYPE),
        };
        // The real server reads a C string here, which ends at the first zero.
        let width = width.split(|byte| *byte == 0).next().unwrap_or_default();
        let bits = strict_i64(width).and_then(|bits| usize::try_from(bits).ok());
        let bits = bits.filter(|bits| (1..=widest).contains(bits)).ok_or(BAD_TYPE)?;
        let (text, factor) = match offset.split_first() {
            Some((b'#', number)) => (number, i64::try_from(bits).unwrap_or(1)),
            _ => (&offset[..], 1),
        };
        let offset = strict_i64(text).ok_or(BAD_OFFSET)?.wrapping_mul(factor);
        Ok(Self { offset: checked(call, offset)?, bits, signed })
    }

    /// The integer in bytes.
    fn get(self, byte: impl Fn(usize) -> u8) -> i64 {
        let mut value = 0_u64;
        for at in self.offset..self.offset + self.bits {
            value = value << 1 | u64::from(byte(at / 8) >> (7 - at % 8) & 1);
        }
        self.extended(value)
    }

    fn set(self, target: &mut Target, value: i64) {
        for (index, at) in (self.offset..self.offset + self.bits).enumerate() {
            let (byte, mask) = (target.byte(at / 8), 0x80 >> (at % 8));
            let on = value >> (self.bits - 1 - index) & 1 == 1;
            target.write(at / 8, if on { byte | mask } else { byte & !mask });
        }
    }

    /// The low bits as an integer of this type; of no bits, zero.
    #[expect(clippy::cast_possible_wrap, reason = "two's complement is the format")]
    fn extended(self, value: u64) -> i64 {
        let unused = 64 - self.bits.max(1);
        if self.signed { (value << unused) as i64 >> unused } else { (value << unused >> unused) as i64 }
    }

    /// `value` + `by` as the type holds it; `None` if it does not fit and shall fail.
    fn fit(self, value: i64, by: i64, overflow: Overflow) -> Option<i64> {
        let (over, under) =
            if self.signed { self.signed_bounds(value, by) } else { self.unsigned_bounds(value, by) };
        let sum = value.wrapping_add(by);
        if !over && !under {
            return Some(sum);
        }
        let largest = self.largest();
        match overflow {
            Overflow::Wrap => Some(self.extended(sum.cast_unsigned())),
            Overflow::Saturate if over => Some(largest),
            Overflow::Saturate => Some(if self.signed { -largest - 1 } else { 0 }),
            Overflow::Fail => None,
        }
    }

    fn largest(self) -> i64 {
        let bits = if self.signed { self.bits - 1 } else { self.bits };
        i64::MAX >> (63 - bits)
    }

    /// Whether the sum is too large, or else too small. Differences wrap around as they do in the real server,
    /// which takes the smallest of all integers for one that is too large.
    fn signed_bounds(self, value: i64, by: i64) -> (bool, bool) {
        let (max, narrow) = (self.largest(), self.bits < 64);
        let min = -max - 1;
        let (room_up, room_down) = (max.wrapping_sub(value), min.wrapping_sub(value));
        let over = value > max || narrow && by > room_up || value >= 0 && by > 0 && by > room_up;
        let under = value < min || narrow && by < room_down || value < 0 && by < 0 && by < room_down;
        (over, under && !over)
    }

    /// As [`Field::signed_bounds`]; a negative value stands for a large one.
    fn unsigned_bounds(self, value: i64, by: i64) -> (bool, bool) {
        let max = self.largest();
        let over = value < 0 || value > max || by > 0 && by > max - value;
        (over, !over && by < 0 && by < -value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_field_reads_back_what_was_written_and_leaves_its_neighbours(
            (offset, bits, signed) in (0_usize..20, 1_usize..64, any::<bool>()),
            value in any::<i64>(),
            data in prop::collection::vec(any::<u8>(), 11..12),
        ) {
            let field = Field { offset, bits, signed };
            let fits = field.fit(value, 0, Overflow::Wrap).unwrap_or(0);
            let head = Field { offset: 0, bits: offset, signed: false };
            let tail = Field { offset: offset + bits, bits: 3, signed: false };
            let mut target = Target::of(data);
            let neighbours =
                |target: &Target| (head.get(|at| target.byte(at)), tail.get(|at| target.byte(at)));
            let before = neighbours(&target);
            field.set(&mut target, fits);
            prop_assert_eq!(field.get(|at| target.byte(at)), fits);
            prop_assert_eq!(neighbours(&target), before);
        }

        #[test]
        fn what_fits_is_the_sum_and_what_does_not_saturates_or_fails(
            (bits, signed) in (1_usize..40, any::<bool>()),
            (seed, by) in (any::<i64>(), -(1_i64 << 41)..1 << 41),
        ) {
            let field = Field { offset: 0, bits, signed };
            let value = field.extended(seed.cast_unsigned());
            let (low, high) = if signed { (-field.largest() - 1, field.largest()) } else { (0, field.largest()) };
            let sum = value + by;
            prop_assert_eq!(field.fit(value, by, Overflow::Saturate), Some(sum.clamp(low, high)));
            let fits = (low..=high).contains(&sum);
            prop_assert_eq!(field.fit(value, by, Overflow::Fail), fits.then_some(sum));
        }
    }
}
