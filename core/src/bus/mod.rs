//! The ports to a partitioned log of records: publish, consume in a group, commit offsets.
//!
//! An adapter implements them over a real client. The ports promise what Kafka promises: records of one
//! partition arrive in offset order, at least once; nothing is promised across partitions. They know nothing
//! of envelopes: a record is bytes.

pub mod memory;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

/// A record to be published. The key decides the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// The topic's name.
    pub topic: String,
    /// Records with equal keys go to the same partition.
    pub key: Option<Bytes>,
    /// Name and value of each header, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The record's value.
    pub value: Bytes,
}

/// A record as it was consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies.
    pub partition: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// The broker's timestamp, Unix milliseconds.
    pub timestamp_ms: i64,
    /// The record's key.
    pub key: Option<Bytes>,
    /// Name and value of each header, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The record's value.
    pub value: Bytes,
}

/// What a consumer is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Records of one partition, in offset order.
    Records(Vec<Record>),
    /// These partitions are this consumer's from now on.
    Assigned(Vec<TopicPartition>),
    /// These partitions are about to move. Finish or abandon their work and commit now: the next call of
    /// [`Consumer::next`] gives them up.
    Revoked(Vec<TopicPartition>),
    /// These partitions are already another consumer's, without a chance to commit.
    Lost(Vec<TopicPartition>),
    /// Records of this partition may be gone that this consumer has not been told. It reads on all the same; whoever
    /// can look elsewhere for what is missing should.
    Gap(TopicPartition, Gap),
}

/// Why records may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The log begins behind the consumer's position now.
    Deleted,
    /// The log ends before the consumer's position, or has another leader, whose log may be shorter: the
    /// brokers lost records if its election was unclean.
    Truncated,
}

/// A topic as the log knows it at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// How many partitions it has.
    pub partitions: usize,
    /// Partitions that nobody leads: they can neither be read nor written.
    pub leaderless: Vec<i32>,
}

/// How a publisher behaves.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The broker drops a producer's own retries. Without it a lost acknowledgement becomes a duplicate.
    pub idempotent: bool,
    /// How long one [`Publisher::publish`] keeps trying.
    pub delivery_timeout: Duration,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self { idempotent: true, delivery_timeout: Duration::from_secs(30) }
    }
}

/// How a consumer behaves.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// The consumer group.
    pub group: String,
    /// The topics subscribed to.
    pub topics: Vec<String>,
    /// The group hands a member's partitions on after this much silence.
    pub session_timeout: Duration,
    /// Whether records are given only once their transaction is committed.
    pub committed_only: bool,
}

/// A client of the log. One per service.
#[async_trait]
pub trait Bus: Send + Sync {
    /// A publisher; cheap enough to have several.
    ///
    /// # Errors
    /// [`BusError`], if the client cannot be set up.
    async fn publisher(&self, options: PublisherOptions) -> Result<Arc<dyn Publisher>, BusError>;

    /// A consumer that is a member of a group.
    ///
    /// # Errors
    /// [`BusError`], if the client cannot be set up. Joining happens in [`Consumer::next`].
    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>, BusError>;

    /// A topic as the log knows it now, asked anew; none if there is no such topic. Never creates one.
    ///
    /// # Errors
    /// [`BusError`], if the log does not answer or does not tell.
    async fn describe(&self, topic: &str) -> Result<Option<TopicDescription>, BusError>;

    /// A publisher that is known by `transactional_id`; what an earlier one of this id has begun and not ended
    /// is aborted.
    ///
    /// # Errors
    /// [`BusError`], if the client cannot be set up, or this log has no transactions.
    async fn transactional(
        &self,
        transactional_id: &str,
    ) -> Result<Box<dyn TransactionalPublisher>, BusError> {
        Err(BusError::Refused(format!("this log has no transactions, and none for {transactional_id:?}")))
    }
}

/// Publishes records.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes one record and waits until the log has acknowledged it; answers where it lies.
    ///
    /// # Errors
    /// [`BusError::Refused`] if the record is certainly not in the log, [`BusError::Unknown`] if it may be.
    async fn publish(&self, record: OutgoingRecord) -> Result<(TopicPartition, i64), BusError>;
}

/// What a member speaks for when its offsets are committed by somebody else: by a publisher, in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The consumer group.
    pub group: String,
    /// The generation, or -1 to be believed without being a member.
    pub generation: i32,
    /// The member's id; empty without one.
    pub member: String,
}

/// Records, and the offsets they were made from: one transaction.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What is published.
    pub records: Vec<OutgoingRecord>,
    /// For each partition the offset of the *next* record to be consumed.
    pub offsets: Vec<(TopicPartition, i64)>,
    /// Who consumed.
    pub consumer: Membership,
}

/// Publishes in transactions. The newest publisher of a transactional id fences those before it.
#[async_trait]
pub trait TransactionalPublisher: Send {
    /// Publishes records and commits the offsets they stem from, all or nothing for readers of committed
    /// records. After an error nothing of it counts, unless it is [`BusError::Unknown`].
    ///
    /// # Errors
    /// [`BusError::Fenced`] if a newer publisher has this id or the group has moved on: this publisher is done.
    /// Other errors may be retried, from where the group's offsets stand.
    async fn exchange(&mut self, exchange: Exchange) -> Result<(), BusError>;
}

/// Consumes records as a member of a group. Dropping it leaves without a word; the group notices by timeout.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for what comes next. Transient failures are retried inside, so an error is final.
    ///
    /// Cancel safe: a delivery is never lost by dropping the future.
    ///
    /// # Errors
    /// [`BusError`] when the consumer cannot go on.
    async fn next(&mut self) -> Result<Delivery, BusError>;

    /// Commits, for each partition, the offset of the *next* record to be consumed.
    ///
    /// # Errors
    /// [`BusError::Fenced`] if the group has moved on and the commit was refused; other errors may be
    /// retried.
    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), BusError>;

    /// What this consumer speaks for at this moment; none while it is no member, or on a log without
    /// transactions.
    fn membership(&self) -> Option<Membership> {
        None
    }

    /// Leaves the group.
    ///
    /// # Errors
    /// [`BusError`] if the group could not be told; it will notice by timeout.
    async fn close(self: Box<Self>) -> Result<(), BusError>;
}

/// What goes wrong between a service and the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The log said no; the request certainly had no effect.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// No answer in time; the request may have had its effect.
    #[error("no answer, the outcome is unknown: {0}")]
    Unknown(String),
    /// This consumer is no longer a member of the generation it speaks for.
    #[error("fenced: {0}")]
    Fenced(String),
    /// No broker can be reached.
    #[error("unreachable: {0}")]
    Unreachable(String),
}

impl BusError {
    /// Whether trying again may help. What the retry policy reads.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Unreachable(_))
    }
}
