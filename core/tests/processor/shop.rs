//! The service under test: a handler that charges orders at a sink, and a bus that watches what it publishes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use squall_core::bus::memory::MemoryBus;
use squall_core::bus::{
    Bus, BusError, Consumer, ConsumerOptions, OutgoingRecord, Publisher, PublisherOptions, TopicDescription,
    TopicPartition,
};
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::processor::{Handler, HandlerContext, HandlerError, Outcome};
use squall_core::store::{EventStore, MemoryStore};

use crate::world::{RESULTS, SharedSeen};

/// What the handler does with one attempt at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    FailBeforeEffect,
    FailAfterEffect,
    Panic,
    Hang,
    Reject,
}

/// The shop: charges each order at the sink, and tells of it.
pub struct Shop {
    pub seen: SharedSeen,
    pub script: Arc<Mutex<BTreeMap<String, VecDeque<Step>>>>,
    /// Orders that fail for ever.
    pub poison: Arc<Mutex<BTreeSet<String>>>,
    pub effort: Duration,
}

#[async_trait]
impl Handler for Shop {
    fn name(&self) -> &str {
        "charge"
    }

    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
        let order = event.subject().expect("an order").to_owned();
        let key = event.partition_key().unwrap_or_default().to_owned();
        let _busy = Busy::enter(&self.seen, &key);
        tokio::time::sleep(self.effort).await;
        let step = self.script.lock().unwrap().get_mut(&order).and_then(VecDeque::pop_front);
        if self.poison.lock().unwrap().contains(&order) {
            return Err(HandlerError::retry("poison", "as always"));
        }
        match step {
            Some(Step::FailBeforeEffect) => return Err(HandlerError::retry("busy", "before")),
            Some(Step::Panic) => panic!("as the test asked"),
            Some(Step::Hang) => std::future::pending().await,
            Some(Step::Reject) => return Err(HandlerError::reject("declined", "by the test")),
            Some(Step::FailAfterEffect) | None => {}
        }
        self.seen.lock().unwrap().effects.push((order.clone(), key, cx.effect_key.clone()));
        if step == Some(Step::FailAfterEffect) {
            return Err(HandlerError::retry("busy", "after"));
        }
        let occurrence =
            Occurrence::Caused { causation: event.id(), handler: self.name().to_owned(), ordinal: 0 };
        let result = EventEnvelope::builder("order.charged", 1, "squall://billing")
            .subject(order)
            .occurrence(occurrence)
            .caused_by(event)
            .build()
            .expect("a result");
        Ok(Outcome::none().publish(RESULTS, result))
    }
}

/// Counts handlers at work, also when their futures are dropped.
struct Busy {
    seen: SharedSeen,
    key: String,
}

impl Busy {
    fn enter(seen: &SharedSeen, key: &str) -> Self {
        let mut state = seen.lock().unwrap();
        state.at_work.push(key.to_owned());
        let (all, same) = (state.at_work.len(), state.at_work.iter().filter(|other| *other == key).count());
        state.concurrent = state.concurrent.max(all);
        state.concurrent_in_key = state.concurrent_in_key.max(same);
        Self { seen: Arc::clone(seen), key: key.to_owned() }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.seen.lock().unwrap();
        let index = state.at_work.iter().position(|key| *key == self.key).expect("entered before");
        state.at_work.remove(index);
    }
}

/// The bus, watched: a result must have been recorded before it is published.
pub struct WatchedBus {
    pub inner: MemoryBus,
    pub seen: SharedSeen,
    pub store: Arc<MemoryStore>,
}

#[async_trait]
impl Bus for WatchedBus {
    async fn publisher(&self, options: PublisherOptions) -> Result<Arc<dyn Publisher>, BusError> {
        let inner = self.inner.publisher(options).await?;
        Ok(Arc::new(WatchedPublisher { inner, seen: Arc::clone(&self.seen), store: Arc::clone(&self.store) }))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>, BusError> {
        self.inner.consumer(options).await
    }

    async fn describe(&self, topic: &str) -> Result<Option<TopicDescription>, BusError> {
        self.inner.describe(topic).await
    }
}

struct WatchedPublisher {
    inner: Arc<dyn Publisher>,
    seen: SharedSeen,
    store: Arc<MemoryStore>,
}

#[async_trait]
impl Publisher for WatchedPublisher {
    async fn publish(&self, record: OutgoingRecord) -> Result<(TopicPartition, i64), BusError> {
        if record.topic == RESULTS {
            let id = EventEnvelope::from_bytes(&record.value).expect("a result").id();
            // A row of the outbox is proof that the transaction was committed.
            let pending = self.store.outbox_pending(10_000).await.expect("the outbox");
            let mut seen = self.seen.lock().unwrap();
            seen.recorded.extend(pending.iter().filter_map(|row| row.row.event));
            if !seen.recorded.contains(&id) {
                seen.phantoms.push(id);
            }
        }
        self.inner.publish(record).await
    }
}
