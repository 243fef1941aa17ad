//! A log in memory: topics, partitions, groups that rebalance. For tests and for examples.
//!
//! It keeps the promises of the ports and no more. Groups are eager: when a member joins, leaves or falls
//! silent, every member gives all partitions up before any is handed out again. Tests can lose
//! acknowledgements, refuse commits and throw members out. It is not a Kafka: no protocol, no retention, no
//! replication.

mod group;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::group::{Group, Step};
use super::{
    Bus, BusError, Consumer, ConsumerOptions, Delivery, Gap, OutgoingRecord, Publisher, PublisherOptions,
    Record, TopicDescription, TopicPartition,
};
use crate::clock::Clock;

/// A log in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Vec<Vec<Record>>>,
    groups: BTreeMap<String, Group>,
    publish_faults: VecDeque<PublishFault>,
    commit_faults: VecDeque<BusError>,
    gaps: VecDeque<(TopicPartition, Gap)>,
    next_member: u64,
}

/// What happens to one publication instead of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishFault {
    /// The record is in the log, the publisher is not told: a lost acknowledgement.
    LoseAnswer,
    /// Nothing is written; the publisher cannot know that.
    LoseRequest,
    /// The broker says no.
    Refuse,
}

/// Records handed out by one call of [`Consumer::next`], at most.
const MAX_POLL: usize = 64;

impl MemoryBus {
    /// A log without topics.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default(), changed: Notify::new() }) }
    }

    /// Creates a topic, or gives it more partitions.
    #[must_use]
    pub fn with_topic(self, name: &str, partitions: usize) -> Self {
        let mut state = self.lock();
        let topic = state.topics.entry(name.to_owned()).or_default();
        if topic.len() < partitions {
            topic.resize(partitions, Vec::new());
        }
        drop(state);
        self
    }

    /// Everything in a topic, partition after partition, each in offset order.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<Record> {
        self.lock().topics.get(topic).map(|partitions| partitions.concat()).unwrap_or_default()
    }

    /// The offset a group committed for a partition: that of the next record to be consumed.
    #[must_use]
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let partition = TopicPartition { topic: topic.into(), partition };
        self.lock().groups.get(group).and_then(|group| group.committed(&partition))
    }

    /// Lets coming publications fail, one after another.
    pub fn fail_publishes(&self, faults: impl IntoIterator<Item = PublishFault>) {
        self.lock().publish_faults.extend(faults);
    }

    /// Lets coming commits fail, one after another.
    pub fn fail_commits(&self, errors: impl IntoIterator<Item = BusError>) {
        self.lock().commit_faults.extend(errors);
    }

    /// Tells the next consumer that asks that a partition has a gap; no record is taken from it.
    pub fn tell_gap(&self, topic: &str, partition: i32, gap: Gap) {
        self.lock().gaps.push_back((TopicPartition { topic: topic.into(), partition }, gap));
        self.shared.changed.notify_waiters();
    }

    /// Throws every member out of the group, as if their sessions had expired. Each learns it by
    /// [`Delivery::Lost`] and joins again.
    pub fn expire_members(&self, group: &str) {
        if let Some(group) = self.lock().groups.get_mut(group) {
            group.expire_all();
        }
        self.shared.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, record: OutgoingRecord) -> Result<(TopicPartition, i64), BusError> {
        let timestamp_ms = self.shared.clock.unix_ms();
        let mut state = self.lock();
        let fault = state.publish_faults.pop_front();
        match fault {
            Some(PublishFault::LoseRequest) => {
                return Err(BusError::Unknown("the request was lost".to_owned()));
            }
            Some(PublishFault::Refuse) => return Err(BusError::Refused("as the test asked".to_owned())),
            Some(PublishFault::LoseAnswer) | None => {}
        }
        let topic = state
            .topics
            .get_mut(&record.topic)
            .ok_or_else(|| BusError::Refused(format!("there is no topic {:?}", record.topic)))?;
        let chosen = record.key.as_ref().map_or(0, |key| fnv1a(key)) % topic.len().max(1) as u64;
        let chosen = usize::try_from(chosen).unwrap_or(0);
        let log = topic
            .get_mut(chosen)
            .ok_or_else(|| BusError::Refused(format!("topic {:?} has no partitions", record.topic)))?;
        let partition = TopicPartition {
            topic: record.topic.as_str().into(),
            partition: i32::try_from(chosen).unwrap_or(i32::MAX),
        };
        let offset = i64::try_from(log.len()).unwrap_or(i64::MAX);
        let OutgoingRecord { key, headers, value, .. } = record;
        log.push(Record { partition: partition.clone(), offset, timestamp_ms, key, headers, value });
        drop(state);
        self.shared.changed.notify_waiters();
        match fault {
            Some(_) => Err(BusError::Unknown("the answer was lost".to_owned())),
            None => Ok((partition, offset)),
        }
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publisher(&self, _options: PublisherOptions) -> Result<Arc<dyn Publisher>, BusError> {
        Ok(Arc::new(MemoryPublisher { bus: self.clone() }))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>, BusError> {
        let mut state = self.lock();
        state.next_member += 1;
        let member = state.next_member;
        drop(state);
        Ok(Box::new(MemoryConsumer { bus: self.clone(), options, member, left: false }))
    }

    async fn describe(&self, topic: &str) -> Result<Option<TopicDescription>, BusError> {
        let partitions = self.lock().topics.get(topic).map(Vec::len);
        Ok(partitions.map(|partitions| TopicDescription { partitions, leaderless: Vec::new() }))
    }
}

struct MemoryPublisher {
    bus: MemoryBus,
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, record: OutgoingRecord) -> Result<(TopicPartition, i64), BusError> {
        // A real publisher always waits for the network; callers must not come to rely on less.
        tokio::task::yield_now().await;
        self.bus.append(record)
    }
}

struct MemoryConsumer {
    bus: MemoryBus,
    options: ConsumerOptions,
    member: u64,
    left: bool,
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Result<Delivery, BusError> {
        let bus = self.bus.clone();
        loop {
            let changed = bus.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let step = self.step();
            match step {
                Step::Deliver(delivery) => return Ok(delivery),
                Step::Changed => bus.shared.changed.notify_waiters(),
                Step::Wait(None) => changed.await,
                Step::Wait(Some(until)) => {
                    // Whether something changed or a silent member's time is over: look again.
                    let _ = tokio::time::timeout_at(until, changed).await;
                }
            }
        }
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), BusError> {
        tokio::task::yield_now().await;
        let mut state = self.bus.lock();
        if let Some(error) = state.commit_faults.pop_front() {
            return Err(error);
        }
        let group = state.groups.entry(self.options.group.clone()).or_default();
        group.commit(self.member, offsets)
    }

    async fn close(mut self: Box<Self>) -> Result<(), BusError> {
        self.left = true;
        if let Some(group) = self.bus.lock().groups.get_mut(&self.options.group) {
            group.leave(self.member);
        }
        self.bus.shared.changed.notify_waiters();
        Ok(())
    }
}

impl MemoryConsumer {
    fn step(&self) -> Step {
        let mut state = self.bus.lock();
        let state = &mut *state;
        let group = state.groups.entry(self.options.group.clone()).or_default();
        let partitions = |topic: &str| state.topics.get(topic).map_or(0, Vec::len);
        match group.step(self.member, &self.options, Instant::now(), partitions) {
            Step::Wait(_) if !state.gaps.is_empty() => {
                let gap = state.gaps.pop_front().map(|(partition, gap)| Delivery::Gap(partition, gap));
                gap.map_or(Step::Changed, Step::Deliver)
            }
            Step::Wait(until) => match group.fetch(self.member, &state.topics, MAX_POLL) {
                Some(records) => Step::Deliver(Delivery::Records(records)),
                None => Step::Wait(until),
            },
            step => step,
        }
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let silent_since = Instant::now();
        if let Some(group) = self.bus.lock().groups.get_mut(&self.options.group) {
            group.fall_silent(self.member, silent_since + self.options.session_timeout);
        }
        self.bus.shared.changed.notify_waiters();
    }
}

/// How long members have to give their partitions up before they are thrown out.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);

/// FNV-1a, 64 bits: stable, and good enough to spread keys over partitions.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests;
