//! Whether an event may be handled now, and under which effect key.
//!
//! Two steps. *Entering* is a courtesy between workers: ask Redis whether the event is known to be done, and take
//! a lease on it. *Claiming* decides: the first claim on an event fixes its effect key, durably and before the
//! effect; whoever claims it later gets the same key. Safety rests on the claim and on the effect key, never on
//! the lease: a lease may expire under a slow worker, and Redis may forget it.
//!
//! It fails closed: while the authority cannot be asked, nothing is handled.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::options::{Authority, DedupOptions, OnRedisDown};
use super::patience::{Halt, Patience};
use super::redis_claim::{Known, claim_in_redis, dedup_key, finished, lease_key};
use crate::entropy::Entropy;
use crate::event_id::{Digest, IdentityError};
use crate::keys::{Keys, KeysError};
use crate::store::{ClaimRequest, EventStore, Finished, InboxKey, InboxRow, InboxState, StoreError};
use crate::{mutant, point};

/// Recognises duplicates for one handler.
pub(super) struct Dedup {
    pub(super) options: DedupOptions,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) keys: Option<Arc<dyn Keys>>,
    pub(super) entropy: Entropy,
    pub(super) patience: Patience,
}

/// What entering leads to.
pub(super) enum Entry {
    /// The event may be claimed. Without Redis there is no lease.
    Open(Option<Lease>),
    /// The event is known to be finished.
    Finished,
}

/// What claiming leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The event is to be handled.
    Run {
        /// The token its effects are asked under.
        effect_key: String,
        /// Claims on it so far, this one included.
        attempt: u32,
    },
    /// It is done, or dead.
    Finished,
    /// Another event has the same id.
    Collision,
}

/// A worker's temporary right to an event.
pub(super) struct Lease {
    keys: Arc<dyn Keys>,
    key: String,
    token: String,
    ttl: Duration,
}

impl Dedup {
    /// Waits until the event is free or finished.
    pub(super) async fn enter(
        &self,
        event: &InboxKey,
        digest: Option<Digest>,
        over: &CancellationToken,
    ) -> Result<Entry, Halt> {
        let Some(keys) = &self.keys else { return Ok(Entry::Open(None)) };
        let token = self.entropy.token();
        let mut waits = 0;
        loop {
            let lone = match self.try_enter(keys, event, digest, &token).await {
                Ok(Some(entry)) => return Ok(entry),
                Ok(None) => {
                    point::saw("lease-contended");
                    false
                }
                Err(error) => {
                    point::saw("redis-unavailable");
                    tracing::debug!(%error, "deduplication cannot ask Redis");
                    self.options.on_redis_down == OnRedisDown::InboxOnly
                }
            };
            if lone && self.options.authority == Authority::Inbox {
                return Ok(Entry::Open(None));
            }
            waits += 1;
            self.patience.pause(waits, over).await?;
        }
    }

    /// `None` if another worker holds the lease.
    async fn try_enter(
        &self,
        keys: &Arc<dyn Keys>,
        event: &InboxKey,
        digest: Option<Digest>,
        token: &str,
    ) -> Result<Option<Entry>, KeysError> {
        // Anything but "finished" is left to the authority to judge.
        let value = keys.get(&dedup_key(event)).await?;
        if let Some(Known::Finished) = value.as_deref().and_then(|value| Known::parse(value, digest)) {
            return Ok(Some(Entry::Finished));
        }
        let (key, ttl) = (lease_key(event), self.options.lease);
        let holder = if mutant::enabled("dedup-get-then-set") {
            // Mutant 6: another worker may come in between these two.
            let holder = keys.get(&key).await?;
            if holder.is_none() {
                keys.set(&key, token, ttl).await?;
            }
            holder
        } else {
            keys.set_if_absent(&key, token, ttl).await?
        };
        // Our own token: an earlier try was applied and its answer lost.
        let ours = holder.is_none_or(|holder| holder == token);
        let lease = Lease { keys: Arc::clone(keys), key, token: token.to_owned(), ttl };
        Ok(ours.then_some(Entry::Open(Some(lease))))
    }

    /// Claims the event, durably, before its effect.
    pub(super) async fn claim(
        &self,
        event: &InboxKey,
        digest: Option<Digest>,
        over: &CancellationToken,
    ) -> Result<Claim, Halt> {
        let fresh = self.entropy.token();
        match self.redis_authority() {
            Some(keys) => {
                let ttl = self.memory();
                self.patience.keys(over, || claim_in_redis(keys, event, digest, &fresh, ttl)).await
            }
            None => self.claim_in_inbox(event, digest, fresh, over).await,
        }
    }

    async fn claim_in_inbox(
        &self,
        event: &InboxKey,
        digest: Option<Digest>,
        fresh: String,
        over: &CancellationToken,
    ) -> Result<Claim, Halt> {
        let claim = || async {
            if mutant::enabled("dedup-get-then-set") {
                return get_then_set(&*self.store, event, digest, &fresh).await;
            }
            let request = ClaimRequest { digest, effect_key: fresh.clone() };
            self.store.claim(event, request).await
        };
        match self.patience.store(over, claim).await {
            Ok(row) => Ok(claim_of(row)),
            Err(Halt::Store(StoreError::Identity(IdentityError::Collision { .. }))) => Ok(Claim::Collision),
            Err(halt) => Err(halt),
        }
    }

    /// Mutant 2 asks this before the handler and claims after it: whether the event is finished, and if not, an
    /// effect key that nobody else will ever learn.
    pub(super) async fn look(
        &self,
        event: &InboxKey,
        digest: Option<Digest>,
        over: &CancellationToken,
    ) -> Result<Claim, Halt> {
        let finished = match self.redis_authority() {
            Some(keys) => {
                let key = dedup_key(event);
                let value = self.patience.keys(over, || keys.get(&key)).await?;
                matches!(
                    value.as_deref().and_then(|value| Known::parse(value, digest)),
                    Some(Known::Finished)
                )
            }
            None => {
                let row = self.patience.store(over, || self.store.inbox(event)).await?;
                row.is_some_and(|row| row.state != InboxState::Claimed)
            }
        };
        let run = || Claim::Run { effect_key: self.entropy.token(), attempt: 1 };
        Ok(if finished { Claim::Finished } else { run() })
    }

    /// Whether the transaction that applies the outcome also finishes the event in the inbox.
    pub(super) fn finishes_in_store(&self) -> bool {
        self.redis_authority().is_none()
    }

    /// Tells Redis that the event is finished. With the inbox as authority this only saves work, and a failure
    /// costs nothing.
    pub(super) async fn mark(
        &self,
        event: &InboxKey,
        digest: Option<Digest>,
        state: Finished,
        over: &CancellationToken,
    ) -> Result<(), Halt> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let (key, value) = (dedup_key(event), finished(state, digest));
        if self.finishes_in_store() {
            if let Err(error) = keys.set(&key, &value, self.memory()).await {
                tracing::debug!(%error, "the accelerator was not told");
            }
            return Ok(());
        }
        self.patience.keys(over, || keys.set(&key, &value, self.memory())).await
    }

    /// How long Redis is to know of an event.
    fn memory(&self) -> Duration {
        match mutant::enabled("dedup-ttl-too-short") {
            // Mutant 4: an event that comes again after an outage is new.
            true => self.options.lease,
            false => self.options.done_ttl,
        }
    }

    fn redis_authority(&self) -> Option<&Arc<dyn Keys>> {
        self.keys.as_ref().filter(|_| self.options.authority == Authority::Redis)
    }
}

impl Lease {
    /// Runs `work` and keeps the lease alive meanwhile.
    pub(super) async fn keep<F: Future>(&self, work: F) -> F::Output {
        tokio::pin!(work);
        tokio::select! {
            biased;
            output = &mut work => output,
            never = self.renew() => match never {},
        }
    }

    async fn renew(&self) -> Infallible {
        loop {
            tokio::time::sleep(self.ttl / 3).await;
            match self.keys.extend_if(&self.key, &self.token, self.ttl).await {
                Ok(true) => {}
                // The work goes on: its claim and effect key protect it, the lease was a courtesy.
                Ok(false) => point::saw("lease-lost"),
                Err(error) => tracing::debug!(%error, "the lease was not renewed"),
            }
        }
    }

    /// Gives the lease up; if that fails, it expires.
    pub(super) async fn release(self) {
        if let Err(error) = self.keys.delete_if(&self.key, &self.token).await {
            tracing::debug!(%error, "the lease was not released and will expire");
        }
    }
}

/// Mutant 6: reads, then writes whatever has happened meanwhile.
async fn get_then_set(
    store: &dyn EventStore,
    event: &InboxKey,
    digest: Option<Digest>,
    fresh: &str,
) -> Result<InboxRow, StoreError> {
    let first = || InboxRow { state: InboxState::Claimed, effect_key: fresh.to_owned(), attempts: 0, digest };
    let mut row = store.inbox(event).await?.unwrap_or_else(first);
    if row.state == InboxState::Claimed {
        row.attempts += 1;
        store.put_inbox(event, row.clone()).await?;
    }
    Ok(row)
}

fn claim_of(row: InboxRow) -> Claim {
    match row.state {
        InboxState::Claimed => Claim::Run { effect_key: row.effect_key, attempt: row.attempts },
        InboxState::Done | InboxState::Dead => Claim::Finished,
    }
}
