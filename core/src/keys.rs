//! The port to a shared store of keys that expire: what leases and deduplication need of Redis.
//!
//! Every write here carries a time to live. The port promises what one Redis node promises: each operation is
//! atomic, and everything may be forgotten at any time (expiry, eviction, failover). Whoever needs more keeps it
//! in the event store.

mod memory;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryKeys;

/// A shared store of texts under keys, each with a time to live.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The value at `key`, if there is one.
    ///
    /// # Errors
    /// [`KeysError`].
    async fn get(&self, key: &str) -> Result<Option<String>, KeysError>;

    /// Writes `value` whatever was there (`SET PX`).
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, the write may have happened.
    async fn set(&self, key: &str, value: &str, ttl: Duration) -> Result<(), KeysError>;

    /// Writes `value` if nothing is there (`SET NX GET PX`, Redis 7.0). `None` means written, else what is there.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, the write may have happened.
    async fn set_if_absent(&self, key: &str, value: &str, ttl: Duration)
    -> Result<Option<String>, KeysError>;

    /// Replaces `expected` by `value`; `false` if something else, or nothing, was there.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, the write may have happened.
    async fn replace_if(
        &self,
        key: &str,
        expected: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, KeysError>;

    /// Gives the key `ttl` to live from now if `expected` is there; `false` if not.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, the write may have happened.
    async fn extend_if(&self, key: &str, expected: &str, ttl: Duration) -> Result<bool, KeysError>;

    /// Adds one to the counter at `key` and answers the sum. The counter lives for `ttl` from its first increment.
    /// Both are one step: no failure in between leaves a counter that never expires. One that would live longer
    /// than `ttl`, as after the server's clock was set back, is given `ttl` from now.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, it may have been counted.
    async fn increment(&self, key: &str, ttl: Duration) -> Result<u64, KeysError>;

    /// Deletes the key if `expected` is there; `false` if not.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, the deletion may have happened.
    async fn delete_if(&self, key: &str, expected: &str) -> Result<bool, KeysError>;
}

/// What goes wrong between a service and the store of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The server answered with an error; the operation had no effect.
    #[error("the key store refused the operation: {0}")]
    Refused(String),
    /// No answer in time, or the connection broke; the operation may have had its effect.
    #[error("no answer from the key store, the outcome is unknown: {0}")]
    Unknown(String),
    /// No connection; the operation was not sent.
    #[error("the key store cannot be reached: {0}")]
    Unreachable(String),
    /// An answer of a shape the operation never gives.
    #[error("expected {expected} from the key store, found {found}; is this a Redis 7.0 or later?")]
    Unexpected {
        /// What the operation answers.
        expected: &'static str,
        /// What came.
        found: String,
    },
}

impl KeysError {
    /// Whether trying again may help. What the retry policy reads.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Unreachable(_))
    }
}
