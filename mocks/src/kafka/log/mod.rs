//! The log of one partition: batches as they were received, offsets, leader epochs, producers.
//!
//! Invariants: `start` <= last stable offset <= high watermark <= `end`; a batch's records are never copied or
//! rewritten (but for `LogAppendTime`); every append is checked against its producer's sequence first. There
//! is no replica behind a log yet, so its high watermark is its end.

mod producers;
mod transactions;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;

use super::wire::batch::{self, BatchHeader, HEADER, PREFIX};
use super::wire::marker::EndMarker;
use super::wire::records;
use producers::{Check, Producers};

/// The records of one partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    batches: Vec<Batch>,
    start: i64,
    high_watermark: i64,
    end: i64,
    /// Leader epochs and the offset each began at, both rising.
    epochs: Vec<(i32, i64)>,
    pub producers: Producers,
}

#[derive(Debug)]
struct Batch {
    base: i64,
    epoch: i32,
    header: BatchHeader,
    /// The batch without its first [`PREFIX`] bytes.
    body: Bytes,
}

impl Batch {
    fn next(&self) -> i64 {
        self.base + i64::from(self.header.last_offset_delta) + 1
    }

    fn size(&self) -> usize {
        PREFIX + self.body.len()
    }
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    /// The broker's time if the topic asks for it, else -1; of a duplicate the batch's own time, as Kafka
    /// tells it.
    pub append_time_ms: i64,
    /// Whether the batch was there already.
    pub duplicate: bool,
    pub log_start: i64,
}

/// A point found by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub offset: i64,
    pub timestamp: i64,
    pub epoch: i32,
}

impl Log {
    /// The first offset a client may read.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The end of what every replica in sync has: readers see nothing behind it.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The end of what belongs to no open transaction, at most the high watermark.
    pub fn last_stable(&self) -> i64 {
        let unstable = self.producers.first_unstable(self.high_watermark);
        unstable.map_or(self.high_watermark, |offset| offset.min(self.high_watermark))
    }

    /// The next offset to be given.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Appends one batch for the leader of `epoch`. With `append_time_ms` every record gets that time.
    pub fn append(
        &mut self,
        bytes: &Bytes,
        epoch: i32,
        append_time_ms: Option<i64>,
    ) -> Result<Appended, ResponseError> {
        let mut header = BatchHeader::check(bytes)?;
        if let Check::Duplicate { base_offset, timestamp } = self.producers.check(&header)? {
            let log_start = self.start;
            return Ok(Appended { base_offset, append_time_ms: timestamp, duplicate: true, log_start });
        }
        let mut body = bytes.slice(PREFIX..);
        if let Some(now_ms) = append_time_ms {
            body = batch::with_append_time(&body, now_ms);
            header = BatchHeader::read(&body);
        }
        let base = self.end;
        self.begin_epoch(epoch);
        self.producers.record(&header, base);
        let batch = Batch { base, epoch, header, body };
        self.end = batch.next();
        self.high_watermark = self.end;
        self.batches.push(batch);
        let append_time_ms = append_time_ms.unwrap_or(-1);
        Ok(Appended { base_offset: base, append_time_ms, duplicate: false, log_start: self.start })
    }

    /// Appends the end of a transaction for the leader of `epoch`.
    pub fn append_end(
        &mut self,
        end: &EndMarker,
        epoch: i32,
        append_time: bool,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        self.producers.check_end(end)?;
        let mut body = end.encode(now_ms);
        if append_time {
            body = batch::with_append_time(&body, now_ms);
        }
        let base = self.end;
        self.begin_epoch(epoch);
        let batch = Batch { base, epoch, header: BatchHeader::read(&body), body };
        self.end = batch.next();
        self.high_watermark = self.end;
        self.producers.end(end, base, now_ms, self.high_watermark);
        self.batches.push(batch);
        Ok(())
    }

    /// Notes that a leader of `epoch` goes on from the log's end.
    pub fn begin_epoch(&mut self, epoch: i32) {
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, self.end));
        }
    }

    /// Bytes of the whole batches from `offset` up to `until`, at most `limit` of them counted.
    pub fn bytes_between(&self, offset: i64, until: i64, limit: usize) -> usize {
        let mut sum = 0;
        for batch in self.batches[self.index_of(offset)..].iter().take_while(|batch| batch.next() <= until) {
            sum += batch.size();
            if sum >= limit {
                break;
            }
        }
        sum
    }

    /// Pushes whole batches from the one that holds `offset` on and before `until`, at most `limit` bytes, but
    /// at least one batch if `at_least_one`. Returns the bytes pushed.
    pub fn read(
        &self,
        offset: i64,
        until: i64,
        limit: usize,
        at_least_one: bool,
        out: &mut VecDeque<Bytes>,
    ) -> usize {
        let from = &self.batches[self.index_of(offset)..];
        let mut size = 0;
        let fits = |batch: &&Batch| {
            let taken = size + batch.size() <= limit || (size == 0 && at_least_one);
            size += if taken { batch.size() } else { 0 };
            taken
        };
        let chosen: Vec<&Batch> =
            from.iter().take_while(|batch| batch.next() <= until).take_while(fits).collect();
        let mut prefixes = BytesMut::with_capacity(chosen.len() * PREFIX);
        for batch in chosen {
            batch::put_prefix(&mut prefixes, batch.base, batch.epoch, &batch.body);
            out.push_back(prefixes.split().freeze());
            out.push_back(batch.body.clone());
        }
        size
    }

    /// The first record whose timestamp is `timestamp` or later. In a compressed batch the answer is the
    /// batch's first record, which may be earlier than Kafka's answer, never later.
    pub fn find_timestamp(&self, timestamp: i64) -> Option<Found> {
        let batch = self.batches.iter().find(|batch| batch.header.max_timestamp >= timestamp)?;
        let exact = self.records_of(batch).into_iter().flatten().find(|found| found.timestamp >= timestamp);
        let found = Found {
            offset: batch.base,
            timestamp: batch.header.first_timestamp.max(timestamp),
            epoch: batch.epoch,
        };
        Some(exact.unwrap_or(found))
    }

    /// The earliest record with the largest timestamp.
    pub fn find_max_timestamp(&self) -> Option<Found> {
        let newest = self.batches.iter().map(|batch| batch.header.max_timestamp).max()?;
        self.find_timestamp(newest)
    }

    fn records_of(&self, batch: &Batch) -> Option<Vec<Found>> {
        let records = batch.records()?;
        let place = |record: records::RawRecord| Found {
            offset: batch.base + record.offset_delta,
            timestamp: batch.timestamp(record.timestamp_delta),
            epoch: batch.epoch,
        };
        Some(records.into_iter().map(place).collect())
    }

    /// The largest epoch up to `epoch` and the offset it ends at, as a leader of epoch `current` tells it;
    /// none of epochs it does not know.
    pub fn end_of_epoch(&self, epoch: i32, current: i32) -> Option<(i32, i64)> {
        if epoch >= current {
            return (epoch == current).then_some((epoch, self.end));
        }
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let (known, _) = *self.epochs.get(after.checked_sub(1)?)?;
        Some((known, self.epochs.get(after).map_or(self.end, |(_, start)| *start)))
    }

    /// The epoch of the first record.
    pub fn first_epoch(&self) -> Option<i32> {
        self.batches.first().map(|batch| batch.epoch)
    }

    /// The records from an offset on, or the first batch that cannot be read.
    pub fn from(&self, offset: i64) -> Result<Vec<super::LogRecord>, String> {
        let mut out = Vec::new();
        for batch in &self.batches[self.index_of(offset).min(self.batches.len())..] {
            if batch.header.is_control() {
                continue;
            }
            let compressed = || format!("a compressed or broken batch at offset {}", batch.base);
            for record in batch.records().ok_or_else(compressed)? {
                out.push(super::LogRecord {
                    offset: batch.base + record.offset_delta,
                    timestamp_ms: batch.timestamp(record.timestamp_delta),
                    leader_epoch: batch.epoch,
                    producer_id: batch.header.producer_id,
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                });
            }
        }
        out.retain(|record| record.offset >= offset);
        Ok(out)
    }

    fn index_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.next() <= offset)
    }
}

impl Batch {
    fn records(&self) -> Option<Vec<records::RawRecord>> {
        if self.header.is_compressed() {
            return None;
        }
        records::read(self.body.slice(HEADER - PREFIX..), self.header.count)
    }

    fn timestamp(&self, delta: i64) -> i64 {
        if self.header.is_log_append_time() {
            return self.header.max_timestamp;
        }
        self.header.first_timestamp.saturating_add(delta)
    }
}

#[cfg(test)]
mod tests;
