//! Records inside a batch that is not compressed, read one by one and written.
//!
//! Nothing is copied on the way: a record read is a view of the batch's bytes. Bytes that are no records are an
//! error in Kafka's words, never a panic. Every record of every batch that is produced comes by here: what is
//! inlined and what is kept out of line is so for their sake.

use bytes::{BufMut, Bytes};

/// A record as a view of its batch's bytes; offset and time are relative to the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub attributes: u8,
    pub timestamp_delta: i64,
    pub offset_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// The headers as they are on the wire, their number in front.
    pub headers: &'a [u8],
}

/// A record with its headers read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawRecord {
    pub offset_delta: i64,
    pub timestamp_delta: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// The records of a batch; the first error is the last item.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Records<'a> {
    /// `count` records, which should be all of `bytes`.
    pub fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: bytes, left: count.max(0) }
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, String> {
        let ended = || "Incorrect declared batch size, premature EOF reached".to_owned();
        let length = varint(&mut self.rest).ok_or_else(ended)?;
        let left = self.rest.len();
        let body = usize::try_from(length).ok().and_then(|length| take(&mut self.rest, length));
        let record = read_one(body.ok_or_else(|| too_long(length, left))?)?;
        if self.left == 1 && !self.rest.is_empty() {
            return Err("Incorrect declared batch size, records still remaining in file".to_owned());
        }
        Ok(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, String>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let record = self.read();
        self.left = if record.is_ok() { self.left - 1 } else { 0 };
        Some(record)
    }
}

impl RawRecord {
    /// `record`, which is a view of `within`.
    fn of(record: Record<'_>, within: &Bytes) -> Option<Self> {
        let owned = |part: &[u8]| within.slice_ref(part);
        let mut rest = record.headers;
        let mut headers = Vec::new();
        for _ in 0..varint(&mut rest)? {
            let name = String::from_utf8(nullable(&mut rest)??.to_vec()).ok()?;
            headers.push((name, nullable(&mut rest)?.map(owned)));
        }
        Some(Self {
            offset_delta: record.offset_delta,
            timestamp_delta: record.timestamp_delta,
            key: record.key.map(owned),
            value: record.value.map(owned),
            headers,
        })
    }
}

/// Reads `count` records; `None` if the bytes are not exactly that.
pub(crate) fn read(bytes: &Bytes, count: i32) -> Option<Vec<RawRecord>> {
    if count <= 0 && !bytes.is_empty() {
        return None;
    }
    Records::new(bytes, count).map(|record| RawRecord::of(record.ok()?, bytes)).collect()
}

/// Writes a record.
pub(crate) fn put(out: &mut Vec<u8>, record: &Record<'_>) {
    let mut body = Vec::with_capacity(32);
    body.put_u8(record.attributes);
    put_varint(&mut body, record.timestamp_delta);
    put_varint(&mut body, record.offset_delta);
    let parts = [record.key, record.value];
    let length = |part: Option<&[u8]>| part.map_or(-1, |part| i64::try_from(part.len()).unwrap_or(i64::MAX));
    let sizes: i64 = parts.iter().flatten().map(|part| length(Some(part))).sum();
    let mut ends = Vec::with_capacity(20);
    parts.iter().for_each(|part| put_varint(&mut ends, length(*part)));
    let fixed = i64::try_from(body.len() + ends.len() + record.headers.len()).unwrap_or(i64::MAX);
    put_varint(out, fixed + sizes);
    out.extend_from_slice(&body);
    for part in parts {
        put_varint(out, length(part));
        out.extend_from_slice(part.unwrap_or_default());
    }
    out.extend_from_slice(record.headers);
}

#[inline]
fn read_one(body: &[u8]) -> Result<Record<'_>, String> {
    let mut rest = body;
    let (attributes, timestamp_delta, offset_delta, key, value) = fields(&mut rest).ok_or_else(structure)?;
    // Most have no headers, and end with saying so.
    if rest != [0] {
        check_headers(rest, body.len())?;
    }
    Ok(Record { attributes, timestamp_delta, offset_delta, key, value, headers: rest })
}

/// Whether the headers that end a record of `whole` bytes are some.
#[inline(never)]
fn check_headers(mut rest: &[u8], whole: usize) -> Result<(), String> {
    let count = varint(&mut rest).ok_or_else(structure)?;
    if count < 0 {
        return Err(format!("Found invalid number of record headers {count}"));
    }
    if usize::try_from(count).is_ok_and(|count| count > rest.len()) {
        return Err(format!(
            "Found invalid number of record headers. {count} is larger than the remaining size of the buffer"
        ));
    }
    for _ in 0..count {
        let name = varint(&mut rest).ok_or_else(structure)?;
        let length = usize::try_from(name).map_err(|_| format!("Invalid negative header key size {name}"))?;
        take(&mut rest, length).ok_or_else(structure)?;
        nullable(&mut rest).ok_or_else(structure)?;
    }
    if !rest.is_empty() {
        return Err(format!(
            "Invalid record size: expected to read {whole} bytes in record payload, but instead read {}",
            whole - rest.len()
        ));
    }
    Ok(())
}

#[cold]
fn structure() -> String {
    "Found invalid record structure".to_owned()
}

#[cold]
fn too_long(length: i64, left: usize) -> String {
    format!(
        "Invalid record size: expected {length} bytes in record payload, but instead the buffer has only {left} \
         remaining bytes."
    )
}

type Fields<'a> = (u8, i64, i64, Option<&'a [u8]>, Option<&'a [u8]>);

#[inline]
fn fields<'a>(rest: &mut &'a [u8]) -> Option<Fields<'a>> {
    let attributes = take(rest, 1)?[0];
    Some((attributes, varint(rest)?, varint(rest)?, nullable(rest)?, nullable(rest)?))
}

/// A field that may be null, which any negative length says.
#[expect(clippy::option_option, reason = "outer: the bytes ended; inner: the field is null")]
fn nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint(rest)? {
        ..0 => Some(None),
        length => take(rest, usize::try_from(length).ok()?).map(Some),
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

/// A zigzag varint of up to 64 bits.
#[inline]
fn varint(rest: &mut &[u8]) -> Option<i64> {
    // Nearly all are one byte or two, and every record of every batch has five or more.
    let (value, behind) = match *rest {
        [one @ ..0x80, behind @ ..] => (u16::from(*one), behind),
        [one, two @ ..0x80, behind @ ..] => (u16::from(*one & 0x7f) | u16::from(*two) << 7, behind),
        _ => return long_varint(rest),
    };
    *rest = behind;
    Some(i64::from(value >> 1) ^ -i64::from(value & 1))
}

#[inline(never)]
fn long_varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let magnitude = i64::try_from(value >> 1).ok()?;
            return Some(if value & 1 == 0 { magnitude } else { -magnitude - 1 });
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::super::batch::{HEADER, tests::batch};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_the_codec_wrote_are_read_back() {
        let whole = batch(&["a", "", "ccc"], 100, (-1, -1, -1));
        let records = read(&whole.slice(HEADER..), 3).expect("records");
        let values: Vec<_> = records.iter().map(|r| r.value.clone().expect("a value")).collect();
        assert_eq!(values, [&b"a"[..], b"", b"ccc"]);
        assert_eq!(records.iter().map(|r| r.timestamp_delta).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(read(&whole.slice(HEADER..), 2), None, "bytes are left over");
        assert_eq!(read(&whole.slice(HEADER..), 0), None, "bytes are left over");
        assert_eq!(read(&Bytes::new(), 0), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_records_are_refused_calmly(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            count in any::<i32>(),
        ) {
            let _ = read(&Bytes::from(bytes), count.min(1000));
        }

        #[test]
        fn what_was_written_is_read_back(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
            timestamp_delta: i64,
            offset_delta in 0..i64::from(i32::MAX),
        ) {
            let record = Record {
                attributes: 0,
                timestamp_delta,
                offset_delta,
                key: key.as_deref(),
                value: value.as_deref(),
                headers: &[2, 2, b'h', 1],
            };
            let mut out = Vec::new();
            put(&mut out, &record);
            put(&mut out, &record);
            let read: Vec<_> = Records::new(&out, 2).collect();
            prop_assert_eq!(read, [Ok(record), Ok(record)]);
        }
    }
}
