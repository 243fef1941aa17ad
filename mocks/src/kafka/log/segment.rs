//! A segment: consecutive batches of a log that are rolled, deleted and compacted together.
//!
//! Invariant: batches are in order of offset and do not overlap; `bytes` and the timestamps are theirs. What is kept
//! takes hardly more room than its bytes: small batches share memory (`piece.rs`), and a large one keeps the memory
//! it came in if it is nearly all of it; others are copied.

use bytes::{Bytes, BytesMut};

use super::batch::Batch;
use super::config::LogConfig;
use super::piece::{Piece, Run};
use crate::kafka::wire::batch::put_prefix;

/// Smallest and largest run of small batches; they double, so that a log of few records stays small.
const RUNS: (usize, usize) = (1 << 10, 32 << 10);
/// Batches above this part of a run have memory of their own: the end of a run they do not fit into is lost. That
/// part of the memory it came in may be lost on a batch, too.
const SHARE: usize = 8;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: i64,
    /// Size of its batches on the wire.
    pub bytes: i64,
    /// Largest timestamp of its first batch, which `segment.ms` counts from.
    first_timestamp: Option<i64>,
    /// -1 if no batch has one.
    max_timestamp: i64,
    created_ms: i64,
    /// When it was appended to for the last time.
    modified_ms: i64,
    pieces: Vec<Piece>,
    /// The run behind the pieces that is still written, and the offset behind it.
    open: BytesMut,
    open_next: i64,
    /// Size of the next run.
    run: usize,
}

impl Segment {
    pub fn new(base: i64, now_ms: i64) -> Self {
        Self {
            base,
            bytes: 0,
            first_timestamp: None,
            max_timestamp: -1,
            created_ms: now_ms,
            modified_ms: now_ms,
            pieces: Vec::new(),
            open: BytesMut::new(),
            open_next: base,
            run: RUNS.0,
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

    /// Puts a batch behind the others. Its body is part of memory of `room` bytes that lives as long as it does.
    pub fn push(&mut self, mut batch: Batch, room: usize, now_ms: i64) {
        self.note(&batch);
        self.modified_ms = now_ms;
        if batch.size() > self.run / SHARE {
            if batch.body.len() < room - room / SHARE {
                batch.body = Bytes::copy_from_slice(&batch.body);
            }
            self.grow();
            self.close_run();
            self.pieces.push(Piece::One(batch));
            return;
        }
        if self.open.capacity() - self.open.len() < batch.size() {
            self.close_run();
            self.open = BytesMut::with_capacity(self.run);
            self.grow();
        }
        put_prefix(&mut self.open, batch.base, batch.epoch, &batch.body);
        self.open.extend_from_slice(&batch.body);
        self.open_next = batch.next();
    }

    /// Drops the batches that reach to `end` or beyond.
    pub fn truncate(&mut self, end: i64) {
        self.close_run();
        let at = self.pieces.partition_point(|piece| piece.next() <= end);
        let cut = self.pieces.get(at).and_then(|piece| piece.before(end));
        self.pieces.truncate(at);
        self.pieces.extend(cut);
        (self.bytes, self.first_timestamp, self.max_timestamp) = (0, None, -1);
        let pieces = std::mem::take(&mut self.pieces);
        pieces.iter().cloned().flat_map(Piece::batches).for_each(|batch| self.note(&batch));
        self.pieces = pieces;
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.open.is_empty()
    }

    /// The offset behind its last batch; its base if it has none.
    pub fn end(&self) -> i64 {
        match self.open.is_empty() {
            true => self.pieces.last().map_or(self.base, Piece::next),
            false => self.open_next,
        }
    }

    /// What has the batches from the one that holds `offset`, or the first behind it, on; none of it begins with a
    /// batch before that.
    pub fn pieces_from(&self, offset: i64) -> impl Iterator<Item = Piece> {
        let at = self.pieces.partition_point(|piece| piece.next() <= offset);
        let closed = self.pieces.get(at..).unwrap_or_default().iter().cloned();
        // It is still written to, so what is read of it is copied.
        let open = std::iter::once_with(move || Run::copied(&self.open, offset)).flatten().map(Piece::Run);
        closed.map(move |piece| piece.from(offset)).chain(open)
    }

    /// The batches from the one that holds `offset`, or the first behind it, on.
    pub fn from(&self, offset: i64) -> impl Iterator<Item = Batch> {
        self.pieces_from(offset).flat_map(Piece::batches)
    }

    pub fn batches(&self) -> impl Iterator<Item = Batch> {
        self.from(self.base)
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

    fn grow(&mut self) {
        self.run = (self.run * 2).min(RUNS.1);
    }

    /// Makes a piece of the open run; the next one goes on in its memory.
    fn close_run(&mut self) {
        if !self.open.is_empty() {
            self.pieces.push(Piece::Run(Run { next: self.open_next, bytes: self.open.split().freeze() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::batch::{PREFIX, tests::batch};

    fn at(base: i64, whole: &Bytes) -> Batch {
        Batch::new(base, 0, whole.slice(PREFIX..))
    }

    fn body_of(segment: &Segment) -> Bytes {
        segment.batches().next().expect("a batch").body
    }

    #[test]
    fn a_batch_of_one_small_record_takes_hardly_more_than_its_bytes() {
        let whole = batch(&["0123456789"], 100, (-1, -1, -1));
        let mut segment = Segment::new(0, 0);
        (0..100_000).for_each(|base| segment.push(at(base, &whole), whole.len(), 0));
        let runs: usize = segment
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::One(batch) => batch.body.len(),
                Piece::Run(run) => run.bytes.len().next_multiple_of(RUNS.1),
            })
            .sum();
        let held = runs + segment.open.capacity() + segment.pieces.capacity() * size_of::<Piece>();
        assert!(held * 100 < 100_000 * whole.len() * 105, "{held} for {}", segment.bytes);
    }

    #[test]
    fn a_large_batch_keeps_the_memory_that_is_nearly_all_its_own_and_no_other() {
        let whole = batch(&["x".repeat(20_000).as_str()], 100, (-1, -1, -1));
        let large = at(0, &whole);
        for (room, keeps) in [(whole.len(), true), (whole.len() + 1000, true), (whole.len() * 2, false)] {
            let mut segment = Segment::new(0, 0);
            segment.push(large.clone(), room, 0);
            assert_eq!(body_of(&segment), large.body);
            assert_eq!(body_of(&segment).as_ptr() == large.body.as_ptr(), keeps, "{room}");
        }
    }

    #[test]
    fn batches_of_any_size_are_found_by_offset_and_cut_off_by_it() {
        let sizes = [1, 10, 3000, 5, 40_000, 7, 7, 200, 5000, 5000, 1, 60];
        let wholes: Vec<_> =
            sizes.map(|size| batch(&["x".repeat(size).as_str(), ""], 100, (-1, -1, -1))).into();
        for end in 0..=24 {
            let mut segment = Segment::new(0, 0);
            for (base, whole) in (0..).step_by(2).zip(&wholes) {
                segment.push(at(base, whole), whole.len(), 0);
            }
            segment.truncate(end);
            let left = end - end % 2;
            assert_eq!(segment.end(), left);
            for offset in 0..end {
                let bases: Vec<i64> = segment.from(offset).map(|batch| batch.base).collect();
                assert_eq!(bases, (offset - offset % 2..left).step_by(2).collect::<Vec<_>>());
            }
            let bytes: usize = segment.batches().map(|batch| batch.size()).sum();
            assert_eq!(segment.bytes, i64::try_from(bytes).expect("few"));
        }
    }
}
