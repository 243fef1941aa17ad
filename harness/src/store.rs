//! The event store as one host of a simulation has it: shared, reliable, watched.
//!
//! The store stands for a database that all workers share and that survives their crashes. It is reached
//! without the simulated network: a fault cannot come between a worker and it, which reports must not claim.
//! What is committed for publication is written into the history, for the no-phantom checker. A host that was
//! killed changes nothing more, although its tasks may still be polled until the step ends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_core::envelope::EventEnvelope;
use squall_core::store::{
    Append, Appended, ClaimRequest, Committed, EventStore, InboxKey, InboxRow, NewOutboxRow, OutboxRow,
    Position, StoreError, StoredEvent, StreamName, Transaction,
};
use tokio::time::sleep;

use crate::history::{Record, Recorder, Text};
use crate::sim::net::SimDial;

/// One host's access to the shared store.
pub struct WitnessedStore {
    inner: Arc<dyn EventStore>,
    host: Text,
    life: SimDial,
    recorder: Recorder,
    latency: Duration,
}

impl WitnessedStore {
    /// The access of `host` for as long as `life` lasts. Each operation takes `latency`, and takes effect in its
    /// middle; `inner` must have none of its own, so that what is committed and what is written down cannot be
    /// told apart by a crash.
    pub fn new(
        inner: Arc<dyn EventStore>,
        host: &str,
        life: SimDial,
        recorder: Recorder,
        latency: Duration,
    ) -> Self {
        Self { inner, host: host.into(), life, recorder, latency }
    }

    async fn call<T>(&self, operation: impl Future<Output = T> + Send) -> T {
        sleep(self.latency / 2).await;
        if !self.life.is_alive() {
            std::future::pending::<()>().await;
        }
        let answer = operation.await;
        sleep(self.latency / 2).await;
        answer
    }

    fn note(&self, outbox: &[NewOutboxRow]) {
        for row in outbox {
            // A dead letter keeps the event's own id and is no result.
            let Ok(envelope) = EventEnvelope::from_bytes(&row.value) else { continue };
            let cause = envelope.causation_id().map_or_else(String::new, |id| id.to_string());
            let event = envelope.id().to_string();
            self.recorder
                .record(Arc::clone(&self.host), Record::Commit { event: event.into(), cause: cause.into() });
        }
    }
}

#[async_trait]
impl EventStore for WitnessedStore {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.call(self.inner.append(append)).await
    }

    async fn read(
        &self,
        stream: &StreamName,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.call(self.inner.read(stream, from, limit)).await
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.call(self.inner.read_all(after, limit)).await
    }

    async fn claim(&self, key: &InboxKey, request: ClaimRequest) -> Result<InboxRow, StoreError> {
        self.call(self.inner.claim(key, request)).await
    }

    async fn inbox(&self, key: &InboxKey) -> Result<Option<InboxRow>, StoreError> {
        self.call(self.inner.inbox(key)).await
    }

    async fn put_inbox(&self, key: &InboxKey, row: InboxRow) -> Result<(), StoreError> {
        self.call(self.inner.put_inbox(key, row)).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, StoreError> {
        let outbox = transaction.outbox.clone();
        let commit = async {
            let committed = self.inner.commit(transaction).await;
            if matches!(committed, Ok(Committed::Applied { .. })) {
                self.note(&outbox);
            }
            committed
        };
        self.call(commit).await
    }

    async fn parked(&self, handler: &str, key: &[u8]) -> Result<bool, StoreError> {
        self.call(self.inner.parked(handler, key)).await
    }

    async fn unpark(&self, handler: &str, key: &[u8]) -> Result<(), StoreError> {
        self.call(self.inner.unpark(handler, key)).await
    }

    async fn outbox_pending(&self, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.call(self.inner.outbox_pending(limit)).await
    }

    async fn outbox_sent(&self, seqs: &[u64]) -> Result<(), StoreError> {
        self.call(self.inner.outbox_sent(seqs)).await
    }

    async fn lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<bool, StoreError> {
        self.call(self.inner.lease(name, owner, ttl)).await
    }

    async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        self.call(self.inner.release(name, owner)).await
    }
}
