//! Record batches, format version 2: the bytes records travel and are stored in.
//!
//! The layout is that of Kafka's `DefaultRecordBatch`. Decoding believes nothing: every length is checked
//! against the bytes that are there, and the CRC-32C must match. The codec crate's own records lose repeated
//! header names, hence this file. Compressed batches are refused, not skipped.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::ClientError;
use super::isolation::Aborted;
use super::types::{Headers, Record};

/// Bytes of a batch before its first record.
pub(super) const HEADER_BYTES: usize = 61;
/// Bytes before those that the length field counts: base offset and length.
const PREFIX_BYTES: usize = 12;
/// Where the CRC's range begins: at the attributes.
const CRC_START: usize = 21;
const MAGIC: i8 = 2;
const ATTRIBUTE_COMPRESSION: i16 = 0x07;
const ATTRIBUTE_TRANSACTIONAL: i16 = 0x10;
const ATTRIBUTE_CONTROL: i16 = 0x20;
/// Most headers of one record, and most records of one batch, that are read.
const COUNT_MAX: i64 = 10_000_000;

/// Who produces, for the broker to recognise retries by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequenced {
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) transactional: bool,
}

impl Sequenced {
    /// A producer that is not idempotent.
    pub(super) const NONE: Self =
        Self { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
}

/// A record before it has an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<Bytes>,
    pub(super) headers: Headers,
    pub(super) value: Option<Bytes>,
}

impl Draft {
    /// An upper bound of the bytes the record takes in a batch.
    pub(super) fn size(&self) -> usize {
        let bytes = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| 10 + name.len() + bytes(value)).sum();
        40 + bytes(&self.key) + bytes(&self.value) + headers
    }
}

/// Writes one batch; `records` is not empty.
pub(super) fn encode(records: &[Draft], sequenced: Sequenced) -> Result<Bytes, ClientError> {
    let times = || records.iter().map(|record| record.timestamp_ms);
    let (first, max) = (times().next().unwrap_or(-1), times().max().unwrap_or(-1));
    let count = i32::try_from(records.len()).map_err(|_| too_large())?;
    let mut out = BytesMut::with_capacity(HEADER_BYTES + records.iter().map(Draft::size).sum::<usize>());
    out.put_i64(0);
    out.put_i32(0);
    out.put_i32(-1);
    out.put_i8(MAGIC);
    out.put_u32(0);
    out.put_i16(if sequenced.transactional { ATTRIBUTE_TRANSACTIONAL } else { 0 });
    out.put_i32(count - 1);
    out.put_i64(first);
    out.put_i64(max);
    out.put_i64(sequenced.producer_id);
    out.put_i16(sequenced.producer_epoch);
    out.put_i32(sequenced.base_sequence);
    out.put_i32(count);
    let mut body = BytesMut::new();
    for (index, record) in (0_i64..).zip(records) {
        body.clear();
        put_record(&mut body, record, index, first)?;
        put_varint(&mut out, i64::try_from(body.len()).map_err(|_| too_large())?);
        out.put_slice(&body);
    }
    let length = i32::try_from(out.len() - PREFIX_BYTES).map_err(|_| too_large())?;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&out[CRC_START..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(out.freeze())
}

fn put_record(out: &mut BytesMut, record: &Draft, index: i64, first_ms: i64) -> Result<(), ClientError> {
    out.put_i8(0);
    put_varint(out, record.timestamp_ms.wrapping_sub(first_ms));
    put_varint(out, index);
    put_bytes(out, record.key.as_deref())?;
    put_bytes(out, record.value.as_deref())?;
    put_varint(out, i64::try_from(record.headers.len()).map_err(|_| too_large())?);
    for (name, value) in &record.headers {
        put_bytes(out, Some(name.as_bytes()))?;
        put_bytes(out, value.as_deref())?;
    }
    Ok(())
}

fn too_large() -> ClientError {
    ClientError::Usage("a record batch is limited to 2 GiB".to_owned())
}

fn put_bytes(out: &mut BytesMut, bytes: Option<&[u8]>) -> Result<(), ClientError> {
    let Some(bytes) = bytes else {
        put_varint(out, -1);
        return Ok(());
    };
    put_varint(out, i32::try_from(bytes.len()).map_err(|_| too_large())?.into());
    out.put_slice(bytes);
    Ok(())
}

/// Zigzag, then seven bits to the byte, the lowest first.
fn put_varint(out: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// What a partition's bytes of a fetch answer hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Records in offset order, control records and those of aborted transactions left out.
    pub(super) records: Vec<Record>,
    /// The offset behind the last whole batch; none if there was no whole batch.
    pub(super) next_offset: Option<i64>,
    /// Epoch of the leader that appended the last whole batch.
    pub(super) last_epoch: Option<i32>,
}

/// Reads batches until the bytes end. A last batch that is cut off is left out: brokers cut where the
/// fetch's limit falls. What `aborted` knows of is left out too.
pub(super) fn decode(mut bytes: Bytes, aborted: &mut Aborted) -> Result<Decoded, ClientError> {
    let mut decoded = Decoded::default();
    while bytes.len() > PREFIX_BYTES {
        let length = i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let smallest = HEADER_BYTES - PREFIX_BYTES;
        let length = usize::try_from(length).ok().filter(|length| *length >= smallest);
        let length = length.ok_or_else(|| malformed("its length is below that of its header"))?;
        if bytes.len() < PREFIX_BYTES + length {
            break;
        }
        decode_batch(bytes.split_to(PREFIX_BYTES + length), &mut decoded, aborted)?;
    }
    Ok(decoded)
}

fn malformed(reason: &str) -> ClientError {
    ClientError::Malformed { what: "a record batch".to_owned(), reason: reason.to_owned() }
}

/// Reads one whole batch, whose length was checked.
fn decode_batch(mut batch: Bytes, decoded: &mut Decoded, aborted: &mut Aborted) -> Result<(), ClientError> {
    let crc = crc32c::crc32c(&batch[CRC_START..]);
    let base_offset = batch.get_i64();
    batch.advance(4);
    let epoch = batch.get_i32();
    let magic = batch.get_i8();
    if magic != MAGIC {
        return Err(malformed(&format!("expected format version {MAGIC}, found {magic}")));
    }
    if batch.get_u32() != crc {
        return Err(malformed("its checksum does not match its bytes"));
    }
    let attributes = batch.get_i16();
    let last_delta = batch.get_i32();
    let first_ms = batch.get_i64();
    let max_ms = batch.get_i64();
    let producer_id = batch.get_i64();
    batch.advance(6);
    let count = batch.get_i32();
    let next_offset = base_offset.checked_add(i64::from(last_delta)).and_then(|last| last.checked_add(1));
    let next_offset = next_offset.ok_or_else(|| malformed("its offsets overflow"))?;
    decoded.next_offset = Some(next_offset);
    decoded.last_epoch = Some(epoch);
    if attributes & ATTRIBUTE_CONTROL != 0 {
        if is_abort(batch) {
            aborted.ended(producer_id, base_offset);
        }
        return Ok(());
    }
    if attributes & ATTRIBUTE_TRANSACTIONAL != 0 && aborted.holds(producer_id, next_offset - 1) {
        return Ok(());
    }
    if attributes & ATTRIBUTE_COMPRESSION != 0 {
        let codec = attributes & ATTRIBUTE_COMPRESSION;
        return Err(malformed(&format!("it is compressed (codec {codec}), which this client does not read")));
    }
    let log_append_time = (attributes & 0x08 != 0).then_some(max_ms);
    for _ in 0..count {
        let length = take_length(&mut batch)?.ok_or_else(|| malformed("a record has no length"))?;
        let mut record = batch.split_to(length);
        let mut record = take_record(&mut record, base_offset, first_ms)?;
        record.timestamp_ms = log_append_time.unwrap_or(record.timestamp_ms);
        decoded.records.push(record);
    }
    Ok(())
}

/// Whether the record of a control batch is the abort of a transaction: its key is a version and a type.
fn is_abort(mut batch: Bytes) -> bool {
    let mut key = || {
        take_length(&mut batch).ok()??;
        take_record(&mut batch, 0, 0).ok()?.key
    };
    key().is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
}

fn take_record(bytes: &mut Bytes, base_offset: i64, first_ms: i64) -> Result<Record, ClientError> {
    if bytes.is_empty() {
        return Err(malformed("a record is empty"));
    }
    bytes.advance(1);
    let timestamp_ms = first_ms.wrapping_add(take_varint(bytes)?);
    let offset = base_offset.checked_add(take_varint(bytes)?);
    let offset = offset.ok_or_else(|| malformed("its offsets overflow"))?;
    let key = take_bytes(bytes)?;
    let value = take_bytes(bytes)?;
    let count = take_varint(bytes)?;
    if !(0..=COUNT_MAX).contains(&count) {
        return Err(malformed("a record's number of headers is out of range"));
    }
    let mut headers = Headers::new();
    for _ in 0..count {
        let name = take_bytes(bytes)?.ok_or_else(|| malformed("a header has no name"))?;
        let name = String::from_utf8(name.into()).map_err(|_| malformed("a header's name is not UTF-8"))?;
        headers.push((name, take_bytes(bytes)?));
    }
    Ok(Record { offset, timestamp_ms, key, headers, value })
}

fn take_bytes(bytes: &mut Bytes) -> Result<Option<Bytes>, ClientError> {
    Ok(take_length(bytes)?.map(|length| bytes.split_to(length)))
}

/// A length that is covered by the bytes behind it; none for -1.
fn take_length(bytes: &mut Bytes) -> Result<Option<usize>, ClientError> {
    match take_varint(bytes)? {
        -1 => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= bytes.len() => Ok(Some(length)),
            _ => Err(malformed("a length goes beyond the end")),
        },
    }
}

fn take_varint(bytes: &mut Bytes) -> Result<i64, ClientError> {
    let mut raw = 0_u64;
    for shift in (0..64).step_by(7) {
        if bytes.is_empty() {
            return Err(malformed("it ends within a number"));
        }
        let byte = bytes.get_u8();
        raw |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
        }
    }
    Err(malformed("a number is longer than ten bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        proptest::option::of(vec(any::<u8>(), 0..20).prop_map(Bytes::from))
    }

    fn draft() -> impl Strategy<Value = Draft> {
        // Repeated names on purpose: order and repetition must survive.
        let headers = vec(("[ab]{0,2}", bytes()), 0..4);
        (0..i64::MAX / 4, bytes(), headers, bytes()).prop_map(|(timestamp_ms, key, headers, value)| Draft {
            timestamp_ms,
            key,
            headers,
            value,
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(drafts in vec(draft(), 1..20), cut in 0_usize..60) {
            let one = encode(&drafts, Sequenced::NONE).expect("small enough");
            let mut two = BytesMut::from(&one[..]);
            // A second batch behind the first, cut off: it must be left out.
            two.extend_from_slice(&one[..cut.min(one.len() - 1)]);
            let decoded = decode(two.freeze(), &mut Aborted::default()).expect("valid");
            prop_assert_eq!(decoded.next_offset, Some(drafts.len() as i64));
            let back: Vec<Draft> = decoded.records.iter().cloned().map(|record| Draft {
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                headers: record.headers,
                value: record.value,
            }).collect();
            prop_assert_eq!(back, drafts);
            prop_assert!(decoded.records.iter().map(|record| record.offset).eq(0..decoded.records.len() as i64));
        }

        #[test]
        fn a_flipped_bit_in_the_checked_range_is_noticed(drafts in vec(draft(), 1..5), at: usize, bit in 0_u8..8) {
            let mut bytes = encode(&drafts, Sequenced::NONE).expect("small enough").to_vec();
            let at = 17 + at % (bytes.len() - 17);
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(bytes.into(), &mut Aborted::default()).is_err());
        }

        #[test]
        fn garbage_with_a_valid_checksum_never_panics(mut body in vec(any::<u8>(), 49..300), count: i32) {
            let mut bytes = vec![0_u8; 8];
            let length = body.len() as i32;
            bytes.extend_from_slice(&length.to_be_bytes());
            body[4] = MAGIC as u8;
            // No compression and no control batch, so that the records are looked at.
            body[10] &= 0xd8;
            body[45..49].copy_from_slice(&count.to_be_bytes());
            let crc = crc32c::crc32c(&body[9..]);
            body[5..9].copy_from_slice(&crc.to_be_bytes());
            bytes.extend_from_slice(&body);
            let _ = decode(bytes.into(), &mut Aborted::default());
        }

        #[test]
        fn numbers_survive_a_round_trip(value: i64) {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            prop_assert_eq!(take_varint(&mut out.freeze()), Ok(value));
        }
    }

    #[test]
    fn a_batch_of_another_codec_is_refused_by_name() {
        let draft = Draft { timestamp_ms: 1, key: None, headers: Headers::new(), value: None };
        let mut bytes = encode(&[draft], Sequenced::NONE).expect("small enough").to_vec();
        bytes[22] = 1;
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let error = decode(bytes.into(), &mut Aborted::default()).expect_err("compressed");
        assert!(error.to_string().contains("codec 1"), "{error}");
    }
}
