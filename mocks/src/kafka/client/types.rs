//! The values users of the client see: partitions, records in and out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Why records may be gone that a consumer has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The log begins at `to` now and no longer holds `from`, the consumer's position: retention, or somebody
    /// who deletes records, was faster.
    Deleted {
        /// The offset that would have been next.
        from: i64,
        /// The offset that is next.
        to: i64,
    },
    /// The log ends before `from`, the consumer's position, and the consumer goes back to `to`: what it has
    /// read there was lost by the brokers, and so may have been records it has not read.
    Truncated {
        /// The offset that would have been next.
        from: i64,
        /// The offset that is next.
        to: i64,
    },
    /// Another leader has taken over. Its log lacks nothing that was acknowledged by all replicas in sync,
    /// unless its election was unclean; a consumer cannot tell.
    NewLeader {
        /// The new leader's epoch.
        epoch: i32,
    },
}

/// Name and value of each header, in order; a name may occur more than once, a value may be null.
pub type Headers = Vec<(String, Option<Bytes>)>;

/// A record to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// The topic's name.
    pub topic: String,
    /// The partition; if none is given, the key decides, and without a key the partitions take turns.
    pub partition: Option<i32>,
    /// Records with equal keys go to the same partition.
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// The value; none deletes the key in a compacted topic.
    pub value: Option<Bytes>,
}

impl NewRecord {
    /// A record with a value and nothing else.
    pub fn new(topic: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), value: Some(value.into()), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(self, key: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Sets the partition.
    #[must_use]
    pub fn partition(self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self }
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset in its partition.
    pub offset: i64,
    /// Its timestamp, Unix milliseconds: the producer's or the broker's, as the topic is configured.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
    /// The value; none deletes the key in a compacted topic.
    pub value: Option<Bytes>,
}
