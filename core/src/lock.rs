//! Locks between workers, with fencing tokens.
//!
//! A lock in Redis is a courtesy: it expires under a holder that is paused, and a failover forgets it, so two may
//! believe that they hold it. What keeps them apart is the *fence*, a number that rises with every holder. It is
//! drawn from the event store, which does not forget, and travels with every request made under the lock; the
//! resource refuses a number lower than one it has seen. A resource that cannot do that is not protected by any
//! lock with a lease.
//!
//! A lock is not renewed: choose a lease longer than the work, and let the fence deal with the rest.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::entropy::Entropy;
use crate::env::{Env, EnvError};
use crate::envelope::{EnvelopeError, EventEnvelope};
use crate::event_id::Occurrence;
use crate::keys::{Keys, KeysError};
use crate::store::{Append, EventStore, ExpectedVersion, StoreError, StreamName};
use crate::{mutant, point};

/// How locks behave.
#[derive(Clone, Debug)]
pub struct LockOptions {
    /// How long a lock is held at most, unless it is released before.
    pub lease: Duration,
    /// The bound of the first pause between tries for a lock; it doubles up to `poll_cap`.
    pub poll_base: Duration,
    /// The longest pause between tries.
    pub poll_cap: Duration,
}

impl Default for LockOptions {
    /// Ten seconds; tries 20 ms to 500 ms apart.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            poll_base: Duration::from_millis(20),
            poll_cap: Duration::from_millis(500),
        }
    }
}

/// Takes locks. Clones share everything.
#[derive(Clone)]
pub struct Locks {
    keys: Arc<dyn Keys>,
    store: Arc<dyn EventStore>,
    entropy: Entropy,
    backoff: Backoff,
    lease: Duration,
}

/// A lock that is held, as far as its holder knows.
#[must_use = "a lock that is not released blocks others until its lease is over"]
pub struct Lock {
    keys: Arc<dyn Keys>,
    key: String,
    token: String,
    fence: u64,
}

/// Why a lock cannot be taken, however long one waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The store of keys refuses.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The event store has no fence to give.
    #[error("no fence for the lock: {0}")]
    Store(#[from] StoreError),
    /// The lock's name is no name of a stream.
    #[error("no fence for the lock: {0}")]
    Envelope(#[from] EnvelopeError),
}

/// How long Redis keeps the counter of mutant 37; long enough for any run.
const COUNTER_TTL: Duration = Duration::from_secs(24 * 3600);

impl Locks {
    /// Locks in the environment's store of keys, with fences from its event store.
    ///
    /// # Errors
    /// [`EnvError::Missing`], if the environment has no store of keys.
    pub fn new(env: &Env, options: &LockOptions) -> Result<Self, EnvError> {
        let backoff = Backoff::new(options.poll_base, options.poll_cap, env.entropy.stream("lock-poll"));
        let (keys, store) = (Arc::clone(env.keys()?), Arc::clone(&env.store));
        Ok(Self { keys, store, entropy: env.entropy.clone(), backoff, lease: options.lease })
    }

    /// Waits until the lock `name` is free, and takes it. Waits as long as it takes: bound it with a timeout.
    ///
    /// # Errors
    /// [`LockError`], if waiting cannot help.
    pub async fn acquire(&self, name: &str) -> Result<Lock, LockError> {
        let (key, token) = (format!("lock:{name}"), self.entropy.token());
        let mut tries = 0;
        loop {
            match self.keys.set_if_absent(&key, &token, self.lease).await {
                // Our own token: an earlier try was applied and its answer lost.
                Ok(holder) if holder.as_ref().is_none_or(|holder| *holder == token) => break,
                Ok(_) => point::saw("lock-contended"),
                Err(error) if error.is_retryable() => point::saw("redis-unavailable"),
                Err(error) => return Err(error.into()),
            }
            tries += 1;
            tokio::time::sleep(self.backoff.delay(tries)).await;
        }
        let fence = self.fence(name, &token).await?;
        point!("lock.acquired");
        Ok(Lock { keys: Arc::clone(&self.keys), key, token, fence })
    }

    /// Draws the next number of the lock: the version of an event that says who has it.
    async fn fence(&self, name: &str, token: &str) -> Result<u64, LockError> {
        if mutant::enabled("lock-without-fence") {
            // Mutant 36: nobody can tell this holder from the next.
            return Ok(0);
        }
        if mutant::enabled("fence-from-redis") {
            // Mutant 37: the failover that forgets the lock forgets its numbers too.
            return Ok(self.keys.increment(&format!("fence:{name}"), COUNTER_TTL).await?);
        }
        let taken = EventEnvelope::builder("lock.taken", 1, "squall://locks")
            .subject(name)
            .occurrence(Occurrence::Business(token.to_owned()))
            .data(serde_json::json!({ "holder": token }))
            .build()?;
        let stream = StreamName::new(format!("lock-{name}"))?;
        let append = Append { stream, expected: ExpectedVersion::Any, events: vec![taken] };
        let mut tries = 0;
        loop {
            // The event is the same each time, so the number is too.
            match self.store.append(append.clone()).await {
                Ok(appended) => return Ok(appended.last_version),
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error.into()),
            }
            tries += 1;
            tokio::time::sleep(self.backoff.delay(tries)).await;
        }
    }
}

impl Lock {
    /// The number to send with every request made under the lock. Higher than that of every earlier holder.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Names this holding of the lock, unlike any other.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Gives the lock up, if it is still held; if Redis cannot be asked, it expires.
    pub async fn release(self) {
        if let Err(error) = self.keys.delete_if(&self.key, &self.token).await {
            tracing::debug!(%error, "the lock was not released and will expire");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::memory::MemoryBus;
    use crate::clock::Clock;
    use crate::keys::MemoryKeys;
    use crate::store::MemoryStore;

    const LEASE: Duration = Duration::from_secs(3);

    fn locks(keys: &MemoryKeys) -> Locks {
        let clock = Clock::default();
        let bus = Arc::new(MemoryBus::new(clock.clone()));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let env =
            Env::new("worker", bus, store, Entropy::from_seed(1), clock).with_keys(Arc::new(keys.clone()));
        Locks::new(&env, &LockOptions { lease: LEASE, ..LockOptions::default() }).expect("keys")
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_has_one_holder_and_its_fence_rises() {
        let locks = locks(&MemoryKeys::new());
        let first = locks.acquire("a").await.expect("free");
        let other = locks.acquire("b").await.expect("another lock");
        let waiting = tokio::time::timeout(LEASE / 2, locks.acquire("a")).await;
        assert!(waiting.is_err(), "the lock has a holder");
        let fence = first.fence();
        first.release().await;
        let second = locks.acquire("a").await.expect("free again");
        assert!(second.fence() > fence && other.fence() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_or_forgotten_lock_passes_on_with_a_higher_fence() {
        let keys = MemoryKeys::new();
        let locks = locks(&keys);
        let stale = locks.acquire("a").await.expect("free");
        let next = locks.acquire("a").await.expect("free once the lease is over");
        assert!(next.fence() > stale.fence());
        stale.release().await;
        let waiting = tokio::time::timeout(LEASE / 2, locks.acquire("a")).await;
        assert!(waiting.is_err(), "what is no longer held cannot be given up");
        keys.forget();
        let after = locks.acquire("a").await.expect("forgotten");
        assert!(after.fence() > next.fence());
    }

    #[cfg(feature = "mutants")]
    #[tokio::test(start_paused = true)]
    async fn each_mutant_gives_two_holders_one_fence() {
        for mutant in ["lock-without-fence", "fence-from-redis"] {
            mutant::enable(Some(mutant));
            let keys = MemoryKeys::new();
            let locks = locks(&keys);
            let one = locks.acquire("a").await.expect("free");
            keys.forget();
            let other = locks.acquire("a").await.expect("forgotten");
            mutant::enable(None);
            assert_eq!(one.fence(), other.fence(), "{mutant}");
        }
    }
}
