//! A consumer group in memory: members, the rebalance barrier, positions and committed offsets.
//!
//! Synchronous; the caller holds the lock and does the waiting. Invariant: a partition belongs to at most one
//! member, except that a member thrown out may still believe otherwise until its next call.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::REBALANCE_TIMEOUT;
use crate::bus::{BusError, ConsumerOptions, Delivery, Record, TopicPartition};

/// What a member's call leads to.
pub(super) enum Step {
    /// Return this.
    Deliver(Delivery),
    /// Others may go on now; look again.
    Changed,
    /// Wait for a change, at most until then.
    Wait(Option<Instant>),
}

#[derive(Default)]
pub(super) struct Group {
    members: BTreeMap<u64, Member>,
    committed: BTreeMap<TopicPartition, i64>,
    /// When the rebalance under way, if any, throws out whoever has not given up its partitions.
    rebalance_deadline: Option<Instant>,
}

struct Member {
    topics: Vec<String>,
    phase: Phase,
    /// Next offset to hand out, for each partition it has.
    positions: BTreeMap<TopicPartition, i64>,
    /// Set when the consumer was dropped: when the group notices.
    silent_until: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Has its partitions and consumes.
    Stable,
    /// Must still be told to give its partitions up.
    ToRevoke,
    /// Was told; its next call gives them up.
    Revoking,
    /// Has given everything up and waits for the others.
    Ready,
    /// Has new partitions and must be told.
    ToAssign,
    /// Was thrown out and must be told.
    Expired,
}

impl Group {
    /// Moves `member` on by one call of `next`.
    pub(super) fn step(
        &mut self,
        member: u64,
        options: &ConsumerOptions,
        now: Instant,
        partitions: impl Fn(&str) -> usize,
    ) -> Step {
        self.drop_silent(now);
        let Some(state) = self.members.get_mut(&member) else {
            let phase = Phase::Ready;
            let (topics, positions) = (options.topics.clone(), BTreeMap::new());
            self.members.insert(member, Member { topics, phase, positions, silent_until: None });
            self.rebalance(now);
            return Step::Changed;
        };
        match state.phase {
            Phase::Stable => {}
            Phase::ToRevoke => {
                state.phase = Phase::Revoking;
                return Step::Deliver(Delivery::Revoked(state.positions.keys().cloned().collect()));
            }
            Phase::Revoking => {
                state.phase = Phase::Ready;
                state.positions.clear();
                return Step::Changed;
            }
            Phase::Ready => {
                let waits = |member: &Member| matches!(member.phase, Phase::Ready | Phase::Expired);
                if self.members.values().all(waits) {
                    self.assign(partitions);
                    return Step::Changed;
                }
            }
            Phase::ToAssign => {
                state.phase = Phase::Stable;
                return Step::Deliver(Delivery::Assigned(state.positions.keys().cloned().collect()));
            }
            Phase::Expired => {
                let lost = state.positions.keys().cloned().collect();
                self.members.remove(&member);
                return Step::Deliver(Delivery::Lost(lost));
            }
        }
        Step::Wait(self.next_deadline())
    }

    /// The next records of one of the member's partitions, if there are any.
    pub(super) fn fetch(
        &mut self,
        member: u64,
        topics: &BTreeMap<String, Vec<Vec<Record>>>,
        limit: usize,
    ) -> Option<Vec<Record>> {
        let member = self.members.get_mut(&member).filter(|member| member.phase == Phase::Stable)?;
        member.positions.iter_mut().find_map(|(partition, position)| {
            let index = usize::try_from(partition.partition).ok()?;
            let log = topics.get(&*partition.topic)?.get(index)?;
            let from = usize::try_from(*position).ok()?;
            let records: Vec<Record> = log.iter().skip(from).take(limit).cloned().collect();
            *position = records.last()?.offset + 1;
            Some(records)
        })
    }

    pub(super) fn commit(&mut self, member: u64, offsets: &[(TopicPartition, i64)]) -> Result<(), BusError> {
        let fenced = |reason: &str| Err(BusError::Fenced(reason.to_owned()));
        let Some(state) = self.members.get(&member).filter(|member| member.phase != Phase::Expired) else {
            return fenced("not a member of the group");
        };
        if !offsets.iter().all(|(partition, _)| state.positions.contains_key(partition)) {
            return fenced("the partition is another member's");
        }
        self.committed.extend(offsets.iter().cloned());
        Ok(())
    }

    pub(super) fn committed(&self, partition: &TopicPartition) -> Option<i64> {
        self.committed.get(partition).copied()
    }

    pub(super) fn leave(&mut self, member: u64) {
        if self.members.remove(&member).is_some() {
            self.rebalance(Instant::now());
        }
    }

    /// The member's consumer is gone without a word; the group notices at `at`.
    pub(super) fn fall_silent(&mut self, member: u64, at: Instant) {
        if let Some(member) = self.members.get_mut(&member) {
            member.silent_until = Some(at);
        }
    }

    pub(super) fn expire_all(&mut self) {
        for member in self.members.values_mut() {
            member.phase = Phase::Expired;
        }
    }

    fn drop_silent(&mut self, now: Instant) {
        let before = self.members.len();
        self.members.retain(|_, member| member.silent_until.is_none_or(|at| now < at));
        if self.members.len() < before {
            self.rebalance(now);
        }
        if self.rebalance_deadline.is_some_and(|deadline| deadline <= now) {
            self.rebalance_deadline = None;
            for member in self.members.values_mut() {
                if matches!(member.phase, Phase::ToRevoke | Phase::Revoking) {
                    member.phase = Phase::Expired;
                }
            }
        }
    }

    fn rebalance(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.phase = match member.phase {
                Phase::Stable if member.positions.is_empty() => Phase::Ready,
                Phase::Stable | Phase::ToRevoke => Phase::ToRevoke,
                // Not told of its new partitions yet: nothing to give up.
                Phase::ToAssign | Phase::Ready => {
                    member.positions.clear();
                    Phase::Ready
                }
                phase @ (Phase::Revoking | Phase::Expired) => phase,
            };
        }
        self.rebalance_deadline = Some(now + REBALANCE_TIMEOUT);
    }

    /// Range assignment: for each topic, a contiguous run of partitions for each subscriber.
    fn assign(&mut self, partitions: impl Fn(&str) -> usize) {
        self.rebalance_deadline = None;
        let mut topics: Vec<String> =
            self.members.values().flat_map(|member| member.topics.iter().cloned()).collect();
        topics.sort();
        topics.dedup();
        for topic in topics {
            let count = partitions(&topic);
            let name: Arc<str> = topic.as_str().into();
            let subscribes =
                |member: &&mut Member| member.phase == Phase::Ready && member.topics.contains(&topic);
            let mut subscribers: Vec<&mut Member> = self.members.values_mut().filter(subscribes).collect();
            let share = count.div_ceil(subscribers.len().max(1)).max(1);
            for partition in 0..count {
                let Ok(number) = i32::try_from(partition) else { break };
                let partition_name = TopicPartition { topic: Arc::clone(&name), partition: number };
                let from = self.committed.get(&partition_name).copied().unwrap_or(0);
                if let Some(owner) = subscribers.get_mut(partition / share) {
                    owner.positions.insert(partition_name, from);
                }
            }
        }
        for member in self.members.values_mut().filter(|member| member.phase == Phase::Ready) {
            member.phase = Phase::ToAssign;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let silent = self.members.values().filter_map(|member| member.silent_until);
        silent.chain(self.rebalance_deadline).min()
    }
}
