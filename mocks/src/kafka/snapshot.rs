//! What tests may see of a cluster: records and groups, as plain values.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A record of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, Unix milliseconds.
    pub timestamp_ms: i64,
    /// Epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// The idempotent producer, -1 if there is none.
    pub producer_id: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Headers in order; a name may occur more than once.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// State of a classic consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members; offsets may be there.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl GroupState {
    /// The name Kafka gives the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// State.
    pub state: GroupState,
    /// Generation, 0 before the first rebalance.
    pub generation: i32,
    /// The coordinator's node, -1 if there is none now.
    pub coordinator: i32,
    /// The assignor the members agreed on.
    pub protocol: Option<String>,
    /// The leading member.
    pub leader: Option<String>,
    /// Members by id.
    pub members: BTreeMap<String, MemberSnapshot>,
    /// Committed offsets by topic and partition.
    pub offsets: BTreeMap<(String, i32), CommittedOffset>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSnapshot {
    /// The client's id.
    pub client_id: String,
    /// The client's address.
    pub client_host: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// Partitions assigned to it; empty while it has no assignment or if that is not a consumer's.
    pub assigned: BTreeMap<String, Vec<i32>>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch the consumer told, -1 if none.
    pub leader_epoch: i32,
    /// The consumer's note.
    pub metadata: String,
    /// When it was committed, Unix milliseconds.
    pub committed_at_ms: i64,
    /// Records between it and the end of the partition; none if the partition is gone.
    pub lag: Option<i64>,
}
