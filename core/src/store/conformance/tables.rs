//! Outbox, parked keys and leases.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::time::Instant;

use super::{EVERYTHING, outbox_row};
use crate::store::{Committed, EventStore, NewOutboxRow, ParkedKey, Transaction};

pub(super) async fn check(make: &impl AsyncFn() -> Arc<dyn EventStore>) {
    outbox_rows_wait_in_order_until_sent(&*make().await).await;
    outbox_rows_keep_every_byte(&*make().await).await;
    keys_are_parked_per_handler(&*make().await).await;
    a_lease_has_one_owner(&*make().await).await;
    a_lease_runs_out(&*make().await).await;
    one_of_many_concurrent_owners_gets_the_lease(&*make().await).await;
}

async fn enqueue(store: &dyn EventStore, outbox: Vec<NewOutboxRow>) -> Vec<u64> {
    let transaction = Transaction { outbox, ..Transaction::default() };
    match store.commit(transaction).await {
        Ok(Committed::Applied { outbox, .. }) => outbox,
        other => panic!("a transaction with outbox rows alone is applied: {other:?}"),
    }
}

async fn pending(store: &dyn EventStore, limit: usize) -> Vec<u64> {
    let rows = store.outbox_pending(limit).await.expect("a healthy store can be read");
    rows.into_iter().map(|row| row.seq).collect()
}

async fn outbox_rows_wait_in_order_until_sent(store: &dyn EventStore) {
    let mut seqs = enqueue(store, vec![outbox_row(1), outbox_row(2)]).await;
    seqs.extend(enqueue(store, vec![outbox_row(3)]).await);
    assert!(seqs.is_sorted_by(|a, b| a < b), "numbers rise: {seqs:?}");
    assert_eq!(pending(store, EVERYTHING).await, seqs);
    assert_eq!(pending(store, EVERYTHING).await, seqs, "reading sends nothing");
    assert_eq!(pending(store, 2).await, seqs[..2], "oldest first");
    assert!(pending(store, 0).await.is_empty());

    assert_eq!(store.outbox_sent(&[seqs[1]]).await, Ok(()));
    assert_eq!(pending(store, EVERYTHING).await, [seqs[0], seqs[2]]);
    let again = store.outbox_sent(&[seqs[1], seqs[0], u64::MAX]).await;
    assert_eq!(again, Ok(()), "repetitions and unknown numbers are ignored");
    assert_eq!(store.outbox_sent(&seqs).await, Ok(()));
    assert_eq!(store.outbox_sent(&[]).await, Ok(()));
    assert!(pending(store, EVERYTHING).await.is_empty());

    let later = enqueue(store, vec![outbox_row(4)]).await;
    assert!(later[0] > seqs[2], "numbers are never used again, even when the outbox was empty");
}

async fn outbox_rows_keep_every_byte(store: &dyn EventStore) {
    let header = |value: &'static [u8]| ("same".to_owned(), Bytes::from_static(value));
    let row = NewOutboxRow {
        topic: "orders.dead".to_owned(),
        key: Some(Bytes::from_static(b"\x00\xff")),
        headers: vec![header(b"2"), header(b"1"), header(b""), header(b"\xfe")],
        value: Bytes::from_static(b"\xff\x00 not JSON"),
        event: None,
    };
    let bare = NewOutboxRow { key: None, headers: Vec::new(), value: Bytes::new(), ..row.clone() };
    enqueue(store, vec![row.clone(), bare.clone()]).await;
    let pending = store.outbox_pending(EVERYTHING).await.expect("a healthy store can be read");
    let rows: Vec<_> = pending.into_iter().map(|pending| pending.row).collect();
    assert_eq!(rows, [row, bare], "bytes, order of headers, and the absence of a key are kept");
}

async fn keys_are_parked_per_handler(store: &dyn EventStore) {
    let park = |handler: &str, key: &'static [u8]| Transaction {
        park: Some(ParkedKey { handler: handler.to_owned(), key: Bytes::from_static(key) }),
        ..Transaction::default()
    };
    assert_eq!(store.parked("stock", b"k").await, Ok(false));
    for transaction in [park("stock", b"k"), park("stock", b"k"), park("stock", b"\xff\x00")] {
        store.commit(transaction).await.expect("a key may be parked twice");
    }
    let expected: [(&str, &[u8], bool); 5] = [
        ("stock", b"k", true),
        ("stock", b"\xff\x00", true),
        ("stock", b"", false),
        ("mail", b"k", false),
        ("stock", b"kk", false),
    ];
    for (handler, key, is_parked) in expected {
        assert_eq!(store.parked(handler, key).await, Ok(is_parked), "{handler}, {key:?}");
    }
    assert_eq!(store.unpark("mail", b"k").await, Ok(()), "what is not parked may be unparked");
    assert_eq!(store.parked("stock", b"k").await, Ok(true), "another handler's key");
    assert_eq!(store.unpark("stock", b"k").await, Ok(()));
    assert_eq!(store.parked("stock", b"k").await, Ok(false));
    assert_eq!(store.parked("stock", b"\xff\x00").await, Ok(true), "another key");
}

async fn a_lease_has_one_owner(store: &dyn EventStore) {
    let ttl = Duration::from_secs(3600);
    assert_eq!(store.lease("outbox", "a", ttl).await, Ok(true));
    assert_eq!(store.lease("outbox", "b", ttl).await, Ok(false), "another owner has it");
    assert_eq!(store.lease("outbox", "a", ttl).await, Ok(true), "its owner renews it");
    assert_eq!(store.lease("timers", "b", ttl).await, Ok(true), "another lease is free");
    assert_eq!(store.release("outbox", "b").await, Ok(()), "whoever does not have it gives nothing up");
    assert_eq!(store.lease("outbox", "b", ttl).await, Ok(false));
    assert_eq!(store.release("outbox", "a").await, Ok(()));
    assert_eq!(store.lease("outbox", "b", ttl).await, Ok(true), "its owner gave it up");
}

async fn a_lease_runs_out(store: &dyn EventStore) {
    let (ttl, rest) = (Duration::from_millis(200), Duration::from_millis(120));
    assert_eq!(store.lease("outbox", "a", ttl).await, Ok(true));
    tokio::time::sleep(rest).await;
    let renewed = Instant::now();
    assert_eq!(store.lease("outbox", "a", ttl).await, Ok(true), "its owner prolongs it");
    tokio::time::sleep(rest).await;
    let taken = store.lease("outbox", "b", rest).await;
    // A slow machine sleeps longer than it was told; then the lease may rightly have run out.
    if renewed.elapsed() < ttl {
        assert_eq!(taken, Ok(false), "it was prolonged from the renewal on, not from the start");
    }
    tokio::time::sleep(ttl + rest).await;
    assert_eq!(store.lease("outbox", "b", ttl).await, Ok(true), "nobody prolonged it");
}

async fn one_of_many_concurrent_owners_gets_the_lease(store: &dyn EventStore) {
    let owners = ["a", "b", "c", "d"].map(|owner| store.lease("outbox", owner, Duration::from_secs(3600)));
    let granted = join_all(owners).await.into_iter().filter(|answer| *answer == Ok(true)).count();
    assert_eq!(granted, 1);
}
