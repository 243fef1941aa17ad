//! Idempotent producers of one partition: which batch is next, which were seen.
//!
//! Rules of Kafka's `ProducerStateManager` and `ProducerAppendInfo`: the last five batches are remembered
//! and answered with their first offset when they come again; a gap is OUT_OF_ORDER_SEQUENCE_NUMBER, an older
//! epoch INVALID_PRODUCER_EPOCH; a new epoch begins at sequence 0; a producer that is not known may begin
//! anywhere. A broker never answers DUPLICATE_SEQUENCE_NUMBER. Producers do not expire yet.

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::error::ResponseError;

use crate::kafka::wire::batch::BatchHeader;

/// Batches remembered per producer: as many as a producer may have in flight.
const REMEMBERED: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Producers {
    known: BTreeMap<i64, Producer>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    first: i32,
    last: i32,
    base_offset: i64,
    timestamp: i64,
}

/// What an append is to its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The next batch, or one of no producer.
    Next,
    /// Seen before: where it was appended, and its largest timestamp.
    Duplicate { base_offset: i64, timestamp: i64 },
}

impl Producers {
    /// Says whether a batch may be appended.
    pub fn check(&self, header: &BatchHeader) -> Result<Check, ResponseError> {
        if header.producer_id < 0 {
            return Ok(Check::Next);
        }
        if header.base_sequence < 0 || header.producer_epoch < 0 {
            return Err(ResponseError::InvalidRecord);
        }
        let Some(producer) = self.known.get(&header.producer_id) else { return Ok(Check::Next) };
        if header.producer_epoch < producer.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let (first, last) = (header.base_sequence, last_sequence(header));
        if header.producer_epoch > producer.epoch {
            return if first == 0 { Ok(Check::Next) } else { Err(ResponseError::OutOfOrderSequenceNumber) };
        }
        let same = |seen: &&Seen| seen.first == first && seen.last == last;
        if let Some(seen) = producer.batches.iter().find(same) {
            return Ok(Check::Duplicate { base_offset: seen.base_offset, timestamp: seen.timestamp });
        }
        match producer.batches.back() {
            Some(newest) if increment(newest.last, 1) != first => {
                Err(ResponseError::OutOfOrderSequenceNumber)
            }
            _ => Ok(Check::Next),
        }
    }

    /// Remembers a batch that was checked and appended.
    pub fn record(&mut self, header: &BatchHeader, base_offset: i64) {
        if header.producer_id < 0 {
            return;
        }
        let fresh = || Producer { epoch: header.producer_epoch, batches: VecDeque::new() };
        let producer = self.known.entry(header.producer_id).or_insert_with(fresh);
        if header.producer_epoch > producer.epoch {
            *producer = fresh();
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        let last = last_sequence(header);
        producer.batches.push_back(Seen {
            first: header.base_sequence,
            last,
            base_offset,
            timestamp: header.max_timestamp,
        });
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
mod tests {
    use super::*;

    fn header(epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
        BatchHeader {
            attributes: 0,
            last_offset_delta: count - 1,
            first_timestamp: 0,
            max_timestamp: 0,
            producer_id: 1,
            producer_epoch: epoch,
            base_sequence,
            count,
        }
    }

    fn fed(batches: &[(i16, i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        for (offset, (epoch, first, count)) in batches.iter().enumerate() {
            producers.record(&header(*epoch, *first, *count), i64::try_from(offset).expect("few") * 100);
        }
        producers
    }

    #[test]
    fn the_fifth_last_batch_is_a_duplicate_and_the_sixth_last_is_out_of_order() {
        let producers = fed(&[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)]);
        assert_eq!(
            producers.check(&header(0, 1, 1)),
            Ok(Check::Duplicate { base_offset: 100, timestamp: 0 })
        );
        assert_eq!(producers.check(&header(0, 0, 1)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(producers.check(&header(0, 6, 1)), Ok(Check::Next));
        assert_eq!(producers.check(&header(0, 7, 1)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn part_of_a_seen_batch_is_no_duplicate() {
        let producers = fed(&[(0, 0, 10)]);
        assert_eq!(producers.check(&header(0, 0, 5)), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_newer_epoch_begins_at_zero_and_fences_the_older() {
        let mut producers = fed(&[(3, 0, 10)]);
        assert_eq!(producers.check(&header(4, 10, 1)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(producers.check(&header(4, 0, 1)), Ok(Check::Next));
        producers.record(&header(4, 0, 1), 10);
        assert_eq!(producers.check(&header(3, 10, 1)), Err(ResponseError::InvalidProducerEpoch));
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        assert_eq!(Producers::default().check(&header(0, 77, 1)), Ok(Check::Next));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = fed(&[(0, i32::MAX - 1, 2)]);
        assert_eq!(producers.check(&header(0, 0, 1)), Ok(Check::Next));
        let producers = fed(&[(0, i32::MAX - 1, 4)]);
        assert_eq!(producers.check(&header(0, 2, 1)), Ok(Check::Next));
    }
}
