//! Compaction: of every key the newest record stays.
//!
//! Rules of Kafka's `LogCleaner`: the active segment, what is not stable and what is younger than
//! `min.compaction.lag.ms` is left alone; a log is cleaned when the part that was not yet is large enough, or too
//! old. A tombstone stays for `delete.retention.ms` after the run that first saw it as its key's newest record,
//! which writes that time into the batch; so does a transaction's marker after the run that first saw nothing left
//! of its transaction (`cleaned_transactions.rs`). Offsets and batches keep their places: a batch without records
//! stays if its producer is known by it, or if it is the last of the run.

use bytes::Bytes;
use indexmap::IndexMap;

use super::Log;
use super::batch::Batch;
use super::cleaned_transactions::CleanedTransactions;
use super::config::LogConfig;
use super::producers::Producers;
use super::segment::Segment;
use crate::kafka::wire::batch::BatchHeader;
use crate::kafka::wire::compression::Codec;
use crate::kafka::wire::rebuild::Rebuild;
use crate::kafka::wire::records::{Record, Records};

/// What there is to clean in a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dirty {
    /// Which part of the bytes that may be cleaned was not cleaned yet.
    pub ratio: f64,
    /// Offsets to be cleaned; the end is that of a segment.
    from: i64,
    until: i64,
}

impl Log {
    /// What is to be cleaned now, if anything is.
    pub fn dirty(&self, now_ms: i64, config: &LogConfig) -> Option<Dirty> {
        if !config.compact {
            return None;
        }
        let from = if (self.start..=self.end).contains(&self.cleaned) { self.cleaned } else { self.start };
        let until = self.first_uncleanable(from, now_ms, config);
        let clean: i64 = self.closed.iter().filter(|s| s.base < from).map(|s| s.bytes).sum();
        let cleanable: i64 = self.closed_from(from).filter(|s| s.base < until).map(|s| s.bytes).sum();
        let oldest = self.closed_from(from).filter_map(Segment::first_timestamp).filter(|t| *t > 0).min();
        let latest = now_ms.saturating_sub(config.max_compaction_lag_ms.max(0));
        let is_due = oldest.is_some_and(|oldest| oldest < latest);
        #[expect(clippy::cast_precision_loss, reason = "sizes in memory are far below 2^52")]
        let ratio = cleanable as f64 / (clean + cleanable).max(1) as f64;
        let is_dirty = cleanable > 0 && (is_due || ratio > config.min_cleanable_dirty_ratio);
        is_dirty.then_some(Dirty { ratio, from, until })
    }

    /// Cleans what [`dirty`](Self::dirty) found.
    pub fn compact(&mut self, dirty: &Dirty, now_ms: i64, config: &LogConfig) {
        let mut run = Run {
            newest: self.newest_of_keys(dirty),
            producers: &self.producers,
            transactions: CleanedTransactions::new(&self.producers),
            until: dirty.until,
            now_ms,
            delete_retention_ms: config.delete_retention_ms,
        };
        let behind = self.closed.split_off(self.closed.partition_point(|s| s.base < dirty.until));
        let mut groups: Vec<Group> = Vec::new();
        for segment in std::mem::replace(&mut self.closed, behind) {
            match groups.last_mut().filter(|group| group.takes(&segment, config.segment_bytes)) {
                Some(group) => group.add(&segment, &mut run),
                None => groups.push(Group::new(&segment, &mut run)),
            }
        }
        let emptied = run.transactions.emptied();
        self.producers.forget_aborted(&emptied);
        for group in groups.into_iter().rev().filter(|group| !group.cleaned.is_empty()) {
            self.closed.push_front(group.cleaned);
        }
        self.cleaned = dirty.until;
    }

    /// The first offset that is not to be cleaned: the base of a segment.
    fn first_uncleanable(&self, from: i64, now_ms: i64, config: &LogConfig) -> i64 {
        let lag = config.min_compaction_lag_ms.max(0);
        let is_young = |s: &&Segment| lag > 0 && s.largest_timestamp() > now_ms.saturating_sub(lag);
        let young = self.closed_from(from).find(is_young).map_or(i64::MAX, |segment| segment.base);
        let first = young.min(self.last_stable()).min(self.active.base).max(from);
        self.closed_from(first).next().map_or(self.active.base, |segment| segment.base)
    }

    /// The rolled segments from the one that holds `offset` on.
    fn closed_from(&self, offset: i64) -> impl Iterator<Item = &Segment> {
        let next = self.closed.iter().skip(1).map(|segment| segment.base).chain([self.active.base]);
        self.closed.iter().zip(next).filter(move |(_, next)| *next > offset).map(|(segment, _)| segment)
    }

    /// The newest offset of every key among the records to be cleaned; those of aborted transactions do not count.
    fn newest_of_keys(&self, dirty: &Dirty) -> IndexMap<Box<[u8]>, i64> {
        let mut newest = IndexMap::new();
        let batches = self.batches_from(dirty.from).take_while(|batch| batch.base < dirty.until);
        let counts = |header: &BatchHeader, base| {
            let aborted = header.is_transactional() && self.producers.is_aborted(header.producer_id, base);
            !header.is_control() && !aborted
        };
        for batch in batches.filter(|batch| counts(&batch.header(), batch.base)) {
            let Some(plain) = batch.plain() else { continue };
            for record in Records::new(&plain, batch.header().count).map_while(Result::ok) {
                let offset = batch.base + record.offset_delta;
                let Some(key) = record.key.filter(|_| offset >= dirty.from) else { continue };
                match newest.get_mut(key) {
                    Some(known) => *known = offset,
                    None => _ = newest.insert(Box::from(key), offset),
                }
            }
        }
        newest
    }
}

/// What decides in one run of the cleaner.
struct Run<'a> {
    newest: IndexMap<Box<[u8]>, i64>,
    producers: &'a Producers,
    transactions: CleanedTransactions<'a>,
    until: i64,
    now_ms: i64,
    delete_retention_ms: i64,
}

/// Segments that become one.
struct Group {
    cleaned: Segment,
    /// Bytes of its segments before they were cleaned.
    bytes: i64,
}

impl Group {
    fn new(segment: &Segment, run: &mut Run<'_>) -> Self {
        let mut group = Self { cleaned: Segment::new(segment.base, segment.modified_ms()), bytes: 0 };
        group.add(segment, run);
        group
    }

    fn takes(&self, segment: &Segment, largest: i64) -> bool {
        self.bytes + segment.bytes <= largest && segment.end() - self.cleaned.base <= i64::from(i32::MAX)
    }

    fn add(&mut self, segment: &Segment, run: &mut Run<'_>) {
        self.bytes += segment.bytes;
        for batch in segment.batches().filter_map(|batch| run.cleaned(&batch)) {
            self.cleaned.push(batch, usize::MAX, segment.modified_ms());
        }
    }
}

impl Run<'_> {
    /// What is left of a batch. One that cannot be read stays as it is.
    fn cleaned(&mut self, batch: &Batch) -> Option<Batch> {
        let header = batch.header();
        let may_go = self.transactions.may_go(batch, &header);
        let is_dropped = may_go && (!header.is_control() || self.is_over(&header));
        let Some(plain) = batch.plain() else { return Some(batch.clone()) };
        let keeps = |record: &Record<'_>| {
            !is_dropped && (header.is_control() || self.keeps(batch.base, &header, record))
        };
        let kept: Vec<(i64, Record<'_>)> = Records::new(&plain, header.count)
            .map_while(Result::ok)
            .filter(keeps)
            .map(|record| (header.timestamp(record.timestamp_delta), record))
            .collect();
        if kept.is_empty() {
            let stays = self.producers.is_known_by(&header, batch.base) || batch.next() == self.until;
            return stays.then(|| rebuilt(batch, &header, &kept, None));
        }
        let horizon = header.delete_horizon_ms();
        let may_go_later =
            (header.is_control() && may_go) || kept.iter().any(|(_, record)| record.value.is_none());
        let new = horizon.is_none() && may_go_later;
        if !new && i32::try_from(kept.len()) == Ok(header.count) {
            return Some(batch.clone());
        }
        let horizon = if new { Some(self.now_ms.saturating_add(self.delete_retention_ms)) } else { horizon };
        Some(rebuilt(batch, &header, &kept, horizon))
    }

    fn keeps(&self, base: i64, header: &BatchHeader, record: &Record<'_>) -> bool {
        let offset = base + record.offset_delta;
        if offset >= self.until {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_newest = self.newest.get(key).is_none_or(|newest| offset >= *newest);
        is_newest && (record.value.is_some() || !self.is_over(header))
    }

    /// Whether the time of what may go from this batch is over.
    fn is_over(&self, header: &BatchHeader) -> bool {
        header.delete_horizon_ms().is_some_and(|horizon| self.now_ms >= horizon)
    }
}

/// A batch with these records only; the batch itself should they not be writable.
fn rebuilt(batch: &Batch, header: &BatchHeader, kept: &[(i64, Record<'_>)], horizon: Option<i64>) -> Batch {
    let how = Rebuild {
        codec: header.codec().filter(|_| !kept.is_empty()).unwrap_or(Codec::None),
        append_time_ms: header.is_log_append_time().then_some(header.max_timestamp),
        delete_horizon_ms: horizon,
        last_offset_delta: header.last_offset_delta,
    };
    let body: Bytes = how.write(header, kept).unwrap_or_else(|_| batch.body.clone());
    Batch::new(batch.base, batch.epoch, body)
}
