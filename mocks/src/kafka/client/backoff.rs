//! How long to wait before the next attempt: exponential, with jitter from a seeded stream.
//!
//! Each stream has a name, so one partition's retries change no other's delays.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::rule::fnv1a;

/// Delays between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
    rng: ChaCha8Rng,
}

/// Share of a delay by which jitter shortens or lengthens it, as in Kafka's clients.
const JITTER: f64 = 0.2;

impl Backoff {
    /// Delays that start at `first` and double up to `max`; `name` tells this stream of jitter from others
    /// of the same seed.
    #[must_use]
    pub fn new(first: Duration, max: Duration, seed: u64, name: &str) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(name.as_bytes()));
        Self { first, max, next: first, rng }
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next.min(self.max);
        self.next = delay.saturating_mul(2).min(self.max);
        delay.mul_f64(self.rng.random_range(1.0 - JITTER..1.0 + JITTER))
    }

    /// Waits for [`next_delay`](Self::next_delay).
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_stay_within_jitter_of_the_doubling_and_repeat_with_the_seed(seed: u64, attempts in 1_u32..20) {
            let backoff = || Backoff::new(Duration::from_millis(10), Duration::from_secs(1), seed, "a");
            let (mut one, mut two) = (backoff(), backoff());
            for attempt in 0..attempts {
                let exact = Duration::from_millis(10 * 2_u64.pow(attempt)).min(Duration::from_secs(1));
                let delay = one.next_delay();
                prop_assert!(delay >= exact.mul_f64(0.79) && delay <= exact.mul_f64(1.21));
                prop_assert_eq!(delay, two.next_delay());
            }
        }
    }
}
