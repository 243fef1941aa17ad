//! Offsets by time, and the records themselves, for those who look into a log.

use super::batch::Batch;
use super::{Found, Log};
use crate::kafka::LogRecord;
use crate::kafka::wire::records::Records;

impl Log {
    /// The first record at the log's start or behind it whose timestamp is `timestamp` or later, in the first
    /// segment that has one; as in Kafka, later segments are not looked into if that one's record is gone.
    pub fn find_timestamp(&self, timestamp: i64) -> Option<Found> {
        let segment = self.segments().find(|segment| segment.largest_timestamp() >= timestamp)?;
        let fits = |found: &Found| found.timestamp >= timestamp && found.offset >= self.start;
        let mut batches = segment.batches().filter(|b| b.header().max_timestamp >= timestamp);
        batches.find_map(|batch| find_in(&batch, fits))
    }

    /// The earliest record with the largest timestamp, even before the log's start as long as it is there.
    pub fn find_max_timestamp(&self) -> Option<Found> {
        let newest = self.segments().map(super::Segment::max_timestamp).max()?;
        let segment = self.segments().find(|segment| segment.max_timestamp() == newest)?;
        let batch = segment.batches().find(|batch| batch.header().max_timestamp == newest)?;
        find_in(&batch, |found| found.timestamp == newest)
    }

    /// The records from an offset on, or the first batch that cannot be read.
    pub fn from(&self, offset: i64) -> Result<Vec<LogRecord>, String> {
        self.records(offset, |_| true)
    }

    /// The records from an offset on that a reader of committed records is given: those up to the last stable
    /// offset whose transaction was not aborted. Or the first batch that cannot be read.
    pub fn committed_from(&self, offset: i64) -> Result<Vec<LogRecord>, String> {
        let stable = self.last_stable();
        self.records(offset, |batch| {
            let header = batch.header();
            let is_aborted =
                || header.is_transactional() && self.producers.is_aborted(header.producer_id, batch.base);
            batch.next() <= stable && !is_aborted()
        })
    }

    fn records(&self, offset: i64, keep: impl Fn(&Batch) -> bool) -> Result<Vec<LogRecord>, String> {
        let offset = offset.max(self.start);
        let mut out = Vec::new();
        for batch in self.batches_from(offset).filter(|batch| keep(batch)) {
            let header = batch.header();
            if header.is_control() {
                continue;
            }
            let broken = || format!("a broken batch at offset {}", batch.base);
            for record in batch.records().ok_or_else(broken)? {
                out.push(LogRecord {
                    offset: batch.base + record.offset_delta,
                    timestamp_ms: header.timestamp(record.timestamp_delta),
                    leader_epoch: batch.epoch,
                    producer_id: header.producer_id,
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                });
            }
        }
        out.retain(|record| record.offset >= offset);
        Ok(out)
    }
}

fn find_in(batch: &Batch, fits: impl Fn(&Found) -> bool) -> Option<Found> {
    let (header, plain) = (batch.header(), batch.plain()?);
    let mut found = Records::new(&plain, header.count).map_while(Result::ok).map(|record| Found {
        offset: batch.base + record.offset_delta,
        timestamp: header.timestamp(record.timestamp_delta),
        epoch: batch.epoch,
    });
    found.find(|found| fits(found))
}
