//! What goes into a store and what comes out. Plain values; the rules are the trait's.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::StoreError;
use crate::envelope::EventEnvelope;
use crate::event_id::{Digest, EventId};

/// Bytes a stream's name may have.
pub(super) const STREAM_NAME_BYTES_MAX: usize = 256;

/// The name of a stream: one aggregate, saga or entity, `order-7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(String);

impl StreamName {
    /// A name of 1 to 256 bytes without control characters.
    ///
    /// # Errors
    /// [`StoreError::InvalidStreamName`].
    pub fn new(name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        if name.is_empty() || name.len() > STREAM_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(StoreError::InvalidStreamName { found: name.chars().take(64).collect() });
        }
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = StoreError;

    fn from_str(name: &str) -> Result<Self, StoreError> {
        Self::new(name)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an event stands in the order of all events: 1, 2, 3… without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event: reading after it reads everything.
    pub const START: Self = Self(0);
}

/// What an append expects of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Nothing.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has events.
    Exists,
    /// The stream's last event has this version; 0 is an empty stream.
    Exact(u64),
}

impl ExpectedVersion {
    /// Whether a stream at version `actual` is as expected.
    #[must_use]
    pub fn allows(self, actual: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == 0,
            Self::Exists => actual > 0,
            Self::Exact(version) => actual == version,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("an existing stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}

/// Events for the end of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// The stream.
    pub stream: StreamName,
    /// What the caller expects of it.
    pub expected: ExpectedVersion,
    /// The events, at least one, no id twice.
    pub events: Vec<EventEnvelope>,
}

/// Where appended events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version of the first event in its stream.
    pub first_version: u64,
    /// The version of the last event.
    pub last_version: u64,
    /// The position of the first event among all.
    pub first_position: Position,
    /// The position of the last event.
    pub last_position: Position,
    /// Whether they were there before: the append was a repetition.
    pub duplicate: bool,
}

/// An event in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its stream.
    pub stream: StreamName,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// Its place among all events, from 1.
    pub position: Position,
    /// When it was stored, Unix milliseconds by the store's clock. Not an order: clocks jump.
    pub recorded_ms: i64,
    /// The event.
    pub event: EventEnvelope,
}

/// What an inbox row is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InboxSubject {
    /// An event.
    Event(EventId),
    /// A record that is no event, known only by its place.
    Record {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
}

/// The key of an inbox row. Two handlers of one event have two rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxKey {
    /// The handler's name.
    pub handler: String,
    /// What it handles.
    pub subject: InboxSubject,
}

impl InboxKey {
    /// The key for an event.
    pub fn event(handler: impl Into<String>, id: EventId) -> Self {
        Self { handler: handler.into(), subject: InboxSubject::Event(id) }
    }

    /// The key for a record that cannot be decoded.
    pub fn record(handler: impl Into<String>, topic: impl Into<String>, partition: i32, offset: i64) -> Self {
        let subject = InboxSubject::Record { topic: topic.into(), partition, offset };
        Self { handler: handler.into(), subject }
    }
}

impl fmt::Display for InboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            InboxSubject::Event(id) => write!(f, "event {id} for handler {}", self.handler),
            InboxSubject::Record { topic, partition, offset } => {
                write!(f, "record {topic}/{partition}/{offset} for handler {}", self.handler)
            }
        }
    }
}

/// How far a handler is with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxState {
    /// It has begun, and may have had its effect or not.
    Claimed,
    /// It is done.
    Done,
    /// It was given up; the event is a dead letter.
    Dead,
}

/// What is known of one handler and one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// How far it is.
    pub state: InboxState,
    /// The idempotency key under which every attempt asks its downstream; decided by the first claim.
    pub effect_key: String,
    /// Times it was claimed, from 1.
    pub attempts: u32,
    /// The event's digest, if it is an event.
    pub digest: Option<Digest>,
}

/// What a claim brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The event's digest, if it is an event.
    pub digest: Option<Digest>,
    /// The effect key to be used if this is the first claim.
    pub effect_key: String,
}

/// The two ways to be finished with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// [`InboxState::Done`].
    Done,
    /// [`InboxState::Dead`].
    Dead,
}

impl From<Finished> for InboxState {
    fn from(finished: Finished) -> Self {
        match finished {
            Finished::Done => Self::Done,
            Finished::Dead => Self::Dead,
        }
    }
}

/// The inbox row that a transaction finishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The row's key; it must have been claimed.
    pub key: InboxKey,
    /// How it ends.
    pub state: Finished,
}

/// A key whose events follow an earlier one to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParkedKey {
    /// The handler's name.
    pub handler: String,
    /// The partition key.
    pub key: Bytes,
}

/// A record to be published after the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutboxRow {
    /// The topic.
    pub topic: String,
    /// The record's key.
    pub key: Option<Bytes>,
    /// Name and value of each header, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The record's value.
    pub value: Bytes,
    /// The event inside, if it is one.
    pub event: Option<EventId>,
}

/// A record that waits to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number: rows are published in this order.
    pub seq: u64,
    /// The record.
    pub row: NewOutboxRow,
}

/// Everything a handler changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    /// Events to append, each append as [`EventStore::append`](super::EventStore::append) would, in order.
    pub appends: Vec<Append>,
    /// The inbox row to finish.
    pub finish: Option<Finish>,
    /// Records to publish.
    pub outbox: Vec<NewOutboxRow>,
    /// A key to park.
    pub park: Option<ParkedKey>,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Everything is written.
    Applied {
        /// Where the events of each append are.
        appended: Vec<Appended>,
        /// The numbers of the outbox rows.
        outbox: Vec<u64>,
    },
    /// The inbox row was finished before, and nothing was written.
    AlreadyFinished(InboxRow),
}
