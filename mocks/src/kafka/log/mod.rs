//! The log of one partition: segments of batches, offsets, leader epochs, producers.
//!
//! Invariants: `start` <= last stable offset <= high watermark <= `end`; segments follow each other, the last
//! one is appended to; an append that is refused changes nothing but that it may have rolled a segment.
//! The rules are those of Kafka's `UnifiedLog`. What deletes and compacts segments is in files of its own;
//! when they run is the cluster's affair (`housekeeping.rs`).

mod batch;
mod cleaned_transactions;
mod compact;
pub(crate) mod config;
mod epochs;
mod find;
mod piece;
mod producers;
mod read;
mod retention;
mod segment;
mod transactions;
mod validate;

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::wire::batch::{BatchHeader, with_max_timestamp};
use super::wire::marker::EndMarker;
use batch::Batch;
use config::LogConfig;
use epochs::Epochs;
pub(crate) use producers::Producer;
use producers::{Check, Producers};
use segment::Segment;

pub(crate) use read::Portion;
pub(crate) use validate::{Append, Rejected};

/// The records of one partition.
#[derive(Debug)]
pub(crate) struct Log {
    /// Segments that were rolled.
    closed: VecDeque<Segment>,
    active: Segment,
    start: i64,
    high_watermark: i64,
    end: i64,
    epochs: Epochs,
    pub producers: Producers,
    /// Compaction has seen the log up to here.
    cleaned: i64,
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

impl Default for Log {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Log {
    /// An empty log, made at `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self {
            closed: VecDeque::new(),
            active: Segment::new(0, now_ms),
            start: 0,
            high_watermark: 0,
            end: 0,
            epochs: Epochs::default(),
            producers: Producers::default(),
            cleaned: 0,
        }
    }

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

    /// Appends one batch. The high watermark stays where it is.
    pub fn append(&mut self, bytes: &Bytes, to: &Append<'_>) -> Result<Appended, Rejected> {
        let body = to.check(bytes)?;
        let header = BatchHeader::read(&body);
        let batch = Batch::new(self.end, to.epoch, body);
        self.make_room(&batch, &header, to.now_ms, to.config);
        if let Check::Duplicate { base_offset, timestamp } = self.producers.check(&header)? {
            let log_start = self.start;
            return Ok(Appended { base_offset, append_time_ms: timestamp, duplicate: true, log_start });
        }
        self.begin_epoch(to.epoch);
        self.producers.record(&header, batch.base);
        let appended = Appended {
            base_offset: batch.base,
            append_time_ms: if to.config.append_time { to.now_ms } else { -1 },
            duplicate: false,
            log_start: self.start,
        };
        self.end = batch.next();
        self.active.push(batch, to.room, to.now_ms);
        Ok(appended)
    }

    /// Appends the end of a transaction for the leader of `epoch`. The high watermark stays where it is.
    pub fn append_end(
        &mut self,
        end: &EndMarker,
        epoch: i32,
        now_ms: i64,
        config: &LogConfig,
    ) -> Result<(), ResponseError> {
        self.producers.check_end(end)?;
        let mut body = end.encode(now_ms);
        if config.append_time {
            body = with_max_timestamp(&body, now_ms, true);
        }
        let batch = Batch::new(self.end, epoch, body);
        self.make_room(&batch, &batch.header(), now_ms, config);
        self.begin_epoch(epoch);
        self.producers.end(end, batch.base, now_ms, self.high_watermark);
        self.end = batch.next();
        self.active.push(batch, usize::MAX, now_ms);
        Ok(())
    }

    /// Notes that a leader of `epoch` goes on from the log's end.
    pub fn begin_epoch(&mut self, epoch: i32) {
        self.epochs.begin(epoch, self.end);
    }

    /// Every replica in sync has the log up to `to`, or the log was cut there.
    pub fn set_high_watermark(&mut self, to: i64) {
        self.high_watermark = to.clamp(self.start, self.end);
    }

    /// Cuts the log off: it ends at `to`, and the batch that holds `to` is gone as a whole, as in Kafka. Below
    /// the first segment nothing is left, and the log starts there anew.
    pub fn truncate(&mut self, to: i64) {
        let to = to.max(0);
        if to < self.end {
            self.end = to;
            while self.active.base > to {
                match self.closed.pop_back() {
                    Some(segment) => self.active = segment,
                    None => self.active = Segment::new(to, self.active.modified_ms()),
                }
            }
            self.active.truncate(to);
            self.start = self.start.min(to);
            let mut producers = std::mem::take(&mut self.producers);
            producers.truncate(to, self.batches().map(|batch| (batch.header(), batch.base, batch.body)));
            self.producers = producers;
        }
        self.epochs.truncate(self.end);
        self.high_watermark = self.high_watermark.min(self.end);
    }

    /// Moves the start forward, at most to the high watermark; whole segments before it wait for the next
    /// check of retention. Returns whether it moved.
    pub fn advance_start(&mut self, to: i64) -> bool {
        if to <= self.start || to > self.high_watermark {
            return false;
        }
        self.start = to;
        self.epochs.advance(to);
        self.producers.advance_start(to);
        true
    }

    /// Where the segment ends that has the first batch from `offset` on; far away if it is the last.
    pub fn segment_end(&self, offset: i64) -> i64 {
        let mut segments = self.segments_from(offset);
        let found = segments.find(|segment| segment.end() > offset);
        found.and_then(|_| segments.next()).map_or(i64::MAX, |next| next.base)
    }

    /// The largest epoch up to `epoch` and the offset it ends at, as a leader of epoch `current` tells it;
    /// none of epochs it does not know.
    pub fn end_of_epoch(&self, epoch: i32, current: i32) -> Option<(i32, i64)> {
        self.epochs.end_of(epoch, current, self.end)
    }

    /// The offset the leader of epoch `current` began at.
    pub fn epoch_start(&self, current: i32) -> i64 {
        self.epochs.start_of(current, self.end)
    }

    /// The epoch of the first record.
    pub fn first_epoch(&self, current: i32) -> Option<i32> {
        self.epochs.first(current, self.end)
    }

    /// Rolls the active segment if the batch does not belong into it.
    fn make_room(&mut self, batch: &Batch, header: &BatchHeader, now_ms: i64, config: &LogConfig) {
        let size = i64::try_from(batch.size()).unwrap_or(i64::MAX);
        let last = batch.next() - 1;
        if self.active.is_full_for(size, header.max_timestamp, last, now_ms, config) {
            self.roll(now_ms);
        }
    }

    /// Begins a new segment at the log's end, if the active one has records.
    fn roll(&mut self, now_ms: i64) {
        if !self.active.is_empty() {
            let next = Segment::new(self.end, now_ms);
            self.closed.push_back(std::mem::replace(&mut self.active, next));
        }
    }

    fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.closed.iter().chain(std::iter::once(&self.active))
    }

    fn batches(&self) -> impl Iterator<Item = Batch> {
        self.segments().flat_map(Segment::batches)
    }

    /// The batches from the one that holds `offset`, or the first behind it, on.
    fn batches_from(&self, offset: i64) -> impl Iterator<Item = Batch> {
        self.segments_from(offset).flat_map(move |segment| segment.from(offset))
    }

    fn segments_from(&self, offset: i64) -> impl Iterator<Item = &Segment> {
        let at = self.closed.partition_point(|segment| segment.base <= offset).saturating_sub(1);
        self.closed.iter().skip(at).chain(std::iter::once(&self.active))
    }
}

#[cfg(test)]
mod tests;
