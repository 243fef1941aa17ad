//! The store in memory: the model that other engines are measured by, and the store of simulated services.
//!
//! It outlives whoever holds it, so a simulated host that crashes finds its data again. Every operation takes
//! effect at one instant, under one lock; with a latency, that instant lies in its middle, so that a caller
//! can be stopped before *and* after the effect. Nothing survives the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Append, Appended, ClaimRequest, Committed, EventStore, InboxKey, InboxRow, OutboxRow, ParkedKey,
    Position, StoreError, StoredEvent, StreamName, Transaction,
};
use crate::clock::Clock;

mod events;
mod tables;

use events::Events;
use tables::Tables;

/// A store in memory.
pub struct MemoryStore {
    clock: Clock,
    latency: Duration,
    limits: MemoryLimits,
    state: Mutex<State>,
}

/// How much a [`MemoryStore`] holds before it answers [`StoreError::Full`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Events of all streams.
    pub events: usize,
    /// Inbox rows.
    pub inbox_rows: usize,
    /// Outbox rows that wait to be sent.
    pub outbox_rows: usize,
    /// Parked keys.
    pub parked_keys: usize,
    /// Leases, expired ones included.
    pub leases: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            events: 1_000_000,
            inbox_rows: 1_000_000,
            outbox_rows: 100_000,
            parked_keys: 100_000,
            leases: 1_000,
        }
    }
}

#[derive(Default)]
struct State {
    events: Events,
    tables: Tables,
    leases: BTreeMap<String, Lease>,
}

struct Lease {
    owner: String,
    /// On the clock's monotonic time: jumps of the wall clock neither prolong nor end a lease.
    until: Duration,
}

impl MemoryStore {
    /// An empty store whose timestamps and leases follow `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, latency: Duration::ZERO, limits: MemoryLimits::default(), state: Mutex::default() }
    }

    /// Makes every operation take this long: half before it takes effect, half after.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets how much the store holds.
    #[must_use]
    pub fn limits(mut self, limits: MemoryLimits) -> Self {
        self.limits = limits;
        self
    }

    async fn at_once<T>(&self, operation: impl FnOnce(&mut State) -> T + Send) -> T
    where
        T: Send,
    {
        self.half().await;
        let answer = operation(&mut self.lock());
        self.half().await;
        answer
    }

    async fn half(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency / 2).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No operation panics between two changes, so what a poisoned lock protects is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.at_once(|state| state.events.append(append, self.clock.unix_ms(), self.limits.events)).await
    }

    async fn read(
        &self,
        stream: &StreamName,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.at_once(|state| state.events.read(stream, from, limit)).await)
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.at_once(|state| state.events.read_all(after, limit)).await)
    }

    async fn claim(&self, key: &InboxKey, request: ClaimRequest) -> Result<InboxRow, StoreError> {
        self.at_once(|state| state.tables.claim(key, request, self.limits.inbox_rows)).await
    }

    async fn inbox(&self, key: &InboxKey) -> Result<Option<InboxRow>, StoreError> {
        Ok(self.at_once(|state| state.tables.inbox.get(key).cloned()).await)
    }

    async fn put_inbox(&self, key: &InboxKey, row: InboxRow) -> Result<(), StoreError> {
        self.at_once(|state| state.tables.put_inbox(key, row, self.limits.inbox_rows)).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, StoreError> {
        self.at_once(|state| state.commit(transaction, self.clock.unix_ms(), &self.limits)).await
    }

    async fn parked(&self, handler: &str, key: &[u8]) -> Result<bool, StoreError> {
        let key = parked_key(handler, key);
        Ok(self.at_once(|state| state.tables.parked.contains(&key)).await)
    }

    async fn unpark(&self, handler: &str, key: &[u8]) -> Result<(), StoreError> {
        let key = parked_key(handler, key);
        self.at_once(|state| state.tables.parked.remove(&key)).await;
        Ok(())
    }

    async fn outbox_pending(&self, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        Ok(self.at_once(|state| state.tables.pending(limit)).await)
    }

    async fn outbox_sent(&self, seqs: &[u64]) -> Result<(), StoreError> {
        self.at_once(|state| {
            for seq in seqs {
                state.tables.outbox.remove(seq);
            }
        })
        .await;
        Ok(())
    }

    async fn lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<bool, StoreError> {
        self.at_once(|state| state.lease(name, owner, self.clock.elapsed(), ttl, self.limits.leases)).await
    }

    async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        self.at_once(|state| {
            if state.leases.get(name).is_some_and(|lease| lease.owner == owner) {
                state.leases.remove(name);
            }
        })
        .await;
        Ok(())
    }
}

impl State {
    fn commit(
        &mut self,
        transaction: Transaction,
        now_ms: i64,
        limits: &MemoryLimits,
    ) -> Result<Committed, StoreError> {
        let Transaction { appends, finish, outbox, park } = transaction;
        if let Some(finish) = &finish
            && let Some(row) = self.tables.finished(&finish.key)?
        {
            return Ok(Committed::AlreadyFinished(row));
        }
        // Everything that can fail comes before the first change that cannot be taken back.
        self.tables.has_room(outbox.len(), park.as_ref(), limits)?;
        let before = self.events.len();
        let appended = appends
            .into_iter()
            .map(|append| self.events.append(append, now_ms, limits.events))
            .collect::<Result<Vec<_>, _>>();
        let appended = appended.inspect_err(|_| self.events.truncate(before))?;
        if let Some(finish) = finish {
            self.tables.finish(&finish);
        }
        self.tables.parked.extend(park);
        let outbox = outbox.into_iter().map(|row| self.tables.enqueue(row)).collect();
        Ok(Committed::Applied { appended, outbox })
    }

    fn lease(
        &mut self,
        name: &str,
        owner: &str,
        now: Duration,
        ttl: Duration,
        limit: usize,
    ) -> Result<bool, StoreError> {
        let known = self.leases.get(name);
        if known.is_some_and(|lease| lease.owner != owner && lease.until > now) {
            return Ok(false);
        }
        if known.is_none() && self.leases.len() >= limit {
            return Err(StoreError::Full { what: "leases", limit });
        }
        self.leases
            .insert(name.to_owned(), Lease { owner: owner.to_owned(), until: now.saturating_add(ttl) });
        Ok(true)
    }
}

fn parked_key(handler: &str, key: &[u8]) -> ParkedKey {
    ParkedKey { handler: handler.to_owned(), key: bytes::Bytes::copy_from_slice(key) }
}
