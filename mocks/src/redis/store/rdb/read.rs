//! Reading and writing of the parts that values are made of: lengths, strings, floats.

use bytes::Bytes;

use super::lzf;
use crate::redis::engine::number::strict_i64;

/// Strings up to this length may be stored as the integer they spell.
const INTEGER_BYTES: usize = 11;
/// Strings up to this length are not compressed.
const UNCOMPRESSED_BYTES: usize = 20;
/// How much shorter a compressed string must be.
const GAIN: usize = 4;

/// Bytes still to be read. Every method answers `None` if they do not hold what is asked for.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// A length, or what stands in its place.
enum Length {
    Count(u64),
    /// A string in a form of its own.
    Special(u8),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn length_or_special(&mut self) -> Option<Length> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3f);
        Some(match first {
            0x00..=0x3f => Length::Count(low),
            0x40..=0x7f => Length::Count(low << 8 | u64::from(self.byte()?)),
            0x80 => Length::Count(u32::from_be_bytes(self.take(4)?.try_into().ok()?).into()),
            0x81 => Length::Count(u64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            0xc0..=0xff => Length::Special(first & 0x3f),
            _ => return None,
        })
    }

    /// A number of elements or bytes. It says nothing about how many there are.
    pub(super) fn length(&mut self) -> Option<u64> {
        match self.length_or_special()? {
            Length::Count(count) => Some(count),
            Length::Special(_) => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A string, in whichever form.
    pub(super) fn string(&mut self) -> Option<Bytes> {
        self.string_within(usize::MAX)
    }

    /// A string that is not compressed from more than `most` bytes.
    pub(crate) fn string_within(&mut self, most: usize) -> Option<Bytes> {
        let form = match self.length_or_special()? {
            Length::Count(count) => {
                return self.take(usize::try_from(count).ok()?).map(Bytes::copy_from_slice);
            }
            Length::Special(form) => form,
        };
        let number = match form {
            0 => i64::from(i8::from_le_bytes(self.take(1)?.try_into().ok()?)),
            1 => i64::from(i16::from_le_bytes(self.take(2)?.try_into().ok()?)),
            2 => i64::from(i32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            3 => {
                let (packed, length) = (self.length()?, self.length()?);
                let packed = self.take(usize::try_from(packed).ok()?)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= most)?;
                return lzf::decompress(packed, length).map(Bytes::from);
            }
            _ => return None,
        };
        Some(Bytes::from(number.to_string()))
    }

    /// A time in Unix milliseconds.
    pub(super) fn milliseconds(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_le_bytes)
    }

    /// A float of eight bytes.
    pub(super) fn float(&mut self) -> Option<f64> {
        self.take(8)?.try_into().ok().map(f64::from_le_bytes)
    }

    /// A float as text behind its length, as versions before 5 wrote it.
    pub(super) fn text_float(&mut self) -> Option<f64> {
        match self.byte()? {
            253 => Some(f64::NAN),
            254 => Some(f64::INFINITY),
            255 => Some(f64::NEG_INFINITY),
            length => crate::redis::engine::number::float(self.take(length.into())?),
        }
    }
}

pub(super) fn write_length(length: usize, out: &mut Vec<u8>) {
    write_number(length as u64, out);
}

#[expect(clippy::cast_possible_truncation, reason = "ranges are checked")]
pub(super) fn write_number(number: u64, out: &mut Vec<u8>) {
    match number {
        length @ 0..=0x3f => out.push(length as u8),
        length @ 0x40..=0x3fff => out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        length @ 0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        length => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

pub(crate) fn write_string(text: &[u8], compress: bool, out: &mut Vec<u8>) {
    let number = Some(text).filter(|text| text.len() <= INTEGER_BYTES).and_then(strict_i64);
    if let Some(number) = number.and_then(|number| i32::try_from(number).ok()) {
        return write_integer(number, out);
    }
    let packed = (compress && text.len() > UNCOMPRESSED_BYTES)
        .then(|| lzf::compress(text, text.len() - GAIN))
        .flatten();
    if let Some(packed) = packed {
        out.push(0xc3);
        write_length(packed.len(), out);
        write_length(text.len(), out);
        out.extend_from_slice(&packed);
    } else {
        write_length(text.len(), out);
        out.extend_from_slice(text);
    }
}

fn write_integer(number: i32, out: &mut Vec<u8>) {
    if let Ok(number) = i8::try_from(number) {
        out.push(0xc0);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xc1);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(0xc2);
        out.extend_from_slice(&number.to_le_bytes());
    }
}
