//! The one clock the platform reads.
//!
//! Wall-clock milliseconds are an epoch, plus the time that passed since the clock was made, plus an offset
//! that tests move by hand. Time passes as tokio's does, so a paused runtime pauses the platform, unless a
//! source is handed in: values shared by several runtimes (one per simulated host) cannot compare those
//! runtimes' instants and need one source above them. It sets no timers; `tokio::time` does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Tells a service what time it is. Clones share the offset.
#[derive(Clone)]
pub struct Clock {
    epoch_ms: i64,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    offset_ms: Arc<AtomicI64>,
}

/// 2026-01-01T00:00:00Z: the epoch of clocks that were given none.
pub const DEFAULT_EPOCH_MS: i64 = 1_767_225_600_000;

impl Clock {
    /// A clock that starts at `epoch_ms` (Unix milliseconds) and passes as tokio's time does.
    #[must_use]
    pub fn new(epoch_ms: i64) -> Self {
        let start = Instant::now();
        Self::from_source(epoch_ms, move || start.elapsed())
    }

    /// A clock that starts at `epoch_ms` and passes as `elapsed` says, which must never run backwards.
    pub fn from_source(epoch_ms: i64, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { epoch_ms, elapsed: Arc::new(elapsed), offset_ms: Arc::default() }
    }

    /// A clock that starts at the machine's wall-clock time.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of this crate that reads the machine's clock"
    )]
    pub fn system() -> Self {
        let now = std::time::SystemTime::now();
        let epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::new(i64::try_from(epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from((self.elapsed)().as_millis()).unwrap_or(i64::MAX);
        let base_ms = self.epoch_ms.saturating_add(self.offset_ms.load(Ordering::Relaxed));
        base_ms.saturating_add(elapsed_ms)
    }

    /// Time since the clock was made, jumps not counted: what leases and timeouts are measured with.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }

    /// Moves the wall clock by `delta_ms`, forwards or backwards, as an operator or NTP would.
    pub fn jump(&self, delta_ms: i64) {
        self.offset_ms.fetch_add(delta_ms, Ordering::Relaxed);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(DEFAULT_EPOCH_MS)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("unix_ms", &self.unix_ms()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_moves_the_clock_and_a_jump_moves_only_the_wall() {
        let clock = Clock::new(1_000);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!((clock.unix_ms(), clock.elapsed()), (2_500, Duration::from_millis(1_500)));
        clock.clone().jump(-2_000);
        assert_eq!((clock.unix_ms(), clock.elapsed()), (500, Duration::from_millis(1_500)));
    }
}
