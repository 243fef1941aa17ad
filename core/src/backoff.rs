//! How long to wait before trying again: exponential, capped, with full jitter.
//!
//! Full jitter (a delay drawn evenly from nothing to the bound) spreads clients that failed together. The draws
//! come from a named stream, so a run can be repeated. Nothing here sleeps, counts attempts or gives up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Draws delays. Clones share one stream of draws.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    rng: Arc<Mutex<ChaCha8Rng>>,
}

impl Backoff {
    /// The bound of the first delay is `base`; it doubles with every attempt and never exceeds `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration, rng: ChaCha8Rng) -> Self {
        Self { base, cap, rng: Arc::new(Mutex::new(rng)) }
    }

    /// The delay after the `attempt`th failure in a row, counted from 1.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let bound = self.bound(attempt);
        let share = self.rng.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>();
        // At least a millisecond: timers are no finer, and no failure may turn into a busy loop.
        bound.mul_f64(share).max(Duration::from_millis(1))
    }

    /// The longest delay after the `attempt`th failure in a row.
    fn bound(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_is_never_zero_and_never_above_its_bound(seed: u64, attempt: u32) {
            let cap = Duration::from_secs(5);
            let backoff = Backoff::new(Duration::from_millis(50), cap, ChaCha8Rng::seed_from_u64(seed));
            let delay = backoff.delay(attempt);
            prop_assert!(delay >= Duration::from_millis(1));
            prop_assert!(delay <= backoff.bound(attempt) && delay <= cap);
        }
    }

    #[test]
    fn bounds_double_up_to_the_cap() {
        let rng = ChaCha8Rng::seed_from_u64(0);
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500), rng);
        let bounds: Vec<u128> = (1..=5).map(|attempt| backoff.bound(attempt).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 500, 500]);
    }
}
