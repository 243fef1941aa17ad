//! Producers of one partition: which batch is next, which were seen, whose transaction is open.
//!
//! Rules of Kafka's `ProducerStateManager` and `ProducerAppendInfo`: the last five batches are remembered
//! and answered with their first offset when they come again; a gap is OUT_OF_ORDER_SEQUENCE_NUMBER, an older
//! epoch INVALID_PRODUCER_EPOCH; a new epoch begins at sequence 0; a producer that is not known may begin
//! anywhere, unless it uses transactions of version 2. A broker never answers DUPLICATE_SEQUENCE_NUMBER nor
//! UNKNOWN_PRODUCER_ID.
//!
//! A transactional batch is taken only into an open transaction, or after its producer's coordinator has
//! confirmed the partition ([`Producers::begin_verification`]): else INVALID_TXN_STATE. Markers end
//! transactions; since version 2 a marker's epoch is above that of the records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::transactions::Transactions;
use crate::kafka::wire::batch::BatchHeader;
use crate::kafka::wire::marker::EndMarker;

/// Batches remembered per producer: as many as a producer may have in flight.
const REMEMBERED: usize = 5;

#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<i64, Producer>,
    /// Producers whose coordinator is being asked, or has confirmed a batch that is not appended yet.
    verified: BTreeMap<i64, Verification>,
    transactions: Transactions,
}

/// A producer as DescribeProducers tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    /// -1 before the first batch or marker.
    pub epoch: i16,
    /// Of the last marker; -1 before the first.
    pub coordinator_epoch: i32,
    /// Largest timestamp of the last batch, or the marker's.
    pub last_timestamp: i64,
    /// First offset of the open transaction.
    pub open: Option<i64>,
    /// The last batch or marker.
    last_offset: i64,
    batches: VecDeque<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    first: i32,
    last: i32,
    base_offset: i64,
    timestamp: i64,
}

/// A transaction whose first batch here is not appended yet.
#[derive(Clone, Copy, Debug)]
struct Verification {
    epoch: i16,
    /// No batch behind this one is taken before it: the first may still be on its way again.
    lowest_sequence: i32,
    /// Whether the producer's epoch rises with every transaction (version 2).
    bumps_epoch: bool,
    since_ms: i64,
}

/// What an append is to its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The next batch, or one of no producer.
    Next,
    /// Seen before: where it was appended, and its largest timestamp.
    Duplicate { base_offset: i64, timestamp: i64 },
}

impl Producer {
    fn new() -> Self {
        let batches = VecDeque::new();
        Self { epoch: -1, coordinator_epoch: -1, last_timestamp: -1, open: None, last_offset: -1, batches }
    }

    /// The sequence of the last record in this epoch, -1 if there is none.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last)
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }
}

impl Producers {
    /// Says whether a batch may be appended.
    pub(super) fn check(&self, header: &BatchHeader) -> Result<Check, ResponseError> {
        if header.producer_id < 0 {
            return if header.is_transactional() {
                Err(ResponseError::InvalidRecord)
            } else {
                Ok(Check::Next)
            };
        }
        if header.base_sequence < 0 {
            return Err(ResponseError::InvalidRecord);
        }
        let producer = self.known.get(&header.producer_id);
        let (first, last) = (header.base_sequence, last_sequence(header));
        let same = |seen: &&Seen| seen.first == first && seen.last == last;
        let current = producer.filter(|producer| producer.epoch == header.producer_epoch);
        if let Some(seen) = current.and_then(|producer| producer.batches.iter().find(same)) {
            return Ok(Check::Duplicate { base_offset: seen.base_offset, timestamp: seen.timestamp });
        }
        if producer.is_some_and(|producer| header.producer_epoch < producer.epoch) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let open = current.is_some_and(|producer| producer.open.is_some());
        let verification = self.verified.get(&header.producer_id);
        if header.is_transactional() && !open && verification.is_none() {
            return Err(ResponseError::InvalidTxnState);
        }
        if let Some(verification) = verification {
            let unknown = producer.is_none_or(|producer| producer.batches.is_empty());
            if (verification.bumps_epoch && first != 0 && unknown) || first > verification.lowest_sequence {
                return Err(ResponseError::OutOfOrderSequenceNumber);
            }
        }
        let expected = match producer {
            None => first,
            Some(producer) if producer.epoch < 0 => first,
            Some(producer) if producer.epoch != header.producer_epoch => 0,
            Some(producer) => increment(producer.last_sequence(), 1),
        };
        if first != expected {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        // An open transaction, though of an older epoch, is ended by its marker before anything else comes.
        if producer.is_some_and(|producer| producer.open.is_some()) && !header.is_transactional() {
            return Err(ResponseError::InvalidTxnState);
        }
        Ok(Check::Next)
    }

    /// Remembers a batch that was checked and appended.
    pub(super) fn record(&mut self, header: &BatchHeader, base_offset: i64) {
        if header.producer_id < 0 {
            return;
        }
        let producer = self.known.entry(header.producer_id).or_insert_with(Producer::new);
        producer.set_epoch(header.producer_epoch);
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Seen {
            first: header.base_sequence,
            last: last_sequence(header),
            base_offset,
            timestamp: header.max_timestamp,
        });
        producer.last_timestamp = header.max_timestamp;
        producer.last_offset = base_offset + i64::from(header.last_offset_delta);
        if header.is_transactional() {
            self.begin(header.producer_id, base_offset);
        }
    }

    /// Offsets were committed within a transaction, in the log of groups: records without sequences.
    pub fn record_offsets(&mut self, producer_id: i64, epoch: i16, offset: i64, now_ms: i64) {
        let producer = self.known.entry(producer_id).or_insert_with(Producer::new);
        producer.set_epoch(epoch);
        (producer.last_timestamp, producer.last_offset) = (now_ms, offset);
        self.begin(producer_id, offset);
    }

    fn begin(&mut self, producer_id: i64, offset: i64) {
        self.verified.remove(&producer_id);
        if let Some(producer) = self.known.get_mut(&producer_id).filter(|producer| producer.open.is_none()) {
            producer.open = Some(offset);
            self.transactions.begin(producer_id, offset);
        }
    }

    /// Whether a transactional batch needs the coordinator's word first. If so, what is behind it waits for it.
    pub fn begin_verification(
        &mut self,
        (producer_id, epoch): (i64, i16),
        sequence: i32,
        bumps_epoch: bool,
        now_ms: i64,
    ) -> Result<bool, ResponseError> {
        if let Some(producer) = self.known.get(&producer_id) {
            if epoch < producer.epoch {
                return Err(ResponseError::InvalidProducerEpoch);
            }
            if epoch == producer.epoch && producer.open.is_some() {
                return Ok(false);
            }
        }
        let fresh = Verification { epoch, lowest_sequence: sequence, bumps_epoch, since_ms: now_ms };
        let entry = self.verified.entry(producer_id).or_insert(fresh);
        if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(sequence);
        } else if epoch > entry.epoch {
            (entry.epoch, entry.lowest_sequence) = (epoch, sequence);
        }
        Ok(true)
    }

    /// Says whether a transaction's end may be written.
    pub(super) fn check_end(&self, end: &EndMarker) -> Result<(), ResponseError> {
        let Some(producer) = self.known.get(&end.producer_id) else { return Ok(()) };
        let late = if end.version >= 2 {
            // The same epoch once more is the same marker again, or a producer whose epochs ran out.
            let again = producer.open.is_none() || end.epoch == i16::MAX;
            end.epoch < producer.epoch || (end.epoch == producer.epoch && !again)
        } else {
            end.epoch < producer.epoch
        };
        if late {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if end.coordinator_epoch < producer.coordinator_epoch {
            return Err(ResponseError::TransactionCoordinatorFenced);
        }
        Ok(())
    }

    /// A marker that was checked was written at `offset`.
    pub(super) fn end(&mut self, end: &EndMarker, offset: i64, timestamp: i64, high_watermark: i64) {
        // Since version 2 the next transaction may have asked already, in the epoch the marker has.
        let is_next = |waiting: &Verification| waiting.bumps_epoch && waiting.epoch == end.epoch;
        if !self.verified.get(&end.producer_id).is_some_and(is_next) {
            self.verified.remove(&end.producer_id);
        }
        let producer = self.known.entry(end.producer_id).or_insert_with(Producer::new);
        producer.set_epoch(end.epoch);
        producer.coordinator_epoch = end.coordinator_epoch;
        (producer.last_timestamp, producer.last_offset) = (timestamp, offset);
        if let Some(first) = producer.open.take() {
            self.transactions.end(first, offset, end.commit, high_watermark);
        }
    }

    /// The first offset that is not stable for readers that see up to `high_watermark`.
    pub(super) fn first_unstable(&self, high_watermark: i64) -> Option<i64> {
        self.transactions.first_unstable(high_watermark)
    }

    /// Producer and first offset of the aborted transactions that have records from `from` up to `until`.
    pub fn aborted(&self, from: i64, until: i64) -> Vec<(i64, i64)> {
        self.transactions.aborted(from, until)
    }

    /// Whether a producer's transactional record at `offset` was aborted.
    pub fn is_aborted(&self, producer_id: i64, offset: i64) -> bool {
        self.transactions.is_aborted(producer_id, offset)
    }

    /// Forgets the aborted transactions that end with these markers.
    pub fn forget_aborted(&mut self, markers: &BTreeSet<i64>) {
        self.transactions.forget_aborted(markers);
    }

    /// Whether its producer is known by the batch at `base`: by its sequences or, of a producer that has only ended
    /// a transaction in its epoch, by the epoch.
    pub fn is_known_by(&self, header: &BatchHeader, base: i64) -> bool {
        let Some(producer) = self.known.get(&header.producer_id) else { return false };
        match producer.batches.back() {
            Some(seen) => seen.base_offset == base,
            None => header.is_control() && header.producer_epoch == producer.epoch,
        }
    }

    /// Every producer that is known, by id.
    pub fn known(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(id, producer)| (*id, producer))
    }

    /// Forgets producers that were silent for `keep_ms`, and what a deleted part of the log held.
    pub fn expire(&mut self, now_ms: i64, keep_ms: i64) {
        let old = |at_ms: i64| now_ms.saturating_sub(at_ms) >= keep_ms;
        self.known.retain(|_, producer| producer.open.is_some() || !old(producer.last_timestamp));
        self.verified.retain(|_, verification| !old(verification.since_ms));
    }

    /// When the next producer may be forgotten, Unix milliseconds.
    pub fn next_expiry(&self, keep_ms: i64) -> Option<i64> {
        let silent = self.known.values().filter(|producer| producer.open.is_none());
        let asked = self.verified.values().map(|verification| verification.since_ms);
        silent.map(|producer| producer.last_timestamp).chain(asked).min().map(|at| at.saturating_add(keep_ms))
    }

    /// The log begins at `start` now.
    pub fn advance_start(&mut self, start: i64) {
        self.transactions.advance_start(start);
    }

    /// Forgets everything from `to` on. `left` are the batches that stay, in order, each with its first offset
    /// and its body: producers that lost something are what those say, the others stay as they are.
    pub fn truncate(&mut self, to: i64, left: impl Iterator<Item = (BatchHeader, i64, Bytes)>) {
        let cut: Vec<i64> =
            self.known.iter().filter(|(_, producer)| producer.last_offset >= to).map(|(id, _)| *id).collect();
        self.verified.clear();
        self.transactions.truncate(to);
        if cut.is_empty() {
            return;
        }
        for id in &cut {
            if let Some(first) = self.known.remove(id).and_then(|producer| producer.open) {
                self.transactions.forget(first);
            }
        }
        for (header, base, body) in left.filter(|(header, _, _)| cut.contains(&header.producer_id)) {
            if !header.is_control() {
                self.record(&header, base);
            } else if let Some(end) = EndMarker::decode(&header, &body) {
                let producer = self.known.entry(end.producer_id).or_insert_with(Producer::new);
                producer.set_epoch(end.epoch);
                producer.coordinator_epoch = end.coordinator_epoch;
                (producer.last_timestamp, producer.last_offset) = (header.max_timestamp, base);
                if let Some(first) = producer.open.take() {
                    self.transactions.forget(first);
                }
            }
        }
    }
}

fn last_sequence(header: &BatchHeader) -> i32 {
    increment(header.base_sequence, header.last_offset_delta)
}

/// Sequences run from 0 to `i32::MAX` and begin again at 0.
fn increment(sequence: i32, by: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(by)) % (i64::from(i32::MAX) + 1);
    i32::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests;
