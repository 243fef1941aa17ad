//! The one clock a mock server reads.
//!
//! Wall-clock milliseconds are an epoch, plus the time that passed since the server was made, plus an offset
//! that tests move by hand. Time passes as tokio's does, so a paused runtime pauses the server, unless a
//! source is handed in: a server whose connections live on several runtimes (one per simulated host) cannot
//! compare those runtimes' instants and needs one source above them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Tells a server what time it is. Clones share the offset.
#[derive(Clone)]
pub struct Clock {
    epoch_us: i64,
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
        let epoch_us = epoch_ms.saturating_mul(1000);
        Self { epoch_us, elapsed: Arc::new(elapsed), offset_ms: Arc::default() }
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
        // To the microsecond, so that it is never behind what clients of the machine see.
        Self { epoch_us: i64::try_from(epoch.as_micros()).unwrap_or(i64::MAX), ..Self::new(0) }
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        self.unix_us() / 1000
    }

    /// Unix time in microseconds.
    #[must_use]
    pub fn unix_us(&self) -> i64 {
        self.unix_us_at(self.elapsed())
    }

    /// Unix time in microseconds when [`Clock::elapsed`] was this much: spares those who need both a look at it.
    pub(crate) fn unix_us_at(&self, elapsed: Duration) -> i64 {
        let elapsed = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let offset = self.offset_ms.load(Ordering::Relaxed).saturating_mul(1000);
        self.epoch_us.saturating_add(offset).saturating_add(elapsed)
    }

    /// Time since the clock was made, jumps not counted: what timeouts are measured with.
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
