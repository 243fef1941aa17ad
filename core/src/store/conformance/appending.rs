//! Appending to streams and reading them.

use std::sync::Arc;

use futures::future::join_all;

use super::{EVERYTHING, append, appended, event, everything, forged, stream};
use crate::event_id::IdentityError;
use crate::store::{Append, EventStore, ExpectedVersion, Position, StoreError};

pub(super) async fn check(make: &impl AsyncFn() -> Arc<dyn EventStore>) {
    appended_events_are_read_as_they_were(&*make().await).await;
    streams_are_read_in_pages(&*make().await).await;
    expected_versions_are_enforced(&*make().await).await;
    repeated_appends_are_answered_with_the_original_places(&*make().await).await;
    partly_repeated_appends_are_refused(&*make().await).await;
    equal_ids_with_other_digests_are_refused(&*make().await).await;
    appends_without_a_meaning_are_refused(&*make().await).await;
    one_of_many_concurrent_appends_wins(&*make().await).await;
    concurrent_repetitions_are_stored_once(&*make().await).await;
}

async fn appended_events_are_read_as_they_were(store: &dyn EventStore) {
    assert_eq!(
        store.append(append("a", ExpectedVersion::NoStream, &[1, 2])).await,
        appended((1, 2), (1, 2), false)
    );
    assert_eq!(store.append(append("b", ExpectedVersion::Any, &[3])).await, appended((1, 1), (3, 3), false));
    assert_eq!(
        store.append(append("a", ExpectedVersion::Exact(2), &[4])).await,
        appended((3, 3), (4, 4), false)
    );
    let all = everything(store).await;
    let events: Vec<_> = all.iter().map(|stored| stored.event.clone()).collect();
    assert_eq!(events, [event(1), event(2), event(3), event(4)], "events come back as they were appended");
    let a = store.read(&stream("a"), 1, EVERYTHING).await.expect("a healthy store can be read");
    assert_eq!(a, [all[0].clone(), all[1].clone(), all[3].clone()], "a stream holds its own events only");
}

async fn streams_are_read_in_pages(store: &dyn EventStore) {
    let numbers: Vec<u32> = (1..=5).collect();
    store.append(append("a", ExpectedVersion::Any, &numbers)).await.expect("nothing is in the way");
    let pages: [(u64, usize, &[u64]); 6] =
        [(0, 2, &[1, 2]), (1, 2, &[1, 2]), (4, 10, &[4, 5]), (6, 10, &[]), (u64::MAX, 1, &[]), (1, 0, &[])];
    for (from, limit, expected) in pages {
        let page = store.read(&stream("a"), from, limit).await.expect("a healthy store can be read");
        let versions: Vec<u64> = page.iter().map(|stored| stored.version).collect();
        assert_eq!(versions, expected, "read from {from}, at most {limit}");
    }
    let pages: [(u64, usize, &[u64]); 4] =
        [(0, 2, &[1, 2]), (3, 10, &[4, 5]), (5, 10, &[]), (u64::MAX, 1, &[])];
    for (after, limit, expected) in pages {
        let page = store.read_all(Position(after), limit).await.expect("a healthy store can be read");
        let positions: Vec<u64> = page.iter().map(|stored| stored.position.0).collect();
        assert_eq!(positions, expected, "read all after {after}, at most {limit}");
    }
    let missing = store.read(&stream("missing"), 1, 10).await;
    assert_eq!(missing, Ok(Vec::new()), "a stream that does not exist is empty");
}

async fn expected_versions_are_enforced(store: &dyn EventStore) {
    use ExpectedVersion::{Any, Exact, Exists, NoStream};
    store.append(append("two", Any, &[1, 2])).await.expect("nothing is in the way");
    let refused = [
        ("none", Exists, 0),
        ("none", Exact(1), 0),
        ("two", NoStream, 2),
        ("two", Exact(0), 2),
        ("two", Exact(1), 2),
        ("two", Exact(3), 2),
    ];
    for (name, expected, actual) in refused {
        let conflict = StoreError::Conflict { stream: stream(name), expected, actual };
        assert_eq!(store.append(append(name, expected, &[3])).await, Err(conflict), "{name}, {expected}");
    }
    assert_eq!(everything(store).await.len(), 2, "a conflict writes nothing");
    let accepted =
        [("none", NoStream), ("empty", Exact(0)), ("two", Any), ("two", Exists), ("two", Exact(4))];
    for (number, (name, expected)) in (10..).zip(accepted) {
        let answer = store.append(append(name, expected, &[number])).await;
        assert!(answer.is_ok(), "{name}, {expected}: {answer:?}");
    }
}

async fn repeated_appends_are_answered_with_the_original_places(store: &dyn EventStore) {
    use ExpectedVersion::{Any, Exact, NoStream};
    store.append(append("a", NoStream, &[1, 2, 3])).await.expect("nothing is in the way");
    store.append(append("b", Any, &[4])).await.expect("nothing is in the way");
    store.append(append("a", Exact(3), &[5])).await.expect("nothing is in the way");
    let whole = store.append(append("a", NoStream, &[1, 2, 3])).await;
    assert_eq!(whole, appended((1, 3), (1, 3), true), "although the stream has moved on");
    let part = store.append(append("a", Exact(1), &[2, 3])).await;
    assert_eq!(part, appended((2, 3), (2, 3), true), "events that follow each other");
    let across = store.append(append("a", Any, &[3, 5])).await;
    assert_eq!(across, appended((3, 4), (3, 5), true), "versions follow each other, positions need not");
    assert_eq!(everything(store).await.len(), 5, "a repetition writes nothing");
}

async fn partly_repeated_appends_are_refused(store: &dyn EventStore) {
    use ExpectedVersion::Any;
    store.append(append("a", Any, &[1, 2, 3])).await.expect("nothing is in the way");
    store.append(append("b", Any, &[4])).await.expect("nothing is in the way");
    let refused: [(&str, &[u32], &str); 7] = [
        ("a", &[3, 9], "old, then new"),
        ("a", &[9, 1], "new, then old"),
        ("a", &[1, 3], "old ones with a gap"),
        ("a", &[2, 1], "old ones in another order"),
        ("b", &[1], "an event of another stream"),
        ("c", &[1, 2, 3], "events of another stream"),
        ("a", &[3, 4], "events of two streams"),
    ];
    for (name, numbers, why) in refused {
        let answer = store.append(append(name, Any, numbers)).await;
        assert!(matches!(answer, Err(StoreError::PartialDuplicate { .. })), "{why}: {answer:?}");
    }
    assert_eq!(everything(store).await.len(), 4, "a refused append writes nothing");
}

async fn equal_ids_with_other_digests_are_refused(store: &dyn EventStore) {
    use ExpectedVersion::Any;
    store.append(append("a", Any, &[1, 2])).await.expect("nothing is in the way");
    let batches = [vec![forged(1)], vec![event(1), forged(2)], vec![event(9), forged(1)]];
    for (name, events) in ["a", "a", "b"].into_iter().zip(batches) {
        let answer = store.append(Append { stream: stream(name), expected: Any, events }).await;
        let is_collision = matches!(answer, Err(StoreError::Identity(IdentityError::Collision { .. })));
        assert!(is_collision, "another event with a known id is no duplicate: {answer:?}");
    }
    assert_eq!(everything(store).await.len(), 2, "a refused append writes nothing");
}

async fn appends_without_a_meaning_are_refused(store: &dyn EventStore) {
    for numbers in [&[][..], &[1, 1]] {
        let answer = store.append(append("a", ExpectedVersion::Any, numbers)).await;
        assert!(matches!(answer, Err(StoreError::InvalidAppend { .. })), "{numbers:?}: {answer:?}");
    }
    assert_eq!(everything(store).await, [], "a refused append writes nothing");
}

async fn one_of_many_concurrent_appends_wins(store: &dyn EventStore) {
    let rivals = (1..=8).map(|n| store.append(append("a", ExpectedVersion::NoStream, &[n])));
    let answers = join_all(rivals).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    let lost =
        answers.iter().filter(|answer| matches!(answer, Err(StoreError::Conflict { actual: 1, .. }))).count();
    assert_eq!((won, lost), (1, 7), "{answers:?}");
    assert_eq!(everything(store).await.len(), 1);
}

async fn concurrent_repetitions_are_stored_once(store: &dyn EventStore) {
    let repetitions = (0..8).map(|_| store.append(append("a", ExpectedVersion::NoStream, &[1, 2])));
    let answers = join_all(repetitions).await;
    let fresh =
        answers.iter().filter(|answer| answer.as_ref().is_ok_and(|appended| !appended.duplicate)).count();
    assert_eq!(fresh, 1, "one append writes, the others are duplicates: {answers:?}");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(everything(store).await.len(), 2);
}
