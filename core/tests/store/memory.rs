//! The store in memory: the common suite, its latency and its limits.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::json;
use squall_core::clock::Clock;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::store::{
    Append, ClaimRequest, EventStore, ExpectedVersion, InboxKey, MemoryLimits, MemoryStore, NewOutboxRow,
    ParkedKey, Position, StoreError, StreamName, Transaction, conformance,
};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn the_store_in_memory_passes_the_suite() {
    conformance::check(async || Arc::new(MemoryStore::new(Clock::default())) as _).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_in_memory_passes_the_suite() {
    let latency = Duration::from_millis(10);
    conformance::check(async || Arc::new(MemoryStore::new(Clock::default()).latency(latency)) as _).await;
}

fn event(n: u32) -> EventEnvelope {
    EventEnvelope::builder("happened", 1, "squall://test")
        .occurrence(Occurrence::Business(n.to_string()))
        .data(json!({ "n": n }))
        .build()
        .expect("an event")
}

fn append(n: u32) -> Append {
    let stream = StreamName::new("s").expect("a name");
    Append { stream, expected: ExpectedVersion::Any, events: vec![event(n)] }
}

#[tokio::test(start_paused = true)]
async fn an_operation_takes_effect_in_the_middle_of_its_latency() {
    let store = MemoryStore::new(Clock::default()).latency(Duration::from_millis(10));
    let stored = async || {
        let before = Instant::now();
        let events = store.read_all(Position::START, 10).await.expect("events").len();
        assert_eq!(before.elapsed(), Duration::from_millis(10));
        events
    };
    let stopped_before = tokio::time::timeout(Duration::from_millis(4), store.append(append(1))).await;
    assert!(stopped_before.is_err());
    assert_eq!(stored().await, 0, "the caller was stopped before the effect");
    let stopped_after = tokio::time::timeout(Duration::from_millis(6), store.append(append(1))).await;
    assert!(stopped_after.is_err());
    assert_eq!(stored().await, 1, "the caller was stopped after the effect, without an answer");
    let repeated = store.append(append(1)).await.expect("the same append");
    assert!(repeated.duplicate);
}

#[tokio::test(start_paused = true)]
async fn events_are_stamped_by_the_clock_and_leases_ignore_its_jumps() {
    let clock = Clock::new(1_000);
    let store = MemoryStore::new(clock.clone());
    assert_eq!(store.lease("l", "a", Duration::from_secs(1)).await, Ok(true));
    clock.jump(3_600_000);
    assert_eq!(store.lease("l", "b", Duration::from_secs(1)).await, Ok(false));
    store.append(append(1)).await.expect("an append");
    let stored = store.read_all(Position::START, 1).await.expect("events");
    assert_eq!(stored[0].recorded_ms, 3_601_000);
}

#[test]
fn every_table_is_bounded() {
    let clock = Clock::from_source(0, || Duration::ZERO);
    let limits = MemoryLimits { events: 1, inbox_rows: 1, outbox_rows: 1, parked_keys: 1, leases: 1 };
    let store = MemoryStore::new(clock).limits(limits);
    let now = |answer: Option<Result<(), StoreError>>| answer.expect("no latency, no waiting");
    let full = |answer| assert!(matches!(now(answer), Err(StoreError::Full { limit: 1, .. })));

    let appended = |n| store.append(append(n)).now_or_never().map(|answer| answer.map(drop));
    assert_eq!(now(appended(1)), Ok(()));
    full(appended(2));
    assert_eq!(now(appended(1)), Ok(()), "a repetition needs no room");

    let request = || ClaimRequest { digest: None, effect_key: "e".into() };
    let claimed = |n| {
        let key = InboxKey::record("h", "t", 0, n);
        store.claim(&key, request()).now_or_never().map(|answer| answer.map(drop))
    };
    assert_eq!(now(claimed(1)), Ok(()));
    full(claimed(2));
    assert_eq!(now(claimed(1)), Ok(()), "a second claim needs no room");

    let committed = |transaction| store.commit(transaction).now_or_never().map(|answer| answer.map(drop));
    let publish = || Transaction {
        outbox: vec![NewOutboxRow {
            topic: "t".into(),
            key: None,
            headers: Vec::new(),
            value: "v".into(),
            event: None,
        }],
        ..Transaction::default()
    };
    assert_eq!(now(committed(publish())), Ok(()));
    full(committed(publish()));
    let park = |key: &'static str| Transaction {
        park: Some(ParkedKey { handler: "h".into(), key: key.into() }),
        ..Transaction::default()
    };
    assert_eq!(now(committed(park("a"))), Ok(()));
    full(committed(park("b")));
    assert_eq!(now(committed(park("a"))), Ok(()), "a parked key needs no room");

    let leased = |name| store.lease(name, "o", Duration::ZERO).now_or_never().map(|answer| answer.map(drop));
    assert_eq!(now(leased("a")), Ok(()));
    full(leased("b"));
    assert_eq!(now(leased("a")), Ok(()));
}

#[test]
fn stream_names_are_bounded_and_printable() {
    for wrong in ["", "a\nb", &"x".repeat(257)] {
        assert!(StreamName::new(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(StreamName::new("order-7/é").expect("a name").as_str(), "order-7/é");
}
