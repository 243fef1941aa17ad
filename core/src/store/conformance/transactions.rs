//! Committing what a handler changes, all or nothing.

use std::sync::Arc;

use futures::future::join_all;

use super::{EVERYTHING, append, appended, claim_request, everything, inbox_key, outbox_row};
use crate::store::{
    Append, Committed, EventStore, ExpectedVersion, Finish, Finished, InboxState, ParkedKey, StoreError,
    Transaction,
};

pub(super) async fn check(make: &impl AsyncFn() -> Arc<dyn EventStore>) {
    a_transaction_applies_everything(&*make().await).await;
    a_transaction_that_fails_applies_nothing(&*make().await).await;
    a_finished_event_is_not_finished_twice(&*make().await).await;
    an_unclaimed_event_is_not_finished(&*make().await).await;
    appends_of_one_transaction_see_each_other(&*make().await).await;
    an_empty_transaction_is_applied(&*make().await).await;
    one_of_many_concurrent_transactions_is_applied(&*make().await).await;
}

/// What a handler of event `n` might change.
fn work(n: u32, appends: Vec<Append>) -> Transaction {
    Transaction {
        appends,
        finish: Some(Finish { key: inbox_key("stock", n), state: Finished::Done }),
        outbox: vec![outbox_row(n * 10), outbox_row(n * 10 + 1)],
        park: Some(ParkedKey { handler: "stock".to_owned(), key: "key".into() }),
    }
}

/// Asserts that the store holds `events` events, and of `work(n, …)` nothing else but the claim.
async fn assert_untouched(store: &dyn EventStore, n: u32, events: usize) {
    let row = store.inbox(&inbox_key("stock", n)).await.expect("a healthy store can be read");
    assert_eq!(row.map(|row| row.state), Some(InboxState::Claimed), "the inbox row is not finished");
    assert_eq!(everything(store).await.len(), events, "no event is appended");
    assert_eq!(store.outbox_pending(EVERYTHING).await, Ok(Vec::new()), "no outbox row is written");
    assert_eq!(store.parked("stock", b"key").await, Ok(false), "no key is parked");
}

async fn a_transaction_applies_everything(store: &dyn EventStore) {
    store.claim(&inbox_key("stock", 1), claim_request(1, "effect")).await.expect("nothing is in the way");
    let appends =
        vec![append("a", ExpectedVersion::NoStream, &[1, 2]), append("b", ExpectedVersion::Any, &[3])];
    let committed = store.commit(work(1, appends)).await.expect("nothing is in the way");
    let Committed::Applied { appended: places, outbox } = committed else {
        panic!("the row was not finished before: {committed:?}")
    };
    let places: Vec<_> = places.into_iter().map(Ok).collect();
    assert_eq!(places, [appended((1, 2), (1, 2), false), appended((1, 1), (3, 3), false)]);
    assert_eq!(everything(store).await.len(), 3, "the events are appended");
    let row = store.inbox(&inbox_key("stock", 1)).await.expect("a healthy store can be read");
    assert_eq!(row.map(|row| row.state), Some(InboxState::Done), "the inbox row is finished");
    let pending = store.outbox_pending(EVERYTHING).await.expect("a healthy store can be read");
    assert_eq!(
        pending.iter().map(|row| row.seq).collect::<Vec<_>>(),
        outbox,
        "the numbers are those answered"
    );
    let rows: Vec<_> = pending.into_iter().map(|pending| pending.row).collect();
    assert_eq!(rows, [outbox_row(10), outbox_row(11)], "the outbox rows are written, in order");
    assert_eq!(store.parked("stock", b"key").await, Ok(true), "the key is parked");
}

async fn a_transaction_that_fails_applies_nothing(store: &dyn EventStore) {
    use ExpectedVersion::{Any, Exact};
    store.append(append("a", Any, &[100, 101])).await.expect("nothing is in the way");
    store.claim(&inbox_key("stock", 1), claim_request(1, "effect")).await.expect("nothing is in the way");
    let failing = [
        append("a", Exact(9), &[3]),
        append("a", Any, &[101, 3]),
        append("b", Any, &[100]),
        append("b", Any, &[]),
        // The second append of the transaction is refused because of the first.
        append("new", Exact(0), &[3]),
    ];
    for last in failing {
        let appends = vec![append("new", Any, &[1, 2]), append("a", Any, &[4]), last.clone()];
        let answer = store.commit(work(1, appends)).await;
        assert!(answer.is_err(), "{last:?} cannot be appended");
        assert_untouched(store, 1, 2).await;
    }
    let appends = vec![append("new", Exact(0), &[1, 2])];
    let committed = store.commit(work(1, appends)).await;
    assert!(matches!(committed, Ok(Committed::Applied { .. })), "a failure leaves no trace: {committed:?}");
}

async fn a_finished_event_is_not_finished_twice(store: &dyn EventStore) {
    for (n, state) in [(1, Finished::Done), (2, Finished::Dead)] {
        let key = inbox_key("stock", n);
        store.claim(&key, claim_request(n, "effect")).await.expect("nothing is in the way");
        let finish = Some(Finish { key: key.clone(), state });
        store.commit(Transaction { finish, ..Transaction::default() }).await.expect("nothing is in the way");
        let row = store.inbox(&key).await.expect("a healthy store can be read").expect("the row was claimed");
        let late = store.commit(work(n, vec![append("a", ExpectedVersion::Any, &[n])])).await;
        assert_eq!(late, Ok(Committed::AlreadyFinished(row)), "somebody else has done the work");
        // Even if the late work could not be committed any more.
        let conflict = store.commit(work(n, vec![append("a", ExpectedVersion::Exact(9), &[n])])).await;
        assert!(matches!(conflict, Ok(Committed::AlreadyFinished(_))), "{conflict:?}");
        assert_eq!(everything(store).await, [], "late work appends nothing");
        assert_eq!(store.outbox_pending(EVERYTHING).await, Ok(Vec::new()), "late work publishes nothing");
        assert_eq!(store.parked("stock", b"key").await, Ok(false), "late work parks nothing");
    }
}

async fn an_unclaimed_event_is_not_finished(store: &dyn EventStore) {
    let answer = store.commit(work(1, vec![append("a", ExpectedVersion::Any, &[1])])).await;
    assert_eq!(answer, Err(StoreError::NotClaimed { key: inbox_key("stock", 1) }));
    assert_eq!(everything(store).await, [], "a refused transaction appends nothing");
    assert_eq!(store.inbox(&inbox_key("stock", 1)).await, Ok(None), "a refused transaction claims nothing");
}

async fn appends_of_one_transaction_see_each_other(store: &dyn EventStore) {
    use ExpectedVersion::{Exact, NoStream};
    let appends =
        vec![append("a", NoStream, &[1]), append("a", Exact(1), &[2]), append("a", NoStream, &[1, 2])];
    let committed = store.commit(Transaction { appends, ..Transaction::default() }).await;
    let places: Result<Vec<_>, _> =
        [appended((1, 1), (1, 1), false), appended((2, 2), (2, 2), false), appended((1, 2), (1, 2), true)]
            .into_iter()
            .collect();
    let applied = places.map(|appended| Committed::Applied { appended, outbox: Vec::new() });
    assert_eq!(committed, applied, "the last append repeats the first two");
}

async fn an_empty_transaction_is_applied(store: &dyn EventStore) {
    let committed = store.commit(Transaction::default()).await;
    assert_eq!(committed, Ok(Committed::Applied { appended: Vec::new(), outbox: Vec::new() }));
}

async fn one_of_many_concurrent_transactions_is_applied(store: &dyn EventStore) {
    store.claim(&inbox_key("stock", 1), claim_request(1, "effect")).await.expect("nothing is in the way");
    let rivals = (1..=8).map(|n| store.commit(work(1, vec![append("a", ExpectedVersion::Any, &[n])])));
    let answers = join_all(rivals).await;
    let applied = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Applied { .. }))).count();
    assert_eq!(applied, 1, "one worker finishes the event: {answers:?}");
    assert!(answers.iter().all(Result::is_ok), "the others are told so: {answers:?}");
    assert_eq!(everything(store).await.len(), 1, "only its events are appended");
    let pending = store.outbox_pending(EVERYTHING).await.expect("a healthy store can be read");
    assert_eq!(pending.len(), 2, "only its records are published");
}
