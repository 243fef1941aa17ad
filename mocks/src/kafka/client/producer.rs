//! The producer: finds a record's partition and hands it to that partition's lane.
//!
//! Each partition has a task of its own (`producer/lane.rs`), so one partition without a leader holds up no
//! other. A record whose `send` future is dropped may be produced all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::KafkaClient;
use super::batch::Draft;
use super::error::{ClientError, ProduceError};
use super::network::Lane;
use super::partitioner;
use super::transaction::Session;
use super::types::{NewRecord, TopicPartition};

mod attempt;
mod identity;
mod lane;

use identity::Identities;
pub(super) use identity::Identity;

/// What the broker waits for before it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nothing: it sends no acknowledgement, and the offset is unknown (-1).
    None,
    /// The leader's own append.
    Leader,
    /// The append of every in-sync replica.
    All,
}

/// How a producer behaves. Defaults are those of Kafka's own producer.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    /// What the broker waits for.
    pub acks: Acks,
    /// The broker recognises and drops the producer's own retries. Needs [`Acks::All`].
    pub idempotent: bool,
    /// How long one record is tried for, from `send` on.
    pub delivery_timeout: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a record waits for company before its batch is sent.
    pub linger: Duration,
    /// Batches of one partition that are under way at the same time, 1 to 5. Above 1, a producer that is not
    /// idempotent may reorder records when it retries, as in Kafka.
    pub max_in_flight: usize,
    /// Bytes a batch is filled to.
    pub batch_bytes: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            linger: Duration::ZERO,
            max_in_flight: 5,
            batch_bytes: 16 * 1024,
        }
    }
}

/// Produces records. Clones share its lanes; when the last is dropped, what was handed in is still sent.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

/// What the lanes of a producer share.
struct Shared {
    client: KafkaClient,
    options: ProducerOptions,
    lane: Lane,
    identities: Identities,
    /// Of a transactional producer.
    session: Option<Arc<Session>>,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<TopicPartition, mpsc::Sender<Pending>>,
    /// How many records without key and partition each topic got: its partitions take turns.
    turns: BTreeMap<String, usize>,
}

/// A record on its way.
struct Pending {
    draft: Draft,
    deadline: Instant,
    reply: oneshot::Sender<Result<i64, ProduceError>>,
}

/// Records that wait in a lane before `send` waits.
const QUEUE: usize = 10_000;

impl KafkaClient {
    /// A producer.
    ///
    /// # Errors
    /// [`ClientError::Usage`], if the options contradict each other.
    pub fn producer(&self, options: ProducerOptions) -> Result<Producer, ClientError> {
        if options.idempotent && options.acks != Acks::All {
            let found = options.acks;
            return Err(ClientError::Usage(format!(
                "an idempotent producer needs Acks::All, found {found:?}"
            )));
        }
        if !(1..=5).contains(&options.max_in_flight) {
            let found = options.max_in_flight;
            return Err(ClientError::Usage(format!("max_in_flight must be between 1 and 5, found {found}")));
        }
        Ok(self.producer_in(options, None))
    }

    /// A producer with checked options, under the identity of a session if there is one.
    pub(super) fn producer_in(&self, options: ProducerOptions, session: Option<Arc<Session>>) -> Producer {
        let identities = Identities::new(session.as_ref().map(|session| session.identity));
        let shared = Shared { client: self.clone(), options, lane: self.lane(), identities, session };
        Producer { inner: Arc::new(Inner { shared: Arc::new(shared), state: Mutex::default() }) }
    }
}

impl Producer {
    /// Produces one record and waits for its acknowledgement; answers where it lies. Retries until the
    /// delivery timeout. Records of one partition keep the order in which their `send` was first polled, once
    /// the topic's partitions are known; until then, only those keep it that wait for one another.
    ///
    /// # Errors
    /// [`ProduceError::Refused`] if the record is certainly not in the log, [`ProduceError::Unknown`] if it
    /// may be.
    pub async fn send(&self, record: NewRecord) -> Result<(TopicPartition, i64), ProduceError> {
        let deadline = Instant::now() + self.inner.shared.options.delivery_timeout;
        let partition = match record.partition {
            Some(number) => TopicPartition::new(record.topic.as_str(), number),
            None => self.partition(&record, deadline).await.map_err(ProduceError::Refused)?,
        };
        if let Some(session) = &self.inner.shared.session {
            session.join(&partition).await.map_err(ProduceError::Refused)?;
        }
        let NewRecord { key, headers, value, .. } = record;
        let timestamp_ms = self.inner.shared.client.options().clock.unix_ms();
        let draft = Draft { timestamp_ms, key, headers, value };
        let (reply, answer) = oneshot::channel();
        let queue = self.queue(&partition);
        // Tried first without waiting: tokio makes a task that has done much wait, and wakes the futures of
        // one task in another order than they came in.
        match queue.try_send(Pending { draft, deadline, reply }) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(stopped(&partition)),
            Err(TrySendError::Full(pending)) => {
                let handed = timeout_at(deadline, queue.send(pending)).await;
                handed
                    .map_err(|_| timed_out(&partition, "its queue stayed full"))?
                    .map_err(|_| stopped(&partition))?;
            }
        }
        let offset = answer.await.map_err(|_| ProduceError::Unknown(stopped_error(&partition)))??;
        Ok((partition, offset))
    }

    /// Finds the partition of a record that names none.
    async fn partition(&self, record: &NewRecord, deadline: Instant) -> Result<TopicPartition, ClientError> {
        let topic = record.topic.as_str();
        let client = &self.inner.shared.client;
        let mut backoff = client.backoff(&format!("partitions of {topic}"));
        let partitions = loop {
            let found = match client.metadata(&[topic]).await {
                Ok(image) => match image.topics.get(topic) {
                    Some(found) if found.error.is_none() && !found.partitions.is_empty() => {
                        break found.partitions.len();
                    }
                    found => match found.and_then(|found| found.error) {
                        Some(code) => ClientError::Refused { what: format!("metadata of {topic}"), code },
                        None => ClientError::NotFound(format!("topic {topic}")),
                    },
                },
                Err(error) => error,
            };
            let delay = backoff.next_delay();
            if !found.is_retryable() || Instant::now() + delay > deadline {
                return Err(found);
            }
            tokio::time::sleep(delay).await;
        };
        let index = match &record.key {
            Some(key) => partitioner::of_key(key, partitions),
            None => {
                let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
                let turn = state.turns.entry(topic.to_owned()).or_default();
                *turn += 1;
                (*turn - 1) % partitions
            }
        };
        // A topic's partitions are numbered from 0 without gaps.
        Ok(TopicPartition::new(topic, i32::try_from(index).unwrap_or(0)))
    }

    fn queue(&self, partition: &TopicPartition) -> mpsc::Sender<Pending> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = state.lanes.get(partition).filter(|queue| !queue.is_closed()) {
            return queue.clone();
        }
        let (queue, records) = mpsc::channel(QUEUE);
        let lane = lane::run(Arc::clone(&self.inner.shared), partition.clone(), records);
        tokio::spawn(lane);
        state.lanes.insert(partition.clone(), queue.clone());
        queue
    }
}

fn stopped_error(partition: &TopicPartition) -> ClientError {
    ClientError::Usage(format!("the task that produces to {partition} has stopped"))
}

fn stopped(partition: &TopicPartition) -> ProduceError {
    ProduceError::Refused(stopped_error(partition))
}

/// The record's time ran out before anything was sent.
fn timed_out(partition: &TopicPartition, why: &str) -> ProduceError {
    ProduceError::Refused(ClientError::Usage(format!(
        "the delivery timeout for {partition} ran out before it was sent: {why}"
    )))
}
