//! Control batches that end a transaction in a partition: COMMIT and ABORT markers.
//!
//! One record per batch, written as Kafka's `MemoryRecords.withEndTransactionMarker` writes it: a key of version
//! and type, a value of version and coordinator epoch. The bytes are those a broker's Fetch gives.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::batch::{self, BatchHeader, HEADER, PREFIX};
use super::records;

/// Transactional, control.
const ATTRIBUTES: i16 = 0x30;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// The end of a producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndMarker {
    pub producer_id: i64,
    pub epoch: i16,
    /// Leader epoch of the coordinator's partition: an older coordinator's markers are refused.
    pub coordinator_epoch: i32,
    pub commit: bool,
    /// Version of transactions the producer uses; since 2 the marker's epoch is above the records'.
    pub version: i16,
}

impl EndMarker {
    /// The marker's batch without its first [`PREFIX`] bytes.
    pub fn encode(&self, now_ms: i64) -> Bytes {
        let mut record = BytesMut::new();
        record.put_slice(&[0, 0, 0]); // attributes, timestamp delta, offset delta
        record.put_u8(4 << 1);
        record.put_i16(0);
        record.put_i16(if self.commit { COMMIT } else { ABORT });
        record.put_u8(6 << 1);
        record.put_i16(0);
        record.put_i32(self.coordinator_epoch);
        record.put_u8(0); // headers
        let mut out = BytesMut::with_capacity(HEADER - PREFIX + 1 + record.len());
        out.put_u8(2);
        out.put_u32(0); // the checksum, filled in below
        out.put_i16(ATTRIBUTES);
        out.put_i32(0);
        out.put_i64(now_ms);
        out.put_i64(now_ms);
        out.put_i64(self.producer_id);
        out.put_i16(self.epoch);
        out.put_i32(-1);
        out.put_i32(1);
        out.put_u8(u8::try_from(record.len() << 1).unwrap_or(0));
        out.put_slice(&record);
        batch::seal(&mut out);
        out.freeze()
    }

    /// Reads a control batch whose prefix was cut off; none if it is no transaction's end.
    pub fn decode(header: &BatchHeader, body: &Bytes) -> Option<Self> {
        let record = records::read(&body.slice(HEADER - PREFIX..), header.count)?.into_iter().next()?;
        let (mut key, mut value) = (record.key?, record.value?);
        let _version = key.try_get_i16().ok()?;
        let commit = match key.try_get_i16().ok()? {
            ABORT => false,
            COMMIT => true,
            _ => return None,
        };
        let _version = value.try_get_i16().ok()?;
        let coordinator_epoch = value.try_get_i32().ok()?;
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        // The version is not in the log: followers take a marker of either.
        Some(Self { producer_id, epoch, coordinator_epoch, commit, version: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_byte_for_byte_what_a_broker_writes() {
        let marker =
            EndMarker { producer_id: 1000, epoch: 3, coordinator_epoch: 7, commit: true, version: 2 };
        let body = marker.encode(1_700_000_000_000);
        let mut whole = BytesMut::new();
        batch::put_prefix(&mut whole, 5, 0, &body);
        whole.extend_from_slice(&body);
        let header = BatchHeader::read(&body);
        assert!(header.is_control() && header.is_transactional());
        assert_eq!(whole.len(), 78);
        let decoded = EndMarker::decode(&header, &body).expect("a marker");
        assert_eq!(decoded, EndMarker { version: 0, ..marker });
    }
}
