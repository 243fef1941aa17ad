//! What tests may see of a cluster: records and groups, as plain values.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ConsumerProtocolAssignment;
use kafka_protocol::protocol::Decodable;

use super::cluster::{Cluster, Ticket};
use super::group::{Committed, Group, Member};
use super::log::Log;

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

impl Cluster {
    /// The log of a partition that exists.
    pub(crate) fn log_of(&self, topic: &str, partition: i32) -> Option<&Log> {
        self.logs.get(&(self.truth.topics.get(topic)?.id, partition))
    }

    /// The next offset of a partition.
    pub(crate) fn end_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        self.log_of(topic, partition).map(Log::end)
    }

    /// A group with its offsets and their lag.
    pub(crate) fn group_snapshot(&self, id: &str) -> Option<GroupSnapshot> {
        let group: &Group<Ticket> = self.groups.get(id)?;
        let partition = self.truth.partition(super::cluster::OFFSETS_TOPIC, self.offsets_partition(id));
        let offset = |((topic, number), kept): (&(String, i32), &Committed)| {
            let end = self.end_offset(topic, *number);
            let committed = CommittedOffset {
                offset: kept.offset,
                leader_epoch: kept.leader_epoch,
                metadata: kept.metadata.clone(),
                committed_at_ms: kept.at_ms,
                lag: end.map(|end| end - kept.offset),
            };
            ((topic.clone(), *number), committed)
        };
        Some(GroupSnapshot {
            state: group.state,
            generation: group.generation,
            coordinator: partition.and_then(|partition| partition.leader).unwrap_or(-1),
            protocol: group.protocol.clone(),
            leader: group.leader.clone(),
            members: group.members.iter().map(|(id, member)| (id.clone(), told(member))).collect(),
            offsets: group.offsets.iter().map(offset).collect(),
        })
    }
}

fn told(member: &Member<Ticket>) -> MemberSnapshot {
    MemberSnapshot {
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        instance_id: member.instance_id.clone(),
        assigned: assigned(member.assignment.clone()).unwrap_or_default(),
    }
}

/// Reads an assignment as consumers write it: a version, then topics and partitions.
fn assigned(mut bytes: Bytes) -> Option<BTreeMap<String, Vec<i32>>> {
    let version = bytes.first_chunk::<2>().map(|version| i16::from_be_bytes(*version))?;
    bytes.advance(2);
    // Versions only ever added fields at the end. The count is checked before the codec makes room for it.
    let count = bytes.first_chunk::<4>().map(|count| u32::from_be_bytes(*count))?;
    if usize::try_from(count).ok()? > bytes.len() {
        return None;
    }
    let read = ConsumerProtocolAssignment::decode(&mut bytes, version.clamp(0, 3)).ok()?;
    let topic = |topic: kafka_protocol::messages::consumer_protocol_assignment::TopicPartition| {
        (topic.topic.to_string(), topic.partitions)
    };
    Some(read.assigned_partitions.into_iter().map(topic).collect())
}
