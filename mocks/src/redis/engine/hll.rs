//! HyperLogLogs as Redis 7.0 lays them out in strings (`hyperloglog.c`), byte for byte.
//!
//! A header of 16 bytes: `HYLL`, the encoding, three bytes of nothing, and the last estimate, whose highest bit
//! says that it is stale. Then 16384 registers: *dense*, 6 bits each, or *sparse*, as runs: `00nnnnnn` n+1 zeros,
//! `01nnnnnn nnnnnnnn` n+1 zeros, `1vvvvvnn` n+1 registers of v+1.
//!
//! Clients can set such a string to anything, so nothing here trusts what it reads.

use bytes::BytesMut;

pub(crate) const REGISTERS: usize = 16384;
const HEADER: usize = 16;
const REGISTER_BITS: usize = 6;
const REGISTER_MAX: usize = 63;
const DENSE_BYTES: usize = HEADER + REGISTERS * REGISTER_BITS / 8;
const ENCODING: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const CACHE: std::ops::Range<usize> = 8..16;
const STALE: u64 = 1 << 63;
/// Bits of a hash behind those that choose the register; a run of zeros in them is at most one longer.
const RUN_BITS: usize = 50;
/// Highest value, and longest runs, of the sparse encoding.
const SPARSE_VALUE_MAX: u8 = 32;
const VALUE_RUN: usize = 4;
const SHORT_RUN: usize = 64;

/// The string is not what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupted;

/// A sketch without elements.
pub(crate) fn empty() -> BytesMut {
    let mut data = BytesMut::zeroed(HEADER);
    data[..4].copy_from_slice(b"HYLL");
    data[ENCODING] = SPARSE;
    data.extend_from_slice(&Run::Zeros(REGISTERS).bytes());
    data
}

/// Whether a string looks like a sketch. The runs of a sparse one are not looked at.
pub(crate) fn is_sketch(data: &[u8]) -> bool {
    data.len() >= HEADER
        && data.starts_with(b"HYLL")
        && (data[ENCODING] == SPARSE || data[ENCODING] == DENSE && data.len() == DENSE_BYTES)
}

/// Whether a sketch is in the dense encoding.
pub(crate) fn is_dense(data: &[u8]) -> bool {
    data[ENCODING] == DENSE
}

/// The last estimate, unless it is stale.
pub(crate) fn cached(data: &[u8]) -> Option<u64> {
    let estimate = data[CACHE].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (estimate & STALE == 0).then_some(estimate)
}

/// Notes an estimate.
pub(crate) fn cache(data: &mut [u8], estimate: u64) {
    data[CACHE].copy_from_slice(&estimate.to_le_bytes());
}

/// Makes the noted estimate stale.
pub(crate) fn invalidate(data: &mut [u8]) {
    data[CACHE.end - 1] |= 0x80;
}

/// Adds an element; whether a register changed. A sparse sketch longer than `most_sparse` bytes becomes dense.
pub(crate) fn add(data: &mut BytesMut, element: &[u8], most_sparse: usize) -> Result<bool, Corrupted> {
    let (index, run) = place(element);
    raise(data, index, run, most_sparse)
}

/// The register of an element, and the length of its hash's run of zeros, the one behind it included.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element);
    let run = (hash >> 14 | 1 << RUN_BITS).trailing_zeros() + 1;
    ((hash & 0x3fff) as usize, u8::try_from(run).unwrap_or(u8::MAX))
}

/// MurmurHash64A by Austin Appleby, with the seed of Redis.
fn murmur(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = chunk.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        word = word.wrapping_mul(M);
        word = (word ^ word >> 47).wrapping_mul(M);
        hash = (hash ^ word).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

/// Sets a register unless it is as high already; whether it did.
pub(crate) fn raise(
    data: &mut BytesMut,
    index: usize,
    value: u8,
    most_sparse: usize,
) -> Result<bool, Corrupted> {
    if is_dense(data) {
        let registers = &mut data[HEADER..];
        let higher = value > register(registers, index);
        if higher {
            set_register(registers, index, value);
        }
        return Ok(higher);
    }
    if value <= SPARSE_VALUE_MAX
        && let Some(raised) = raise_sparse(data, index, value, most_sparse)?
    {
        return Ok(raised);
    }
    make_dense(data)?;
    raise(data, index, value, most_sparse)
}

fn register(registers: &[u8], index: usize) -> u8 {
    let (byte, bit) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let at = |at: usize| usize::from(registers.get(at).copied().unwrap_or(0));
    let value = (at(byte) | at(byte + 1) << 8) >> bit & REGISTER_MAX;
    u8::try_from(value).unwrap_or(0)
}

fn set_register(registers: &mut [u8], index: usize, value: u8) {
    let (byte, bit) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let (mask, value) = ((REGISTER_MAX << bit).to_le_bytes(), (usize::from(value) << bit).to_le_bytes());
    for (place, (mask, value)) in registers[byte..].iter_mut().zip(mask.into_iter().zip(value)).take(2) {
        *place = *place & !mask | value;
    }
}

/// A run of the sparse encoding.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Run {
    Zeros(usize),
    Values(u8, usize),
}

impl Run {
    /// The run at the start of `bytes`, and how many of them it takes. As in the real server, a run that lacks
    /// its second byte finds a zero there.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => (Self::Zeros(low + 1), 1),
            1 => (Self::Zeros((low << 8 | usize::from(bytes.get(1).copied().unwrap_or(0))) + 1), 2),
            _ => (Self::Values((first >> 2 & 0x1f) + 1, usize::from(first & 3) + 1), 1),
        })
    }

    fn len(self) -> usize {
        match self {
            Self::Zeros(length) | Self::Values(_, length) => length,
        }
    }

    fn value(self) -> u8 {
        match self {
            Self::Zeros(_) => 0,
            Self::Values(value, _) => value,
        }
    }

    fn with_len(self, length: usize) -> Self {
        match self {
            Self::Zeros(_) => Self::Zeros(length),
            Self::Values(value, _) => Self::Values(value, length),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "lengths fit their runs")]
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Zeros(length) if length <= SHORT_RUN => vec![(length - 1) as u8],
            Self::Zeros(length) => vec![0x40 | ((length - 1) >> 8) as u8, (length - 1) as u8],
            Self::Values(value, length) => vec![0x80 | (value - 1) << 2 | (length - 1) as u8],
        }
    }
}

/// The runs of a sparse sketch, each with its position.
fn runs(data: &[u8]) -> impl Iterator<Item = (usize, Run)> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let (run, size) = Run::read(data.get(at..)?)?;
        at += size;
        Some((at - size, run))
    })
}

/// Raises a register of a sparse sketch; `None` if there is no room.
fn raise_sparse(
    data: &mut BytesMut,
    index: usize,
    value: u8,
    most_sparse: usize,
) -> Result<Option<bool>, Corrupted> {
    let (mut first, mut before, mut found) = (0, None, None);
    for (at, run) in runs(data) {
        if index < first + run.len() {
            found = Some((at, run));
            break;
        }
        first += run.len();
        before = Some(at);
    }
    let (at, run) = found.ok_or(Corrupted)?;
    if run.value() >= value {
        return Ok(Some(false));
    }
    let (left, right) = (index - first, first + run.len() - 1 - index);
    let mut bytes = Vec::with_capacity(5);
    if left > 0 {
        bytes.extend(run.with_len(left).bytes());
    }
    bytes.extend(Run::Values(value, 1).bytes());
    if right > 0 {
        bytes.extend(run.with_len(right).bytes());
    }
    let size = Run::read(&data[at..]).map_or(1, |(_, size)| size).min(data.len() - at);
    if bytes.len() > size && data.len() + bytes.len() - size > most_sparse {
        return Ok(None);
    }
    let tail = data.split_off(at).split_off(size);
    data.extend_from_slice(&bytes);
    data.extend_from_slice(&tail);
    join_values(data, before.unwrap_or(HEADER));
    invalidate(data);
    Ok(Some(true))
}

/// Joins runs of equal values, looking at five runs from a position on.
fn join_values(data: &mut BytesMut, from: usize) {
    let mut at = from;
    for _ in 0..5 {
        let Some((run, size)) = data.get(at..).and_then(Run::read) else { return };
        let next = data.get(at + 1..).and_then(Run::read);
        match (run, next) {
            (Run::Values(value, left), Some((Run::Values(other, right), _)))
                if value == other && left + right <= VALUE_RUN =>
            {
                data[at] = Run::Values(value, left + right).bytes()[0];
                data.copy_within(at + 2.., at + 1);
                data.truncate(data.len() - 1);
            }
            _ => at += size,
        }
    }
}

/// Turns a sparse sketch into a dense one; whether it was sparse.
pub(crate) fn make_dense(data: &mut BytesMut) -> Result<bool, Corrupted> {
    if is_dense(data) {
        return Ok(false);
    }
    let values = registers(data)?;
    data.truncate(HEADER);
    data.resize(DENSE_BYTES, 0);
    data[ENCODING] = DENSE;
    for (index, value) in values.into_iter().enumerate().filter(|(_, value)| *value > 0) {
        set_register(&mut data[HEADER..], index, value);
    }
    Ok(true)
}

/// The values of all registers.
pub(crate) fn registers(data: &[u8]) -> Result<Vec<u8>, Corrupted> {
    if is_dense(data) {
        return Ok((0..REGISTERS).map(|index| register(&data[HEADER..], index)).collect());
    }
    let mut values = Vec::with_capacity(REGISTERS);
    for (_, run) in runs(data) {
        if values.len() + run.len() > REGISTERS {
            return Err(Corrupted);
        }
        values.resize(values.len() + run.len(), run.value());
    }
    if values.len() == REGISTERS { Ok(values) } else { Err(Corrupted) }
}

/// The runs of a sparse sketch as `PFDEBUG DECODE` writes them.
pub(crate) fn decoded(data: &[u8]) -> String {
    let words = runs(data).map(|(at, run)| match run {
        Run::Zeros(length) if data[at] < 0x40 => format!("z:{length}"),
        Run::Zeros(length) => format!("Z:{length}"),
        Run::Values(value, length) => format!("v:{value},{length}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// How many different elements led to these registers: the estimator of Otmar Ertl ("New cardinality estimation
/// algorithms for HyperLogLog sketches", arXiv:1702.01284).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts are small, and an estimate too large for an integer is told apart"
)]
pub(crate) fn estimate(registers: &[u8]) -> u64 {
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let mut histogram = [0_usize; REGISTER_MAX + 1];
    for value in registers {
        histogram[usize::from(*value)] += 1;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau((m - histogram[RUN_BITS + 1] as f64) / m);
    for count in histogram[1..=RUN_BITS].iter().rev() {
        z += *count as f64;
        z *= 0.5;
    }
    z += m * sigma(histogram[0] as f64 / m);
    let estimate = (ALPHA * m * m / z).round();
    // What is too large is the smallest integer, as the C library rounds it.
    if estimate < 9.2e18 { estimate as u64 } else { STALE }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 3000;

    proptest! {
        #[test]
        fn sparse_and_dense_hold_the_same_registers(
            raised in prop::collection::vec((0_usize..REGISTERS, 1_u8..33), 0..300),
        ) {
            let (mut sparse, mut dense) = (empty(), empty());
            make_dense(&mut dense).expect("an empty sketch is whole");
            for (index, value) in raised {
                prop_assert_eq!(
                    raise(&mut sparse, index, value, 100_000),
                    raise(&mut dense, index, value, 100_000)
                );
                prop_assert!(!is_dense(&sparse));
            }
            prop_assert_eq!(registers(&sparse), registers(&dense));
        }

        #[test]
        fn whatever_a_string_holds_it_is_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut data = empty();
            data.truncate(HEADER);
            data.extend_from_slice(&tail);
            prop_assert!(is_sketch(&data));
            let _ = registers(&data).map(|registers| estimate(&registers));
            let _ = decoded(&data);
            for element in 0..50_u8 {
                let _ = add(&mut data, &[element], 100);
            }
            let _ = make_dense(&mut data);
        }
    }

    #[test]
    fn an_estimate_is_within_a_few_percent() {
        let mut data = empty();
        for element in 0..20_000_u32 {
            add(&mut data, &element.to_le_bytes(), MOST).expect("a whole sketch");
        }
        assert!(is_dense(&data));
        let estimate = estimate(&registers(&data).expect("a whole sketch"));
        assert!((19_200..20_800).contains(&estimate), "{estimate}");
    }
}
