//! The other pieces of memory that payloads hold whole: sets of integers, and ziplists, which versions before 7
//! wrote in the place of listpacks.

use bytes::Bytes;

/// A set of integers, ascending, each as wide as the widest needs.
pub(super) fn write_intset(integers: &[i64]) -> Vec<u8> {
    let fits = |bits: u32| integers.iter().all(|number| (*number << (64 - bits)) >> (64 - bits) == *number);
    let width: u8 = if fits(16) {
        2
    } else if fits(32) {
        4
    } else {
        8
    };
    let mut out = u32::from(width).to_le_bytes().to_vec();
    out.extend_from_slice(&u32::try_from(integers.len()).unwrap_or(u32::MAX).to_le_bytes());
    integers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()[..width.into()]));
    out
}

/// The integers of a set; `None` if it is not one.
pub(super) fn read_intset(bytes: &[u8]) -> Option<Vec<i64>> {
    let (header, body) = bytes.split_at_checked(8)?;
    let width = u32::from_le_bytes(header[..4].try_into().ok()?);
    let count = u32::from_le_bytes(header[4..].try_into().ok()?);
    let width = usize::try_from(width).ok().filter(|width| matches!(width, 2 | 4 | 8))?;
    if u64::try_from(body.len()).ok()? != u64::from(count) * u64::try_from(width).ok()? || count == 0 {
        return None;
    }
    let integers: Vec<i64> = body.chunks_exact(width).map(integer).collect();
    integers.is_sorted_by(|left, right| left < right).then_some(integers)
}

/// An integer of one to eight bytes, the lowest first.
fn integer(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len();
    let unsigned = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (unsigned << unused).cast_signed() >> unused
}

/// The elements of a ziplist; `None` if it is not one.
pub(super) fn ziplist(bytes: &[u8]) -> Option<Vec<Bytes>> {
    const HEADER: usize = 10;
    let header = bytes.get(..HEADER)?;
    let size = u32::from_le_bytes(header[..4].try_into().ok()?);
    if usize::try_from(size).ok()? != bytes.len() || bytes.last() != Some(&0xff) {
        return None;
    }
    let mut rest = &bytes[HEADER..bytes.len() - 1];
    let mut elements = Vec::new();
    while let Some(first) = rest.first() {
        // The length of the element before, in one byte or in five.
        rest = rest.get(if *first < 254 { 1 } else { 5 }..)?;
        let (element, length) = ziplist_element(rest)?;
        elements.push(element);
        rest = &rest[length..];
    }
    Some(elements)
}

/// The element at the start of `bytes`, and how many of them it takes.
fn ziplist_element(bytes: &[u8]) -> Option<(Bytes, usize)> {
    let first = *bytes.first()?;
    let number = |size: usize| -> Option<(Bytes, usize)> {
        Some((Bytes::from(integer(bytes.get(1..=size)?).to_string()), 1 + size))
    };
    let (head, length): (usize, usize) = match first {
        0x00..=0x3f => (1, usize::from(first)),
        0x40..=0x7f => (2, usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(1)?)),
        0x80 => {
            let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?);
            (5, usize::try_from(length).ok()?)
        }
        0xc0 => return number(2),
        0xd0 => return number(4),
        0xe0 => return number(8),
        0xf0 => return number(3),
        0xfe => return number(1),
        0xf1..=0xfd => return Some((Bytes::from((first - 0xf1).to_string()), 1)),
        _ => return None,
    };
    let text = bytes.get(head..head.checked_add(length)?)?;
    Some((Bytes::copy_from_slice(text), head + length))
}
