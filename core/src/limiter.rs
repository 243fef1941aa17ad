//! A limit on how often something is done, shared by all workers: so many times in each window.
//!
//! The windows of a subject begin with its first request and are one counter in Redis each. A counter that does
//! not expire would stop its subject for ever, so counting and setting the expiry are one step on the server. The
//! time to live is a length, never a moment: the server's clock and ours need not agree.
//!
//! It fails closed: while the counter cannot be asked, nothing is admitted. A request whose answer was lost may
//! have been counted, so there may be fewer than the limit, never more. Windows touch: around the end of one there
//! may be twice the limit within a window's length.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::env::{Env, EnvError};
use crate::keys::{Keys, KeysError};
#[cfg(feature = "redis")]
use crate::mutant;
use crate::point;

/// What a limiter admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterOptions {
    /// So many…
    pub most: u64,
    /// …in this time.
    pub window: Duration,
}

/// Limits how often something is done. Clones share everything.
#[derive(Clone)]
pub struct Limiter {
    keys: Arc<dyn Keys>,
    #[cfg(feature = "redis")]
    env: Env,
    backoff: Backoff,
    options: LimiterOptions,
}

impl Limiter {
    /// A limiter that counts in the environment's store of keys.
    ///
    /// # Errors
    /// [`EnvError::Missing`], if the environment has no store of keys.
    pub fn new(env: &Env, options: LimiterOptions) -> Result<Self, EnvError> {
        // Whoever is refused need not ask more often than the window passes.
        let backoff = Backoff::new(options.window / 8, options.window, env.entropy.stream("limiter-poll"));
        Ok(Self {
            keys: Arc::clone(env.keys()?),
            #[cfg(feature = "redis")]
            env: env.clone(),
            backoff,
            options,
        })
    }

    /// Whether `subject` may be served now; the request is counted either way.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, the request may have been counted.
    pub async fn admit(&self, subject: &str) -> Result<bool, KeysError> {
        let key = format!("limit:{subject}");
        let count = self.count(&key).await?;
        Ok(count <= self.options.most)
    }

    /// Waits until `subject` may be served. Waits as long as it takes: bound it with a timeout.
    ///
    /// # Errors
    /// [`KeysError`], if waiting cannot help.
    pub async fn admitted(&self, subject: &str) -> Result<(), KeysError> {
        let mut tries = 0;
        loop {
            match self.admit(subject).await {
                Ok(true) => return Ok(()),
                Ok(false) => point::saw("rate-limited"),
                Err(error) if error.is_retryable() => point::saw("redis-unavailable"),
                Err(error) => return Err(error),
            }
            tries += 1;
            tokio::time::sleep(self.backoff.delay(tries)).await;
        }
    }

    async fn count(&self, key: &str) -> Result<u64, KeysError> {
        #[cfg(feature = "redis")]
        if mutant::enabled("deadline-by-own-clock")
            && let Some(redis) = &self.env.redis
        {
            // Mutant 31: the counter ends at a moment of our clock, by which the server's does not go.
            let ends = self.env.clock.unix_ms().saturating_add_unsigned(millis(self.options.window));
            return redis.increment_until(key, ends).await;
        }
        self.keys.increment(key, self.options.window).await
    }
}

#[cfg(feature = "redis")]
fn millis(window: Duration) -> u64 {
    u64::try_from(window.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::bus::memory::MemoryBus;
    use crate::clock::Clock;
    use crate::entropy::Entropy;
    use crate::keys::MemoryKeys;
    use crate::store::MemoryStore;

    const OPTIONS: LimiterOptions = LimiterOptions { most: 2, window: Duration::from_secs(2) };

    fn limiter(keys: &MemoryKeys) -> Limiter {
        let clock = Clock::default();
        let bus = Arc::new(MemoryBus::new(clock.clone()));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let env =
            Env::new("worker", bus, store, Entropy::from_seed(1), clock).with_keys(Arc::new(keys.clone()));
        Limiter::new(&env, OPTIONS).expect("keys")
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_admits_its_most_and_the_next_begins_anew() {
        let limiter = limiter(&MemoryKeys::new());
        let mut admitted = Vec::new();
        for _ in 0..4 {
            admitted.push(limiter.admit("a").await.expect("an answer"));
        }
        assert_eq!(admitted, [true, true, false, false]);
        assert_eq!(limiter.admit("b").await, Ok(true), "each subject has its own");
        sleep(OPTIONS.window).await;
        assert_eq!(limiter.admit("a").await, Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_soon_after_the_window_and_nobody_while_the_counter_is_away() {
        let keys = MemoryKeys::new();
        let limiter = limiter(&keys);
        let start = Instant::now();
        for _ in 0..3 {
            limiter.admitted("a").await.expect("an answer");
        }
        let waited = start.elapsed();
        assert!(waited >= OPTIONS.window && waited <= 2 * OPTIONS.window, "{waited:?}");
        keys.set_down(true);
        assert!(timeout(5 * OPTIONS.window, limiter.admitted("b")).await.is_err());
        keys.set_down(false);
        assert!(timeout(2 * OPTIONS.window, limiter.admitted("b")).await.is_ok());
    }
}
