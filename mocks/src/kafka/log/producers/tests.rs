//! Producers of one partition: sequences, epochs, verification, markers, truncation.

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
    assert_eq!(producers.check(&header(0, 1, 1)), Ok(Check::Duplicate { base_offset: 100, timestamp: 0 }));
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

fn transactional(epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
    BatchHeader { attributes: 0x10, ..header(epoch, base_sequence, count) }
}

fn marker(epoch: i16, version: i16) -> EndMarker {
    EndMarker { producer_id: 1, epoch, coordinator_epoch: 5, commit: false, version }
}

/// A producer of epoch 3 with a transaction open since offset 10.
fn open(bumps_epoch: bool) -> Producers {
    let mut producers = Producers::default();
    assert_eq!(producers.begin_verification((1, 3), 0, bumps_epoch, 0), Ok(true));
    assert_eq!(producers.check(&transactional(3, 0, 2)), Ok(Check::Next));
    producers.record(&transactional(3, 0, 2), 10);
    producers
}

#[test]
fn a_transactional_batch_is_taken_once_its_coordinator_was_asked_and_then_without_asking() {
    let unasked = Producers::default();
    assert_eq!(unasked.check(&transactional(3, 0, 1)), Err(ResponseError::InvalidTxnState));
    let mut producers = open(true);
    assert_eq!(producers.begin_verification((1, 3), 2, true, 0), Ok(false));
    assert_eq!(producers.check(&transactional(3, 2, 1)), Ok(Check::Next));
    assert_eq!(producers.check(&header(3, 2, 1)), Err(ResponseError::InvalidTxnState));
    assert_eq!(producers.begin_verification((1, 2), 0, true, 0), Err(ResponseError::InvalidProducerEpoch));
}

#[test]
fn no_batch_overtakes_the_first_one_that_waits_for_the_coordinator() {
    let mut producers = Producers::default();
    producers.begin_verification((1, 0), 4, false, 0).expect("asks");
    producers.begin_verification((1, 0), 7, false, 0).expect("asks");
    assert_eq!(producers.check(&transactional(0, 7, 1)), Err(ResponseError::OutOfOrderSequenceNumber));
    assert_eq!(producers.check(&transactional(0, 4, 1)), Ok(Check::Next));
}

#[test]
fn with_version_2_a_producer_that_is_not_known_begins_at_zero() {
    let mut producers = Producers::default();
    producers.begin_verification((1, 0), 4, true, 0).expect("asks");
    assert_eq!(producers.check(&transactional(0, 4, 1)), Err(ResponseError::OutOfOrderSequenceNumber));
}

#[test]
fn since_version_2_a_marker_is_above_the_records_epoch_or_a_repetition_of_itself() {
    let mut producers = open(true);
    assert_eq!(producers.check_end(&marker(3, 2)), Err(ResponseError::InvalidProducerEpoch));
    assert_eq!(producers.check_end(&marker(3, 0)), Ok(()));
    assert_eq!(producers.check_end(&marker(4, 2)), Ok(()));
    producers.end(&marker(4, 2), 12, 0, 13);
    assert_eq!(producers.check_end(&marker(4, 2)), Ok(()));
    assert_eq!(producers.check_end(&marker(3, 2)), Err(ResponseError::InvalidProducerEpoch));
    let older = EndMarker { coordinator_epoch: 4, ..marker(5, 2) };
    assert_eq!(producers.check_end(&older), Err(ResponseError::TransactionCoordinatorFenced));
}

#[test]
fn the_last_stable_offset_waits_for_the_marker_and_for_its_replication() {
    let mut producers = open(true);
    assert_eq!(producers.first_unstable(12), Some(10));
    producers.end(&marker(4, 2), 12, 0, 12);
    assert_eq!(producers.first_unstable(12), Some(10));
    assert_eq!(producers.first_unstable(13), None);
    assert_eq!(producers.aborted(0, 100), [(1, 10)]);
}

#[test]
fn after_a_marker_of_the_same_epoch_sequences_go_on_and_after_one_above_they_begin_again() {
    let mut same = open(false);
    same.end(&marker(3, 0), 12, 0, 13);
    same.begin_verification((1, 3), 2, false, 0).expect("asks");
    assert_eq!(same.check(&transactional(3, 2, 1)), Ok(Check::Next));
    let mut above = open(true);
    above.end(&marker(4, 2), 12, 0, 13);
    above.begin_verification((1, 4), 0, true, 0).expect("asks");
    assert_eq!(above.check(&transactional(4, 0, 1)), Ok(Check::Next));
    assert_eq!(above.check(&transactional(3, 2, 1)), Err(ResponseError::InvalidProducerEpoch));
}

#[test]
fn a_transaction_whose_marker_is_cut_off_is_open_again_and_one_cut_off_whole_is_gone() {
    let mut producers = open(true);
    let end = marker(4, 2);
    producers.end(&end, 12, 0, 13);
    let (data, nothing) = (transactional(3, 0, 2), Bytes::new());
    producers.truncate(12, [(data, 10, nothing)].into_iter());
    assert_eq!(producers.first_unstable(12), Some(10));
    assert!(producers.aborted(0, 100).is_empty());
    assert_eq!(
        producers.known().map(|(_, known)| (known.epoch, known.open)).collect::<Vec<_>>(),
        [(3, Some(10))]
    );
    producers.truncate(10, std::iter::empty());
    assert_eq!(producers.first_unstable(10), None);
    assert_eq!(producers.known().count(), 0);
}

#[test]
fn silent_producers_are_forgotten_unless_their_transaction_is_open() {
    let mut producers = fed(&[(0, 0, 1)]);
    assert_eq!(producers.next_expiry(100), Some(100));
    producers.expire(99, 100);
    assert_eq!(producers.known().count(), 1);
    producers.expire(100, 100);
    assert_eq!(producers.known().count(), 0);
    let mut producers = open(true);
    producers.expire(i64::MAX, 100);
    assert_eq!(producers.known().count(), 1);
}
