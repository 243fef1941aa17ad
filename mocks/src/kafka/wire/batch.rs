//! The header of a record batch (magic 2): 61 bytes, read by hand so that the records are never copied.
//!
//! Base offset, length and leader epoch are the first 16 bytes and lie before the range the checksum covers,
//! so a broker assigns offsets by patching that prefix; everything behind it is kept as received.
//! Layout: <https://kafka.apache.org/documentation/#recordbatch>. Old message formats are not supported.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

use super::compression::Codec;

/// Bytes of a batch that a broker writes: base offset, length, leader epoch.
pub(crate) const PREFIX: usize = 16;
/// Bytes of a batch's header.
pub(crate) const HEADER: usize = 61;

pub(super) const COMPRESSION: i16 = 0x07;
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
pub(super) const DELETE_HORIZON: i16 = 0x40;

/// Least length a batch may tell, and the bytes up to its magic.
const LEAST_LENGTH: i32 = 14;
const UP_TO_MAGIC: usize = 17;

/// What the header of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub first_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: i32,
}

impl BatchHeader {
    /// Checks that `bytes` begin with a whole batch and hold no second one, and cuts off what is left, as a
    /// broker does. The text is for the client.
    pub fn whole(bytes: &Bytes) -> Result<Bytes, (ResponseError, Option<String>)> {
        let invalid = (ResponseError::InvalidRecord, None);
        let Some(size) = next_batch(bytes)?.filter(|_| bytes[16] == 2) else { return Err(invalid) };
        match next_batch(&bytes[size..])? {
            Some(_) => Err(invalid),
            None => Ok(bytes.slice(..size)),
        }
    }

    /// Whether the bytes of a whole batch are what its checksum says.
    pub fn is_sound(bytes: &[u8]) -> bool {
        bytes.len() >= HEADER && crc32c::crc32c(&bytes[21..]) == checksum(bytes)
    }

    /// Reads the header of a checked batch whose prefix was cut off.
    pub fn read(body: &Bytes) -> Self {
        let at = |offset| offset - PREFIX;
        Self {
            attributes: i16::from_be_bytes(array(body, at(21))),
            last_offset_delta: i32_at(body, at(23)),
            first_timestamp: i64_at(body, at(27)),
            max_timestamp: i64_at(body, at(35)),
            producer_id: i64_at(body, at(43)),
            producer_epoch: i16::from_be_bytes(array(body, at(51))),
            base_sequence: i32_at(body, at(53)),
            count: i32_at(body, at(57)),
        }
    }

    /// Writes the header as a body begins, its checksum open: see [`seal`].
    pub fn put(&self, body: &mut BytesMut) {
        body.put_u8(2);
        body.put_u32(0);
        body.put_i16(self.attributes);
        body.put_i32(self.last_offset_delta);
        body.put_i64(self.first_timestamp);
        body.put_i64(self.max_timestamp);
        body.put_i64(self.producer_id);
        body.put_i16(self.producer_epoch);
        body.put_i32(self.base_sequence);
        body.put_i32(self.count);
    }

    /// How the records are compressed; none if by nothing that is known.
    pub fn codec(&self) -> Option<Codec> {
        Codec::numbered(self.attributes & COMPRESSION)
    }

    /// When tombstones in it may go, once compaction has set that.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.first_timestamp)
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch is a broker's own, such as the end of a transaction.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The time of a record, from what it says itself.
    pub fn timestamp(&self, delta: i64) -> i64 {
        if self.is_log_append_time() {
            self.max_timestamp
        } else {
            self.first_timestamp.saturating_add(delta)
        }
    }

    /// Whether every record has the broker's time instead of its own.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }
}

/// Writes the 16 bytes that stand before `body`.
pub(crate) fn put_prefix(out: &mut BytesMut, base_offset: i64, leader_epoch: i32, body: &Bytes) {
    out.put_i64(base_offset);
    out.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
    out.put_i32(leader_epoch);
}

/// A copy of `body` with another largest timestamp, which is every record's if it is the broker's.
pub(crate) fn with_max_timestamp(body: &Bytes, max_timestamp: i64, of_broker: bool) -> Bytes {
    let mut copy = BytesMut::from(&body[..]);
    let plain = i16::from_be_bytes(array(body, 21 - PREFIX)) & !LOG_APPEND_TIME;
    let attributes = if of_broker { plain | LOG_APPEND_TIME } else { plain };
    copy[5..7].copy_from_slice(&attributes.to_be_bytes());
    copy[19..27].copy_from_slice(&max_timestamp.to_be_bytes());
    seal(&mut copy);
    copy.freeze()
}

/// Sets the checksum of a body.
pub(crate) fn seal(body: &mut BytesMut) {
    let crc = crc32c::crc32c(&body[5..]);
    body[1..5].copy_from_slice(&crc.to_be_bytes());
}

/// The checksum a whole batch tells.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(array(bytes, 17))
}

/// The first offset a whole batch tells.
pub(crate) fn base_offset(bytes: &[u8]) -> i64 {
    i64_at(bytes, 0)
}

/// The size of the batch that `bytes` begin with; none if they hold no whole one.
fn next_batch(bytes: &[u8]) -> Result<Option<usize>, (ResponseError, Option<String>)> {
    if bytes.len() < 12 {
        return Ok(None);
    }
    let corrupt = |text: String| Err((ResponseError::CorruptMessage, Some(text)));
    let length = i32_at(bytes, 8);
    if length < LEAST_LENGTH {
        return corrupt(format!(
            "Record size {length} is less than the minimum record overhead ({LEAST_LENGTH})"
        ));
    }
    match bytes.get(UP_TO_MAGIC - 1).map(|magic| magic.cast_signed()) {
        None => return Ok(None),
        Some(0..=2) => {}
        Some(magic) => return corrupt(format!("Invalid magic found in record: {magic}")),
    }
    let size = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(12);
    Ok((size <= bytes.len()).then_some(size))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array(bytes, at))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kafka_protocol::records::{
        Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
    };

    /// A batch of one record per value, as a client encodes it. `producer` is id, epoch, first sequence.
    pub(crate) fn batch(values: &[&str], timestamp: i64, producer: (i64, i16, i32)) -> Bytes {
        let record = |(index, value): (usize, &&str)| {
            let index = i32::try_from(index).expect("few records");
            Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: -1,
                producer_id: producer.0,
                producer_epoch: producer.1,
                timestamp_type: TimestampType::Creation,
                offset: i64::from(index),
                sequence: producer.2 + index,
                timestamp: timestamp + i64::from(index),
                key: None,
                value: Some(Bytes::copy_from_slice(value.as_bytes())),
                headers: Default::default(),
            }
        };
        let records: Vec<Record> = values.iter().enumerate().map(record).collect();
        let mut out = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut out, &records, &options).expect("encodes");
        out.freeze()
    }

    fn checked(bytes: &Bytes) -> Option<BatchHeader> {
        let whole = BatchHeader::whole(bytes).ok()?;
        BatchHeader::is_sound(&whole).then(|| BatchHeader::read(&whole.slice(PREFIX..)))
    }

    #[test]
    fn the_header_read_by_hand_is_the_one_the_codec_wrote() {
        let header = checked(&batch(&["a", "b", "c"], 100, (7, 2, 40))).expect("a good batch");
        assert_eq!((header.count, header.last_offset_delta), (3, 2));
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 2, 40));
        assert_eq!((header.first_timestamp, header.max_timestamp), (100, 102));
        assert!(header.codec() == Some(Codec::None) && !header.is_transactional());
    }

    #[test]
    fn a_patched_prefix_leaves_a_batch_the_codec_reads_with_its_new_offsets() {
        let body = batch(&["a", "b"], 100, (-1, -1, -1)).slice(PREFIX..);
        let mut out = BytesMut::new();
        put_prefix(&mut out, 1000, 3, &body);
        out.extend_from_slice(&body);
        let decoded = RecordBatchDecoder::decode(&mut out.freeze()).expect("decodes");
        assert_eq!(decoded.records.iter().map(|r| r.offset).collect::<Vec<_>>(), [1000, 1001]);
    }

    #[test]
    fn append_time_overrides_the_records_times_and_keeps_the_checksum_right() {
        let whole = batch(&["a", "b"], 100, (-1, -1, -1));
        let body = with_max_timestamp(&whole.slice(PREFIX..), 5000, true);
        let mut out = BytesMut::new();
        put_prefix(&mut out, 0, 0, &body);
        out.extend_from_slice(&body);
        let header = checked(&out.freeze()).expect("a good batch");
        assert!(header.is_log_append_time());
        assert_eq!(header.max_timestamp, 5000);
    }

    #[test]
    fn any_flipped_byte_behind_the_prefix_is_noticed() {
        let good = batch(&["a"], 100, (-1, -1, -1));
        for at in PREFIX..good.len() {
            let mut bad = BytesMut::from(&good[..]);
            bad[at] ^= 1;
            assert!(checked(&bad.freeze()).is_none(), "byte {at}");
        }
        for length in 0..good.len() {
            assert!(checked(&good.slice(..length)).is_none(), "{length} bytes");
        }
    }
}
