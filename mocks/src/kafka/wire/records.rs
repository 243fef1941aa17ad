//! Records inside an uncompressed batch, read one by one.
//!
//! Used for what a broker rarely needs (the offset for a timestamp) and for tests that look into a log.
//! Compressed batches are not opened. Bytes that are no records are an error, never a panic.

use bytes::{Buf, Bytes};

/// A record, relative to its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawRecord {
    pub offset_delta: i64,
    pub timestamp_delta: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Reads `count` records; `None` if the bytes are not exactly that.
pub(crate) fn read(mut bytes: Bytes, count: i32) -> Option<Vec<RawRecord>> {
    let mut records = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(varint(&mut bytes)?).ok()?;
        let mut record = take(&mut bytes, length)?;
        records.push(read_one(&mut record)?);
        if record.has_remaining() {
            return None;
        }
    }
    (!bytes.has_remaining()).then_some(records)
}

fn read_one(bytes: &mut Bytes) -> Option<RawRecord> {
    take(bytes, 1)?; // attributes: none are defined
    let timestamp_delta = varint(bytes)?;
    let offset_delta = varint(bytes)?;
    let key = nullable(bytes)?;
    let value = nullable(bytes)?;
    let count = varint(bytes)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8(nullable(bytes)??.to_vec()).ok()?;
        headers.push((name, nullable(bytes)?));
    }
    Some(RawRecord { offset_delta, timestamp_delta, key, value, headers })
}

#[expect(clippy::option_option, reason = "outer: the bytes ended; inner: the field is null")]
fn nullable(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    match varint(bytes)? {
        -1 => Some(None),
        length => take(bytes, usize::try_from(length).ok()?).map(Some),
    }
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

/// A zigzag varint of up to 64 bits.
fn varint(bytes: &mut Bytes) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let magnitude = i64::try_from(value >> 1).ok()?;
            return Some(if value & 1 == 0 { magnitude } else { -magnitude - 1 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::batch::{HEADER, tests::batch};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_the_codec_wrote_are_read_back() {
        let whole = batch(&["a", "", "ccc"], 100, (-1, -1, -1));
        let records = read(whole.slice(HEADER..), 3).expect("records");
        let values: Vec<_> = records.iter().map(|r| r.value.clone().expect("a value")).collect();
        assert_eq!(values, [&b"a"[..], b"", b"ccc"]);
        assert_eq!(records.iter().map(|r| r.timestamp_delta).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(read(whole.slice(HEADER..), 2), None, "bytes are left over");
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_records_are_refused_calmly(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            count in any::<i32>(),
        ) {
            let _ = read(Bytes::from(bytes), count.min(1000));
        }
    }
}
