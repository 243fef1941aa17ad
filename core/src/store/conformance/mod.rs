//! The one suite that every store engine passes: what [`EventStore`] promises, as checks that run.
//!
//! Each check starts with an empty store and knows nothing of the engine. Checks that need a lease to run out
//! wait on tokio's time, so under a paused clock the whole suite takes no time. Crashes and lost writes are
//! not checked here: they need a disk that fails.

mod appending;
mod inbox;
mod tables;
mod transactions;

use std::sync::Arc;

use serde_json::json;

use super::{
    Append, Appended, ClaimRequest, EventStore, ExpectedVersion, InboxKey, NewOutboxRow, Position,
    StoreError, StoredEvent, StreamName,
};
use crate::envelope::EventEnvelope;
use crate::event_id::Occurrence;

/// Runs every check against stores made by `make`, each of which must be empty.
///
/// # Panics
/// If the engine breaks a promise; the text says which.
pub async fn check(make: impl AsyncFn() -> Arc<dyn EventStore>) {
    appending::check(&make).await;
    inbox::check(&make).await;
    transactions::check(&make).await;
    tables::check(&make).await;
}

/// More than any check writes.
const EVERYTHING: usize = 10_000;

/// The nth event of the suite; equal numbers are equal events.
fn event(n: u32) -> EventEnvelope {
    EventEnvelope::builder("conformance.happened", 1, "squall://conformance")
        .subject(format!("subject-{n}"))
        .occurrence(Occurrence::Business(format!("occurrence-{n}")))
        .partition_key(format!("key-{}", n % 3))
        .data(json!({ "n": n, "text": "ü\u{1f980}", "ratio": 0.1, "nothing": null }))
        .build()
        .expect("the suite's events are well formed")
}

/// An event with the id of the nth and another digest, as only a forger or a broken disk makes it.
fn forged(n: u32) -> EventEnvelope {
    let mut value = event(n).to_value();
    let digest = event(n).digest().to_string();
    let other_end = if digest.ends_with('0') { '1' } else { '0' };
    value["iddigest"] = json!(format!("{}{other_end}", &digest[..digest.len() - 1]));
    EventEnvelope::from_value(value).expect("only the digest's end differs, which the id does not show")
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("the suite's names are well formed")
}

fn append(name: &str, expected: ExpectedVersion, numbers: &[u32]) -> Append {
    Append { stream: stream(name), expected, events: numbers.iter().map(|n| event(*n)).collect() }
}

fn claim_request(n: u32, effect_key: &str) -> ClaimRequest {
    ClaimRequest { digest: Some(event(n).digest()), effect_key: effect_key.to_owned() }
}

fn inbox_key(handler: &str, n: u32) -> InboxKey {
    InboxKey::event(handler, event(n).id())
}

fn outbox_row(n: u32) -> NewOutboxRow {
    NewOutboxRow {
        topic: "orders".to_owned(),
        key: Some("key".into()),
        headers: vec![("n".to_owned(), n.to_string().into())],
        value: event(n).to_bytes().into(),
        event: Some(event(n).id()),
    }
}

/// Everything in the store, after checking that versions and positions have neither gaps nor repetitions.
async fn everything(store: &dyn EventStore) -> Vec<StoredEvent> {
    let all = store.read_all(Position::START, EVERYTHING).await.expect("a healthy store can be read");
    let mut versions = std::collections::BTreeMap::new();
    for (index, stored) in all.iter().enumerate() {
        assert_eq!(stored.position, Position(index as u64 + 1), "positions are 1, 2, 3… in reading order");
        let version = versions.entry(stored.stream.clone()).or_insert(0);
        *version += 1;
        assert_eq!(stored.version, *version, "versions of {} are 1, 2, 3… in reading order", stored.stream);
    }
    all
}

fn appended(versions: (u64, u64), positions: (u64, u64), duplicate: bool) -> Result<Appended, StoreError> {
    Ok(Appended {
        first_version: versions.0,
        last_version: versions.1,
        first_position: Position(positions.0),
        last_position: Position(positions.1),
        duplicate,
    })
}
