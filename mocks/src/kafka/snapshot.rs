//! What tests may see of a cluster: records and groups, as plain values.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use super::cluster::{Cluster, Ticket};
use super::group::{Committed, Group, Kind, classic, consumer, embedded};
use super::image::Image;
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

/// The protocol of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// Its members assign, by JoinGroup and SyncGroup.
    Classic,
    /// Its coordinator assigns, by ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

/// State of a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members; offsets may be there.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// A group of the consumer protocol waits for its next target.
    Assigning,
    /// Members of a group of the consumer protocol are on the way to their target.
    Reconciling,
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
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A group as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// Protocol.
    pub kind: GroupKind,
    /// State.
    pub state: GroupState,
    /// Generation, 0 before the first rebalance; the group epoch of the consumer protocol.
    pub generation: i32,
    /// The coordinator's node, -1 if there is none now.
    pub coordinator: i32,
    /// The assignor the members agreed on, or the coordinator's.
    pub protocol: Option<String>,
    /// The leading member; the consumer protocol has none.
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
    /// The generation; its own epoch in the consumer protocol.
    pub epoch: i32,
    /// Partitions assigned to it; empty while it has no assignment or if that is not a consumer's.
    pub assigned: BTreeMap<String, Vec<i32>>,
    /// Partitions it is to have in the end. They differ from the assigned ones only in the consumer protocol.
    pub target: BTreeMap<String, Vec<i32>>,
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
        let coordinator = partition.and_then(|partition| partition.leader).unwrap_or(-1);
        let offsets = group.offsets.iter().map(offset).collect();
        Some(match &group.kind {
            Kind::Classic(classic) => GroupSnapshot {
                kind: GroupKind::Classic,
                state: group.state(),
                generation: classic.generation,
                coordinator,
                protocol: classic.protocol.clone(),
                leader: classic.leader.clone(),
                members: classic.members.iter().map(|(id, m)| (id.clone(), told(classic, m))).collect(),
                offsets,
            },
            Kind::Consumer(consumer) => GroupSnapshot {
                kind: GroupKind::Consumer,
                state: group.state(),
                generation: consumer.epoch,
                coordinator,
                protocol: Some(consumer.assignor(&self.options.group_consumer_assignors).name().to_owned()),
                leader: None,
                members: consumer
                    .members
                    .keys()
                    .filter_map(|id| told_new(consumer, id, &self.truth))
                    .collect(),
                offsets,
            },
        })
    }
}

fn told(group: &classic::Classic<Ticket>, member: &classic::Member<Ticket>) -> MemberSnapshot {
    let assigned = embedded::assigned(member.assignment.clone()).unwrap_or_default().partitions;
    MemberSnapshot {
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        instance_id: member.instance_id.clone(),
        epoch: group.generation,
        target: assigned.clone(),
        assigned,
    }
}

fn told_new(group: &consumer::Consumer, id: &str, image: &Image) -> Option<(String, MemberSnapshot)> {
    let member = group.members.get(id)?;
    let name = |topic: &Uuid| image.ids.get(topic).cloned().unwrap_or_else(|| topic.to_string());
    let mut assigned: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    member.held().for_each(|(topic, number)| assigned.entry(name(&topic)).or_default().push(number));
    let target = group.target(id);
    let target = target.iter().map(|(topic, numbers)| (name(topic), numbers.iter().copied().collect()));
    let told = MemberSnapshot {
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        instance_id: member.instance_id.clone(),
        epoch: member.epoch,
        assigned,
        target: target.collect(),
    };
    Some((id.to_owned(), told))
}
