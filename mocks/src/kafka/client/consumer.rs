//! A consumer that is a member of a classic group, with eager range assignment.
//!
//! Dropping it leaves without a word; the group notices by timeout.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::KafkaClient;
use super::admin::OffsetSpec;
use super::coordinator::Coordinator;
use super::error::ClientError;
use super::fetch::FetchOptions;
use super::fetcher::Fetcher;
use super::group;
use super::isolation::Isolation;
use super::membership::{self, Membership, not_a_member};
use super::transaction::GroupMetadata;
use super::types::{Gap, Record, TopicPartition};

/// Where a group begins to read a partition for which it has committed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record there is.
    Earliest,
    /// Behind the last record there is.
    Latest,
}

impl OffsetReset {
    pub(super) fn spec(self) -> OffsetSpec {
        match self {
            Self::Earliest => OffsetSpec::Earliest,
            Self::Latest => OffsetSpec::Latest,
        }
    }
}

/// How a consumer behaves. Defaults are those of Kafka's own consumer.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// The consumer group.
    pub group: String,
    /// The topics subscribed to.
    pub topics: Vec<String>,
    /// The group hands a member's partitions on after this much silence.
    pub session_timeout: Duration,
    /// How long the group waits for a member to give its partitions up.
    pub rebalance_timeout: Duration,
    /// How often the group is told that this member lives; a third of the session timeout at most.
    pub heartbeat_interval: Duration,
    /// Most records of one [`Event::Records`].
    pub max_poll_records: usize,
    /// How long a broker waits for the first record of a fetch.
    pub fetch_max_wait: Duration,
    /// Bytes of one partition that are fetched ahead.
    pub partition_bytes: usize,
    /// Where to begin, and where to go on when an offset is gone.
    pub auto_offset_reset: OffsetReset,
    /// Which records to be given.
    pub isolation: Isolation,
}

impl ConsumerOptions {
    /// Default options.
    pub fn new<T: Into<String>>(group: impl Into<String>, topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(300),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_records: 500,
            fetch_max_wait: Duration::from_millis(500),
            partition_bytes: 1024 * 1024,
            auto_offset_reset: OffsetReset::Latest,
            isolation: Isolation::Uncommitted,
        }
    }
}

/// What a consumer is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records of one partition, in offset order.
    Records(TopicPartition, Vec<Record>),
    /// These partitions are this consumer's from now on. Never empty.
    Assigned(Vec<TopicPartition>),
    /// These partitions are about to move. Finish or abandon their work and commit now: the next call of
    /// [`Consumer::next`] gives them up.
    Revoked(Vec<TopicPartition>),
    /// These partitions are already another consumer's, without a chance to commit. May follow a `Revoked`
    /// of the same partitions that took too long.
    Lost(Vec<TopicPartition>),
    /// Records of this partition may be gone that this consumer has not been told; it reads on all the same.
    Gap(TopicPartition, Gap),
}

/// A member of a consumer group.
pub struct Consumer {
    membership: Arc<Membership>,
    task: AbortHandle,
}

impl KafkaClient {
    /// A consumer. It joins the group in the background, as soon as it is made; hence it has to be made within
    /// a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::Usage`], if the options contradict each other.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Consumer, ClientError> {
        if options.heartbeat_interval.saturating_mul(3) > options.session_timeout {
            let (beat, session) = (options.heartbeat_interval, options.session_timeout);
            return Err(ClientError::Usage(format!(
                "heartbeat_interval must be a third of session_timeout at most, found {beat:?} and {session:?}"
            )));
        }
        if options.topics.is_empty() || options.group.is_empty() {
            return Err(ClientError::Usage("a consumer needs a group and at least one topic".to_owned()));
        }
        let fetch = FetchOptions {
            max_wait: options.fetch_max_wait,
            partition_bytes: options.partition_bytes,
            isolation: options.isolation,
        };
        let fetcher = Fetcher::start(self, fetch, Some(options.auto_offset_reset.spec()));
        let coordinator = Coordinator::new(self, &options.group);
        let membership = Arc::new(Membership::new(options, coordinator, fetcher));
        let task = tokio::spawn(membership::run(Arc::clone(&membership))).abort_handle();
        Ok(Consumer { membership, task })
    }
}

impl Consumer {
    /// Waits for what comes next. Transient failures are retried inside, so an error is final.
    ///
    /// Cancel safe: an event is never lost by dropping the future.
    ///
    /// # Errors
    /// [`ClientError`] when the consumer cannot go on.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        let Membership { fetcher, options, .. } = &*self.membership;
        loop {
            if let Some(event) = self.membership.take_event()? {
                return Ok(event);
            }
            if let Some((partition, gap)) = fetcher.take_gap() {
                return Ok(Event::Gap(partition, gap));
            }
            if let Some((partition, records)) = fetcher.take(options.max_poll_records)? {
                return Ok(Event::Records(partition, records));
            }
            tokio::select! {
                biased;
                () = self.membership.changed() => {}
                () = fetcher.ready() => {}
            }
        }
    }

    /// Commits, for each partition, the offset of the *next* record to be consumed. Transient failures are
    /// retried for as long as the session timeout.
    ///
    /// # Errors
    /// [`ClientError::Fenced`] if the group has moved on and the commit was refused; other errors may be
    /// retried.
    pub async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let Membership { options, coordinator, .. } = &*self.membership;
        let deadline = Instant::now() + options.session_timeout;
        let with_epoch = |(partition, offset): &(TopicPartition, i64)| {
            (partition.clone(), *offset, self.membership.fetcher.leader_epoch(partition))
        };
        let offsets: Vec<_> = offsets.iter().map(with_epoch).collect();
        let mut backoff = coordinator.client.backoff(&format!("commit {}", options.group));
        loop {
            let generation = self.membership.generation().ok_or_else(|| not_a_member(&options.group))?;
            let Err(error) = group::commit(coordinator, &generation, &offsets).await else { return Ok(()) };
            if let ClientError::Refused { code, .. } = error
                && matches!(
                    code.0,
                    ResponseError::UnknownMemberId
                        | ResponseError::IllegalGeneration
                        | ResponseError::RebalanceInProgress
                        | ResponseError::FencedInstanceId
                )
            {
                self.membership.check_now();
                return Err(ClientError::Fenced { group: options.group.clone(), code });
            }
            let delay = backoff.next_delay();
            if !error.is_retryable() || Instant::now() + delay >= deadline {
                return Err(error);
            }
            sleep(delay).await;
        }
    }

    /// The offset of the next record [`next`](Self::next) will deliver of a partition.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.membership.fetcher.position(partition)
    }

    /// What a transaction commits this consumer's offsets for; none while it is no member of a generation.
    #[must_use]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        let generation = self.membership.generation()?;
        let group = self.membership.options.group.clone();
        Some(GroupMetadata { group, generation: generation.id, member: generation.member })
    }

    /// Leaves the group.
    ///
    /// # Errors
    /// [`ClientError`] if the group could not be told; it will notice by timeout.
    pub async fn close(self) -> Result<(), ClientError> {
        self.task.abort();
        let member = self.membership.member();
        if member.is_empty() {
            return Ok(());
        }
        group::leave(&self.membership.coordinator, &member).await
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
