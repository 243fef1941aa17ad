//! A segment: consecutive batches of a log that are rolled, deleted and compacted together.
//!
//! Invariant: batches are in order of offset and do not overlap; `bytes` and the timestamps are theirs. Bodies
//! are copied in: as received they would keep the buffers of their connections, half as large again or worse.
//! Small ones share chunks.

use bytes::{Bytes, BytesMut};

use super::batch::Batch;
use super::config::LogConfig;

/// Smallest and largest chunk that small bodies share; they double, so that a log of few records stays small.
const CHUNKS: (usize, usize) = (1 << 10, 64 << 10);
/// Bodies above this part of a chunk have memory of their own: the end of a chunk they do not fit into is lost.
const SHARE: usize = 8;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: i64,
    pub batches: Vec<Batch>,
    /// Size of its batches on the wire.
    pub bytes: i64,
    /// Largest timestamp of its first batch, which `segment.ms` counts from.
    first_timestamp: Option<i64>,
    /// -1 if no batch has one.
    max_timestamp: i64,
    created_ms: i64,
    /// When it was appended to for the last time.
    modified_ms: i64,
    room: BytesMut,
    chunk: usize,
}

impl Segment {
    pub fn new(base: i64, now_ms: i64) -> Self {
        Self {
            base,
            batches: Vec::new(),
            bytes: 0,
            first_timestamp: None,
            max_timestamp: -1,
            created_ms: now_ms,
            modified_ms: now_ms,
            room: BytesMut::new(),
            chunk: CHUNKS.0,
        }
    }

    /// Whether a batch of `size` bytes, up to offset `last`, belongs into a new segment.
    pub fn is_full_for(
        &self,
        size: i64,
        max_timestamp: i64,
        last: i64,
        now_ms: i64,
        config: &LogConfig,
    ) -> bool {
        let waited = match self.first_timestamp {
            Some(first) if first >= 0 => max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        };
        self.bytes > config.segment_bytes.saturating_sub(size)
            || (self.bytes > 0 && waited > config.segment_ms)
            || last.saturating_sub(self.base) > i64::from(i32::MAX)
    }

    pub fn push(&mut self, mut batch: Batch, now_ms: i64) {
        batch.body = self.copy(&batch.body);
        self.note(&batch);
        self.modified_ms = now_ms;
        self.batches.push(batch);
    }

    /// Drops the batches that reach to `end` or beyond.
    pub fn truncate(&mut self, end: i64) {
        self.batches.retain(|batch| batch.next() <= end);
        let batches = std::mem::take(&mut self.batches);
        (self.bytes, self.first_timestamp, self.max_timestamp) = (0, None, -1);
        batches.iter().for_each(|batch| self.note(batch));
        self.batches = batches;
    }

    /// The batches from the one that holds `offset`, or the first behind it, on.
    pub fn from(&self, offset: i64) -> &[Batch] {
        let at = self.batches.partition_point(|batch| batch.next() <= offset);
        self.batches.get(at..).unwrap_or_default()
    }

    /// The largest timestamp of its records, -1 if none has one.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// What retention counts from: the largest timestamp, else the time of the last append.
    pub fn largest_timestamp(&self) -> i64 {
        if self.max_timestamp >= 0 { self.max_timestamp } else { self.modified_ms }
    }

    /// Largest timestamp of the first batch, if it has one.
    pub fn first_timestamp(&self) -> Option<i64> {
        self.first_timestamp.filter(|first| *first >= 0)
    }

    /// When it was appended to for the last time.
    pub fn modified_ms(&self) -> i64 {
        self.modified_ms
    }

    fn note(&mut self, batch: &Batch) {
        let max_timestamp = batch.header().max_timestamp;
        self.bytes += i64::try_from(batch.size()).unwrap_or(i64::MAX);
        self.first_timestamp.get_or_insert(max_timestamp);
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
    }

    fn copy(&mut self, body: &[u8]) -> Bytes {
        if body.len() > self.chunk / SHARE {
            self.chunk = (self.chunk * 2).min(CHUNKS.1);
            return Bytes::copy_from_slice(body);
        }
        if self.room.capacity() < body.len() {
            self.room = BytesMut::with_capacity(self.chunk);
            self.chunk = (self.chunk * 2).min(CHUNKS.1);
        }
        self.room.extend_from_slice(body);
        self.room.split().freeze()
    }
}
