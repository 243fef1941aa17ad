//! Waiting out what passes: repeats an operation until it succeeds, cannot succeed, or is no longer wanted.
//!
//! Only operations that may be repeated come here: claims, marks, and transactions that finish an inbox row.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::keys::KeysError;
use crate::point;
use crate::store::StoreError;

/// Why work on an event ended without finishing it.
#[derive(Debug)]
pub(super) enum Halt {
    /// The partition is going, or the service stops. Whoever gets the event next continues.
    Abandoned,
    /// The store failed in a way that will not pass.
    Store(StoreError),
    /// The store of keys failed in a way that will not pass.
    Keys(KeysError),
}

/// Pauses between tries, cut short when the work is no longer wanted.
#[derive(Clone)]
pub(super) struct Patience {
    pub(super) backoff: Backoff,
}

impl Patience {
    /// Waits before the next try, after the `n`th failure in a row.
    pub(super) async fn pause(&self, n: u32, over: &CancellationToken) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = over.cancelled() => Err(Halt::Abandoned),
            () = tokio::time::sleep(self.backoff.delay(n)) => Ok(()),
        }
    }

    /// Repeats an operation on the event store while it fails for a passing reason.
    pub(super) async fn store<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        over: &CancellationToken,
        operation: impl Fn() -> F,
    ) -> Result<T, Halt> {
        let mut failures = 0;
        loop {
            match operation().await {
                Ok(value) => return Ok(value),
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, "the event store did not answer");
                }
                Err(error) => return Err(Halt::Store(error)),
            }
            failures += 1;
            self.pause(failures, over).await?;
        }
    }

    /// Repeats an operation on the store of keys while it fails for a passing reason.
    pub(super) async fn keys<T, F: Future<Output = Result<T, KeysError>>>(
        &self,
        over: &CancellationToken,
        operation: impl Fn() -> F,
    ) -> Result<T, Halt> {
        let mut failures = 0;
        loop {
            match operation().await {
                Ok(value) => return Ok(value),
                Err(error) if error.is_retryable() => {
                    point::saw("redis-unavailable");
                    tracing::debug!(%error, "the key store did not answer");
                }
                Err(error) => return Err(Halt::Keys(error)),
            }
            failures += 1;
            self.pause(failures, over).await?;
        }
    }
}
