//! One transactional id: inits, ends, epochs, in both versions.

use proptest::prelude::*;

use super::*;

/// An id whose producer has `epoch`, after one transaction was added to if `open`.
fn at(epoch: i16, open: bool) -> Transaction {
    let mut known = Transaction::new(7, 60_000, 0);
    (known.epoch, known.last_epoch) = (epoch, epoch - 1);
    if open {
        known.add((7, epoch), [("orders".to_owned(), 0)], Version::BumpsEpoch, 1).expect("adds");
    }
    known
}

fn end(epoch: i16, commit: bool, version: Version) -> End {
    End { producer_id: 7, epoch, commit, version }
}

const BUMPS: Version = Version::BumpsEpoch;
const KEEPS: Version = Version::KeepsEpoch;

#[test]
fn a_new_producer_begins_at_epoch_0_and_the_next_one_fences_it() {
    let mut known = Transaction::new(7, 60_000, 0);
    assert_eq!(known.init(60_000, None, BUMPS, 1, || 8), Ok(Initialised::Ready));
    assert_eq!((known.producer_id, known.epoch), (7, 0));
    assert_eq!(known.init(60_000, None, BUMPS, 2, || 8), Ok(Initialised::Ready));
    assert_eq!(known.epoch, 1);
    assert_eq!(known.current((7, 0)), Err(ResponseError::ProducerFenced));
    assert_eq!(known.current((6, 1)), Err(ResponseError::InvalidProducerIdMapping));
}

#[test]
fn a_producer_that_goes_on_gets_the_next_epoch_once_and_the_same_one_when_it_asks_again() {
    let mut known = at(4, false);
    assert_eq!(known.init(60_000, Some((7, 4)), BUMPS, 1, || 8), Ok(Initialised::Ready));
    assert_eq!(known.init(60_000, Some((7, 4)), BUMPS, 1, || 8), Ok(Initialised::Ready));
    assert_eq!(known.epoch, 5);
    let fenced = Err(ResponseError::ProducerFenced);
    assert_eq!(known.init(60_000, Some((7, 3)), BUMPS, 1, || 8), fenced);
    assert_eq!(known.init(60_000, Some((6, 5)), BUMPS, 1, || 8), fenced);
}

#[test]
fn an_open_transaction_is_fenced_and_aborted_before_the_next_producer_gets_its_epoch() {
    for server in [BUMPS, KEEPS] {
        let mut known = at(4, true);
        assert_eq!(known.init(60_000, None, server, 2, || 8), Ok(Initialised::Fenced));
        assert_eq!((known.state, known.epoch), (TransactionState::PrepareAbort, 5));
        let busy = Err(ResponseError::ConcurrentTransactions);
        assert_eq!(known.init(60_000, None, server, 2, || 8), busy);
        known.complete(3);
        assert_eq!(known.init(60_000, None, server, 4, || 8), Ok(Initialised::Ready));
        assert_eq!(known.epoch, 6);
    }
}

#[test]
fn with_version_2_an_end_bumps_the_epoch_and_its_repetition_is_known_by_the_old_one() {
    let mut known = at(4, true);
    assert_eq!(known.end(end(4, true, BUMPS), 2, || 8), Ok(Ended::Prepared));
    assert_eq!(known.identity_after(), (7, 5));
    assert_eq!(known.end(end(4, true, BUMPS), 2, || 8), Err(ResponseError::ConcurrentTransactions));
    known.complete(3);
    assert_eq!(known.end(end(4, true, BUMPS), 4, || 8), Ok(Ended::Already));
    assert_eq!(known.end(end(4, false, BUMPS), 4, || 8), Err(ResponseError::InvalidTxnState));
    assert_eq!(known.end(end(3, true, BUMPS), 4, || 8), Err(ResponseError::ProducerFenced));
    // The new epoch is the next transaction's: nothing to commit, and nothing to abort, which is allowed.
    assert_eq!(known.end(end(5, true, BUMPS), 4, || 8), Err(ResponseError::InvalidTxnState));
    assert_eq!(known.end(end(5, false, BUMPS), 4, || 8), Ok(Ended::Prepared));
    assert_eq!(known.identity_after(), (7, 6));
}

#[test]
fn until_a_transaction_is_complete_whoever_would_begin_the_next_one_has_to_wait() {
    let busy = ResponseError::ConcurrentTransactions;
    let mut known = at(4, true);
    known.end(end(4, true, BUMPS), 2, || 8).expect("ends");
    // The producer has its next epoch already, and may abort what it never began.
    for epoch in [3, 4, 5] {
        for commit in [true, false] {
            assert_eq!(known.end(end(epoch, commit, BUMPS), 2, || 8), Err(busy));
        }
        assert_eq!(known.add((7, epoch), [], BUMPS, 2), Err(busy));
        assert_eq!(known.init(60_000, Some((9, epoch)), BUMPS, 2, || 8), Err(busy));
    }
    // Who only asks hears first that it is not the one.
    assert_eq!(known.current((7, 4)), Err(ResponseError::ProducerFenced));
    assert_eq!(known.end(end(4, true, KEEPS), 2, || 8), Err(ResponseError::ProducerFenced));
    assert_eq!(known.end(end(5, false, KEEPS), 2, || 8), Err(busy));
}

#[test]
fn with_version_1_an_end_keeps_the_epoch_and_its_repetition_is_known_by_its_outcome() {
    let mut known = at(4, true);
    assert_eq!(known.end(end(4, false, KEEPS), 2, || 8), Ok(Ended::Prepared));
    assert_eq!(known.end(end(4, false, KEEPS), 2, || 8), Err(ResponseError::ConcurrentTransactions));
    known.complete(3);
    assert_eq!(known.end(end(4, false, KEEPS), 4, || 8), Ok(Ended::Already));
    assert_eq!(known.end(end(4, true, KEEPS), 4, || 8), Err(ResponseError::InvalidTxnState));
    assert_eq!(at(4, false).end(end(4, false, KEEPS), 4, || 8), Err(ResponseError::InvalidTxnState));
    assert_eq!((known.producer_id, known.epoch), (7, 4));
}

#[test]
fn when_epochs_run_out_the_end_gives_a_new_producer_id_and_is_known_by_the_old_one() {
    let mut known = at(i16::MAX - 1, true);
    assert_eq!(known.end(end(i16::MAX - 1, true, BUMPS), 2, || 8), Ok(Ended::Prepared));
    assert_eq!((known.epoch, known.identity_after()), (i16::MAX, (8, 0)));
    known.complete(3);
    assert_eq!((known.producer_id, known.epoch), (8, 0));
    assert_eq!(known.end(end(i16::MAX - 1, true, BUMPS), 4, || 9), Ok(Ended::Already));
    let mut idle = at(i16::MAX - 1, false);
    let told = Some((7, i16::MAX - 1));
    assert_eq!(idle.init(60_000, told, BUMPS, 1, || 8), Ok(Initialised::Ready));
    assert_eq!((idle.producer_id, idle.epoch), (8, 0));
    // It did not hear the answer, and asks again as the one it was.
    assert_eq!(idle.init(60_000, told, BUMPS, 1, || 9), Ok(Initialised::Ready));
    assert_eq!((idle.producer_id, idle.epoch), (8, 0));
}

proptest! {
    #[test]
    fn whatever_happens_an_identity_that_was_fenced_can_never_write_again(
        acts in proptest::collection::vec((0_u8..6, any::<bool>(), any::<bool>()), 1..60),
        start in prop_oneof![Just(0_i16), Just(i16::MAX - 4)],
    ) {
        let mut known = at(start, false);
        let mut ids = 8_i64..;
        let mut fenced: Vec<(i64, i16)> = Vec::new();
        for (act, commit, bumps) in acts {
            let before = (known.producer_id, known.epoch);
            let version = if bumps { BUMPS } else { KEEPS };
            let new_id = || ids.next().expect("endless");
            match act {
                0 => drop(known.init(60_000, None, version, 1, new_id)),
                1 => drop(known.init(60_000, Some(before), version, 1, new_id)),
                2 => drop(known.add(before, [("orders".to_owned(), 0)], version, 1)),
                3 => drop(known.end(End { producer_id: before.0, epoch: before.1, commit, version }, 1, new_id)),
                _ if known.state.is_prepared() => known.complete(1),
                _ => {}
            }
            let after = (known.producer_id, known.epoch);
            if after != before {
                prop_assert!(after.0 > before.0 || (after.0 == before.0 && after.1 > before.1));
                fenced.push(before);
            }
            for old in &fenced {
                prop_assert!(known.current(*old).is_err());
                let add = known.clone().add(*old, [("orders".to_owned(), 1)], version, 1);
                prop_assert!(add.is_err());
            }
        }
    }
}
