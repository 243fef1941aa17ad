//! The event store: streams of events, and the tables that must change in the same transaction with them.
//!
//! Every engine implements [`EventStore`] and passes the one suite in [`conformance`]. What the port promises:
//!
//! * **Streams**: versions of a stream are 1, 2, 3…; an append is all or nothing, and says what it expected.
//! * **Global order**: positions are 1, 2, 3… without gaps, and a reader that has seen a position never later
//!   sees one before it.
//! * **Idempotence**: an event id is stored once. Appending the same events again answers where they are.
//! * **Inbox, outbox, parked keys**: what a handler changes commits in one [`Transaction`].
//!
//! The store never makes ids, never retries and never calls anyone.

pub mod conformance;
mod memory;
mod types;

use std::time::Duration;

use async_trait::async_trait;

use crate::event_id::{Digest, EventId, IdentityError};

pub use memory::{MemoryLimits, MemoryStore};
pub use types::{
    Append, Appended, ClaimRequest, Committed, ExpectedVersion, Finish, Finished, InboxKey, InboxRow,
    InboxState, InboxSubject, NewOutboxRow, OutboxRow, ParkedKey, Position, StoredEvent, StreamName,
    Transaction,
};

/// Keeps events, and what handlers have done about them.
///
/// An operation whose future is dropped, or that answers [`StoreError::Unavailable`], may have taken effect
/// or not; it never takes effect in part.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Appends events to the end of a stream, all or nothing.
    ///
    /// If all of them are stored already, one after the other in this stream and in this order, nothing is
    /// written and the answer is where they are, *even if the expected version has moved on*: the caller
    /// repeats an append whose acknowledgement it lost.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::PartialDuplicate`], [`StoreError::Identity`],
    /// [`StoreError::InvalidAppend`].
    async fn append(&self, append: Append) -> Result<Appended, StoreError>;

    /// Up to `limit` events of a stream, from version `from` on (versions start at 1), in order. A stream
    /// that does not exist is empty.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be read.
    async fn read(
        &self,
        stream: &StreamName,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Up to `limit` events of all streams after position `after`, in the order they were committed.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be read.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Claims an event for a handler, before the handler runs; atomic.
    ///
    /// Absent: a row is written with the given effect key and one attempt. Claimed before: the attempts rise
    /// by one and the *first* effect key stays. Done or dead: the row is answered unchanged.
    ///
    /// # Errors
    /// [`StoreError::Identity`] if the row knows another digest; it is left unchanged.
    async fn claim(&self, key: &InboxKey, request: ClaimRequest) -> Result<InboxRow, StoreError>;

    /// The inbox row of an event and a handler.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be read.
    async fn inbox(&self, key: &InboxKey) -> Result<Option<InboxRow>, StoreError>;

    /// Writes an inbox row, whatever was there: for administration, as to drive a dead letter again.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be written.
    async fn put_inbox(&self, key: &InboxKey, row: InboxRow) -> Result<(), StoreError>;

    /// Commits everything a handler changes, all or nothing. If the inbox row to be finished is finished
    /// already, nothing is written: somebody else has done the work.
    ///
    /// # Errors
    /// As [`append`](Self::append), and [`StoreError::NotClaimed`]; nothing is written then.
    async fn commit(&self, transaction: Transaction) -> Result<Committed, StoreError>;

    /// Whether a handler's key is parked: an event of it went to the dead letters, and later ones follow.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be read.
    async fn parked(&self, handler: &str, key: &[u8]) -> Result<bool, StoreError>;

    /// Lets events of a key through again. Nothing happens if it is not parked.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be written.
    async fn unpark(&self, handler: &str, key: &[u8]) -> Result<(), StoreError>;

    /// Up to `limit` outbox rows that are not yet marked as sent, oldest first.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be read.
    async fn outbox_pending(&self, limit: usize) -> Result<Vec<OutboxRow>, StoreError>;

    /// Marks outbox rows as sent. Unknown numbers and repetitions are ignored.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be written.
    async fn outbox_sent(&self, seqs: &[u64]) -> Result<(), StoreError>;

    /// Takes or renews the lease `name` for `owner`, for `ttl` from now; `false` if another owner has it.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be written.
    async fn lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease `name` up, if `owner` has it.
    ///
    /// # Errors
    /// [`StoreError`], if the store cannot be written.
    async fn release(&self, name: &str, owner: &str) -> Result<(), StoreError>;
}

/// What goes wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The stream is not where the caller believed. Read on from there, decide again, and append again.
    #[error("stream {stream}: expected {expected}, it is at version {actual}; read it and decide again")]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// What the caller expected.
        expected: ExpectedVersion,
        /// The stream's version, 0 if it does not exist.
        actual: u64,
    },
    /// Some of the events are stored already, or all of them but elsewhere or in another order.
    #[error(
        "stream {stream}: event {id} is stored at version {version} of {found_in}, but the append as a \
             whole is not a repetition; do not mix old and new events in one append"
    )]
    PartialDuplicate {
        /// The stream that was appended to.
        stream: StreamName,
        /// The first event of the append that is stored already.
        id: EventId,
        /// The stream it is stored in.
        found_in: StreamName,
        /// Its version there.
        version: u64,
    },
    /// Two different events have one id; see [`IdentityError::Collision`].
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An append that no store could take.
    #[error("append to stream {stream}: {problem}")]
    InvalidAppend {
        /// The stream.
        stream: StreamName,
        /// What is wrong.
        problem: String,
    },
    /// A name that is no name of a stream.
    #[error(
        "stream name {found:?}: expected 1 to {} bytes without control characters",
        types::STREAM_NAME_BYTES_MAX
    )]
    InvalidStreamName {
        /// The name.
        found: String,
    },
    /// A transaction finishes an event that was never claimed.
    #[error("{key} was not claimed; claim it before the handler runs")]
    NotClaimed {
        /// The row's key.
        key: InboxKey,
    },
    /// A limit of the store is reached.
    #[error("the store holds {limit} {what}, its limit; raise it, or drain them")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The store cannot be reached or used; the operation may have taken effect.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// Whether repeating the same operation may help. What the retry policy reads.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full { .. })
    }

    fn collision(id: EventId, known: Digest, found: Digest) -> Self {
        Self::Identity(IdentityError::Collision { id, known, found })
    }
}
