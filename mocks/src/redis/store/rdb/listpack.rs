//! Listpacks: short lists of strings and integers in one piece of memory (`listpack.c` of Redis 7.0).
//!
//! Six bytes of header, the size of everything and the number of elements; each element with its own length
//! behind it, so that it can be read from the right; one byte of 255 at the end.

use bytes::Bytes;

use crate::redis::engine::number::strict_i64;

const HEADER: usize = 6;
const END: u8 = 0xff;

/// A listpack being filled.
pub(super) struct Listpack {
    bytes: Vec<u8>,
    count: usize,
}

impl Listpack {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; HEADER], count: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The size it has if nothing more is added.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Adds a string; one that is an integer is held as such.
    pub(super) fn push(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        match strict_i64(text) {
            Some(number) => self.push_integer(number),
            None => self.push_string(text),
        }
        let length = self.bytes.len() - start;
        push_length_from_right(length, &mut self.bytes);
        self.count += 1;
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranges are checked")]
    fn push_integer(&mut self, number: i64) {
        let bytes = number.to_le_bytes();
        match number {
            0..=127 => self.bytes.push(number as u8),
            -4096..=4095 => self.bytes.extend_from_slice(&[0xc0 | (number >> 8) as u8 & 0x1f, number as u8]),
            -0x8000..=0x7fff => self.tagged(0xf1, &bytes[..2]),
            -0x80_0000..=0x7f_ffff => self.tagged(0xf2, &bytes[..3]),
            -0x8000_0000..=0x7fff_ffff => self.tagged(0xf3, &bytes[..4]),
            _ => self.tagged(0xf4, &bytes),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "lengths are checked")]
    fn push_string(&mut self, text: &[u8]) {
        match text.len() {
            length @ 0..=63 => self.bytes.push(0x80 | length as u8),
            length @ 64..=4095 => self.bytes.extend_from_slice(&[0xe0 | (length >> 8) as u8, length as u8]),
            length => self.tagged(0xf0, &(length as u32).to_le_bytes()),
        }
        self.bytes.extend_from_slice(text);
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(bytes);
    }

    /// The finished listpack.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let size = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        // A number too large for its place means that elements have to be counted.
        let count = u16::try_from(self.count).unwrap_or(u16::MAX);
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

/// Seven bits a byte, the highest first; every byte but the first says that there are more to its left.
#[expect(clippy::cast_possible_truncation, reason = "seven bits")]
fn push_length_from_right(length: usize, out: &mut Vec<u8>) {
    let septets = length_from_right(length);
    for at in (0..septets).rev() {
        let septet = (length >> (7 * at)) as u8 & 0x7f;
        out.push(if at + 1 == septets { septet } else { septet | 0x80 });
    }
}

/// Bytes of the length behind an element. The real server's bounds are one too low after the first.
fn length_from_right(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// The elements of a listpack; `None` if it is not one.
pub(super) fn elements(bytes: &[u8]) -> Option<Vec<Bytes>> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    let size = u32::from_le_bytes(header[..4].try_into().ok()?);
    let count = usize::from(u16::from_le_bytes(header[4..].try_into().ok()?));
    if usize::try_from(size).ok()? != bytes.len() {
        return None;
    }
    let mut elements = Vec::new();
    while *rest.first()? != END {
        let (element, length) = element(rest)?;
        let end = length + length_from_right(length);
        let mut expected = Vec::with_capacity(5);
        push_length_from_right(length, &mut expected);
        if rest.get(length..end)? != expected {
            return None;
        }
        elements.push(element);
        rest = &rest[end..];
    }
    let counted = count == usize::from(u16::MAX) || count == elements.len();
    (rest.len() == 1 && counted).then_some(elements)
}

/// The element at the start of `bytes`, and how many of them it takes.
fn element(bytes: &[u8]) -> Option<(Bytes, usize)> {
    let first = *bytes.first()?;
    let low = |mask: u8| usize::from(first & mask);
    let (head, length): (usize, usize) = match first {
        0x00..=0x7f => return Some((Bytes::from(first.to_string()), 1)),
        0x80..=0xbf => (1, low(0x3f)),
        0xc0..=0xdf => {
            let number = low(0x1f) << 8 | usize::from(*bytes.get(1)?);
            let number = i64::try_from(number).ok()?;
            let signed = if number >= 4096 { number - 8192 } else { number };
            return Some((Bytes::from(signed.to_string()), 2));
        }
        0xe0..=0xef => (2, low(0x0f) << 8 | usize::from(*bytes.get(1)?)),
        0xf0 => {
            let length = u32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?);
            (5, usize::try_from(length).ok()?)
        }
        0xf1..=0xf4 => {
            let size = [2, 3, 4, 8][usize::from(first - 0xf1)];
            let digits = bytes.get(1..=size)?;
            let unsigned = digits.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let unused = 64 - 8 * size;
            let number = (unsigned << unused).cast_signed() >> unused;
            return Some((Bytes::from(number.to_string()), 1 + size));
        }
        _ => return None,
    };
    let text = bytes.get(head..head.checked_add(length)?)?;
    Some((Bytes::copy_from_slice(text), head + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn elements_come_back(
            numbers in prop::collection::vec(any::<i64>().prop_flat_map(|number| (0_u32..64).prop_map(move |by| number >> by)), 0..20),
            lengths in prop::collection::vec(prop_oneof![0_usize..200, 4000_usize..20_000], 0..8),
        ) {
            let mut texts: Vec<Bytes> = numbers.iter().map(|number| Bytes::from(number.to_string())).collect();
            texts.extend(lengths.into_iter().map(|length| Bytes::from(vec![b'x'; length])));
            let mut packed = Listpack::new();
            texts.iter().for_each(|text| packed.push(text));
            prop_assert_eq!(packed.count(), texts.len());
            let size = packed.size();
            let packed = packed.finish();
            prop_assert_eq!(size, packed.len());
            prop_assert_eq!(elements(&packed), Some(texts));
        }

        #[test]
        fn no_bytes_are_too_odd_to_be_refused(mut bytes in prop::collection::vec(any::<u8>(), 6..60)) {
            let size = u32::try_from(bytes.len()).unwrap_or(0);
            bytes[..4].copy_from_slice(&size.to_le_bytes());
            let _ = elements(&bytes);
        }
    }
}
