//! What a transactional producer does under one identity: id and epoch.
//!
//! With transactions of version 2 that is one transaction, whose partitions the brokers put into it by
//! themselves; with older ones it may be many, and each partition is put into each of them first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId, ProducerId, TopicName,
    TransactionalId, TxnOffsetCommitRequest,
};
use tokio::time::{Instant, sleep};

use super::{GroupMetadata, fenced};
use crate::kafka::client::admin::{no_answer, text};
use crate::kafka::client::backoff::Backoff;
use crate::kafka::client::coordinator::Coordinator;
use crate::kafka::client::error::{ClientError, ErrorCode};
use crate::kafka::client::producer::Identity;
use crate::kafka::client::types::TopicPartition;

/// See the module's text.
pub(in crate::kafka::client) struct Session {
    pub(in crate::kafka::client) identity: Identity,
    coordinator: Arc<Coordinator>,
    bumps_epoch: bool,
    /// Partitions the coordinator has put into the open transaction; not known with version 2.
    joined: tokio::sync::Mutex<BTreeSet<TopicPartition>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Something may be in the open transaction.
    begun: bool,
    failure: Option<ClientError>,
}

/// Something that is tried within the transaction. Dropped before its end is known, it is a failure.
pub(super) struct Attempt<'a> {
    session: &'a Session,
    settled: bool,
}

impl Session {
    pub(super) fn new(coordinator: &Arc<Coordinator>, identity: Identity, bumps_epoch: bool) -> Self {
        let (coordinator, joined, state) = (Arc::clone(coordinator), Default::default(), Mutex::default());
        Self { identity, coordinator, bumps_epoch, joined, state }
    }

    /// As requests name it.
    pub(in crate::kafka::client) fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(&self.coordinator.group))
    }

    /// The newest version of Produce that has this session's kind of transactions.
    pub(in crate::kafka::client) fn produce_version_max(&self) -> i16 {
        if self.bumps_epoch { 12 } else { 11 }
    }

    /// Puts a partition into the transaction, if brokers do not do so by themselves.
    pub(in crate::kafka::client) async fn join(&self, partition: &TopicPartition) -> Result<(), ClientError> {
        if self.bumps_epoch {
            return Ok(());
        }
        // Held while asking, so that records of one partition share the answer and keep their order.
        let mut joined = self.joined.lock().await;
        if joined.contains(partition) {
            return Ok(());
        }
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(TopicName(text(&partition.topic)))
            .with_partitions(vec![partition.partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.transactional_id())
            .with_v3_and_below_producer_id(ProducerId(self.identity.id))
            .with_v3_and_below_producer_epoch(self.identity.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let timeout = self.coordinator.client.options().request_timeout;
        let what = format!("AddPartitionsToTxn of {partition}");
        let mut attempts = Attempts::new(&self.coordinator, &what, Instant::now() + timeout);
        loop {
            let attempt = async {
                let answer = self.coordinator.call(&request, timeout).await?;
                let topics = answer.results_by_topic_v3_and_below.into_iter();
                let result = topics.flat_map(|topic| topic.results_by_partition).next();
                let code = result.ok_or_else(|| no_answer(what.clone()))?.partition_error_code;
                check(&self.coordinator, code, "AddPartitionsToTxn")
            };
            match attempt.await {
                Ok(()) => break,
                Err(error) => attempts.after(error).await?,
            }
        }
        joined.insert(partition.clone());
        Ok(())
    }

    /// Commits offsets within the transaction.
    pub(super) async fn send_offsets(
        &self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, i64)],
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let timeout = self.coordinator.client.options().request_timeout;
        if !self.bumps_epoch {
            self.join_group(group, deadline).await?;
        }
        let request = self.offsets_request(group, offsets);
        let of_group = Coordinator::new(&self.coordinator.client, &group.group);
        let max = if self.bumps_epoch { i16::MAX } else { 4 };
        let mut attempts = Attempts::new(&of_group, "TxnOffsetCommit", deadline);
        loop {
            let attempt = async {
                let answer = of_group.call_at_most(max, &request, timeout).await?;
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                let mut codes = partitions.map(|partition| partition.error_code);
                codes.try_for_each(|code| {
                    ErrorCode::check(code, || format!("TxnOffsetCommit of group {}", group.group))
                })
            };
            match attempt.await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(self.fenced(of_moved_group(group, error))).await?,
            }
        }
    }

    /// Puts the group's offsets into the transaction.
    async fn join_group(&self, group: &GroupMetadata, deadline: Instant) -> Result<(), ClientError> {
        let timeout = self.coordinator.client.options().request_timeout;
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(self.identity.id))
            .with_producer_epoch(self.identity.epoch)
            .with_group_id(GroupId(text(&group.group)));
        let mut attempts = Attempts::new(&self.coordinator, "AddOffsetsToTxn", deadline);
        loop {
            let attempt = async {
                let answer = self.coordinator.call(&request, timeout).await?;
                check(&self.coordinator, answer.error_code, "AddOffsetsToTxn")
            };
            match attempt.await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    fn offsets_request(
        &self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, i64)],
    ) -> TxnOffsetCommitRequest {
        let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for (partition, offset) in offsets {
            let committed = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(text("")));
            topics.entry(&partition.topic).or_default().push(committed);
        }
        let topic = |(name, partitions)| {
            TxnOffsetCommitRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions)
        };
        TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(GroupId(text(&group.group)))
            .with_producer_id(ProducerId(self.identity.id))
            .with_producer_epoch(self.identity.epoch)
            .with_generation_id(group.generation)
            .with_member_id(text(&group.member))
            .with_topics(topics.into_iter().map(topic).collect())
    }

    /// Ends the transaction; the identity from then on. Nothing is asked if nothing is in it.
    pub(super) async fn end(&self, commit: bool, deadline: Instant) -> Result<Identity, ClientError> {
        if !self.lock().begun {
            return Ok(self.identity);
        }
        let request = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(self.identity.id))
            .with_producer_epoch(self.identity.epoch)
            .with_committed(commit);
        let timeout = self.coordinator.client.options().request_timeout;
        let max = if self.bumps_epoch { i16::MAX } else { 4 };
        let mut attempts = Attempts::new(&self.coordinator, "EndTxn", deadline);
        let next = loop {
            let attempt = async {
                let answer = self.coordinator.call_at_most(max, &request, timeout).await?;
                check(&self.coordinator, answer.error_code, "EndTxn")?;
                Ok::<_, ClientError>(Identity { id: answer.producer_id.0, epoch: answer.producer_epoch })
            };
            match attempt.await {
                // Transactions of version 1 keep the identity, and tell none.
                Ok(next) => break if next.id < 0 { self.identity } else { next },
                // Nothing reached the coordinator, or a commit did: there is nothing to abort.
                Err(error) if !commit && error.code() == Some(ResponseError::InvalidTxnState) => {
                    break self.identity;
                }
                Err(error) => attempts.after(error).await?,
            }
        };
        self.lock().begun = false;
        Ok(next)
    }

    /// The next transaction of this identity begins without partitions.
    pub(super) async fn forget_partitions(&self) {
        self.joined.lock().await.clear();
    }

    pub(super) fn attempt(&self) -> Attempt<'_> {
        self.lock().begun = true;
        Attempt { session: self, settled: false }
    }

    /// What failed first.
    pub(super) fn failure(&self) -> Option<ClientError> {
        self.lock().failure.clone()
    }

    pub(super) fn fenced(&self, error: ClientError) -> ClientError {
        fenced(&self.coordinator.group, error)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    pub(super) fn succeeded(mut self) {
        self.settled = true;
    }

    pub(super) fn failed(mut self, error: &ClientError) {
        self.settled = true;
        self.session.lock().failure.get_or_insert_with(|| error.clone());
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let why = "something of this transaction was given up before its end was known: abort it";
            self.session.lock().failure.get_or_insert_with(|| ClientError::Usage(why.to_owned()));
        }
    }
}

/// Attempts at one request to a coordinator.
pub(super) struct Attempts<'a> {
    coordinator: &'a Coordinator,
    backoff: Backoff,
    deadline: Instant,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(coordinator: &'a Coordinator, what: &str, deadline: Instant) -> Self {
        let backoff = coordinator.client.backoff(&format!("{what} of {}", coordinator.group));
        Self { coordinator, backoff, deadline }
    }

    /// Waits before the next attempt; hands the error back if it is final or the time is over.
    pub(super) async fn after(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.coordinator.note(&error);
        let delay = self.backoff.next_delay();
        if !error.is_retryable() || Instant::now() + delay >= self.deadline {
            return Err(error);
        }
        sleep(delay).await;
        Ok(())
    }
}

/// The error a coordinator answered with; fencing is told as such by a coordinator of transactions.
pub(super) fn check(coordinator: &Coordinator, code: i16, what: &str) -> Result<(), ClientError> {
    let checked = ErrorCode::check(code, || format!("{what} of {}", coordinator.group));
    checked.map_err(|error| fenced(&coordinator.group, error))
}

/// The errors that say that the group has moved on, as such.
fn of_moved_group(group: &GroupMetadata, error: ClientError) -> ClientError {
    match error {
        ClientError::Refused { code, .. }
            if matches!(
                code.0,
                ResponseError::UnknownMemberId
                    | ResponseError::IllegalGeneration
                    | ResponseError::FencedInstanceId
            ) =>
        {
            ClientError::Fenced { group: group.group.clone(), code }
        }
        error => error,
    }
}
