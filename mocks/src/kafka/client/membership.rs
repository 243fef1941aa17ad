//! The life of a group member: join, get an assignment, live, give it up, join again.
//!
//! A task of its own, so that heartbeats go on while the user handles records. It shares one small state with
//! the consumer: events for the user on one side, the user's consent to a revocation on the other.
//!
//! Invariants: `Revoked` is followed by a join only after the user has called `next` again, or after the
//! group has thrown the member out (`Lost`); records of partitions that were given up are never delivered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::assignor;
use super::backoff::Backoff;
use super::consumer::{ConsumerOptions, Event};
use super::coordinator::Coordinator;
use super::error::{ClientError, ErrorCode};
use super::fetcher::{Fetcher, Position, Start};
use super::group::{self, Generation, Joined};
use super::types::TopicPartition;

/// What the consumer and the membership's task share.
pub(super) struct Membership {
    pub(super) options: ConsumerOptions,
    pub(super) coordinator: Coordinator,
    pub(super) fetcher: Fetcher,
    state: Mutex<State>,
    /// Tells the consumer that there is an event or a failure.
    changed: Notify,
    /// Tells the task that the user has consented, or that a commit was refused.
    told: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    generation: Option<Generation>,
    /// The id the coordinator knows this member by; empty before it gave one and after it forgot it.
    member: String,
    owned: Vec<TopicPartition>,
    revocation: Revocation,
    failure: Option<ClientError>,
}

/// How far the giving up of partitions has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Revocation {
    #[default]
    None,
    /// The event waits for the user.
    Announced,
    /// The user has it and may finish work and commit.
    Delivered,
    /// The user has called `next` again.
    Consented,
}

/// Why a member's time in a generation is over.
enum Ended {
    /// The group rebalances; the partitions are still ours until we join again.
    Rebalance,
    /// The group has gone on without us.
    Lost { keep_member: bool },
    /// The user has consented to the revocation.
    Consented,
}

impl Membership {
    pub(super) fn new(options: ConsumerOptions, coordinator: Coordinator, fetcher: Fetcher) -> Self {
        let (state, changed, told) = Default::default();
        Self { options, coordinator, fetcher, state, changed, told }
    }

    /// The next event, if there is one. Calling it is the consent to the revocation delivered last.
    pub(super) fn take_event(&self) -> Result<Option<Event>, ClientError> {
        let mut state = self.lock();
        if state.revocation == Revocation::Delivered {
            state.revocation = Revocation::Consented;
            state.owned.clear();
            self.fetcher.assign(BTreeMap::new());
            self.told.notify_one();
        }
        let event = state.events.pop_front();
        if matches!(event, Some(Event::Revoked(_))) {
            state.revocation = Revocation::Delivered;
        }
        match event {
            None => state.failure.clone().map_or(Ok(None), Err),
            event => Ok(event),
        }
    }

    /// Waits until there may be an event.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What this member speaks for.
    pub(super) fn generation(&self) -> Option<Generation> {
        self.lock().generation.clone()
    }

    /// The id the coordinator knows this member by, also while it still joins; empty if there is none.
    pub(super) fn member(&self) -> String {
        self.lock().member.clone()
    }

    /// Makes the task ask the coordinator now how things stand.
    pub(super) fn check_now(&self) {
        self.told.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, partitions: Vec<TopicPartition>, positions: BTreeMap<TopicPartition, Start>) {
        let mut state = self.lock();
        state.revocation = Revocation::None;
        state.owned.clone_from(&partitions);
        self.fetcher.assign(positions);
        if !partitions.is_empty() {
            state.events.push_back(Event::Assigned(partitions));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Starts a revocation; `false` if nothing is owned and nobody need be asked.
    fn revoke(&self) -> bool {
        let mut state = self.lock();
        if state.owned.is_empty() {
            return false;
        }
        state.revocation = Revocation::Announced;
        let owned = state.owned.clone();
        state.events.push_back(Event::Revoked(owned));
        drop(state);
        self.changed.notify_one();
        true
    }

    fn lose(&self, keep_member: bool) {
        let mut state = self.lock();
        if !keep_member {
            state.member.clear();
        }
        self.fetcher.assign(BTreeMap::new());
        state.generation = None;
        if state.revocation == Revocation::Announced {
            state.events.retain(|event| !matches!(event, Event::Revoked(_)));
        }
        state.revocation = Revocation::None;
        let owned = std::mem::take(&mut state.owned);
        if !owned.is_empty() {
            state.events.push_back(Event::Lost(owned));
        }
        drop(state);
        self.changed.notify_one();
    }

    fn fail(&self, error: ClientError) {
        self.lock().failure.get_or_insert(error);
        self.changed.notify_one();
    }
}

/// Runs until aborted, or until the group refuses this member for good.
pub(super) async fn run(membership: Arc<Membership>) {
    let client = &membership.coordinator.client;
    let name = format!("group {} {}", membership.options.group, client.options().client_id);
    let mut member = Member { backoff: client.backoff(&name), membership: &membership, counts: None };
    loop {
        let ended = match member.generation().await {
            Ok(()) => member.live().await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            // What is owned stays owned until the group notices; there is nobody left to tell it.
            membership.fail(error);
            return;
        }
    }
}

/// The task's own state.
struct Member<'a> {
    membership: &'a Membership,
    backoff: Backoff,
    /// If this member leads: how many partitions each topic had when it assigned them.
    counts: Option<BTreeMap<String, i32>>,
}

impl Member<'_> {
    /// Joins until there is an assignment, and announces it. An error is final.
    async fn generation(&mut self) -> Result<(), ClientError> {
        loop {
            match self.join_once().await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => self.after_failed_join(error).await?,
            }
        }
    }

    /// `false` if it has to be tried again at once.
    async fn join_once(&mut self) -> Result<bool, ClientError> {
        let Membership { options, coordinator, .. } = self.membership;
        let id = self.membership.member();
        let (generation, leading) = match group::join(coordinator, options, &id).await? {
            Joined::Again(id) => {
                self.membership.lock().member = id;
                return Ok(false);
            }
            Joined::Member { generation, leading } => (generation, leading),
        };
        self.membership.lock().member.clone_from(&generation.member);
        self.counts = None;
        let mut assignments = BTreeMap::new();
        if let Some(subscriptions) = leading {
            let counts = self.count_partitions(subscriptions.values().flatten()).await?;
            assignments = assignor::range(&subscriptions, &counts);
            self.counts = Some(counts);
        }
        let partitions = group::sync(coordinator, options, &generation, &assignments).await?;
        let committed = self.committed(&partitions).await?;
        let reset = (Position::Ask(options.auto_offset_reset.spec()), -1);
        let position = |partition: &TopicPartition| {
            let committed = committed.get(partition).copied().flatten();
            let at = committed.map(|(offset, epoch)| (Position::Offset(offset), epoch));
            let (position, leader_epoch) = at.unwrap_or(reset);
            (partition.clone(), Start { position, leader_epoch })
        };
        let positions = partitions.iter().map(position).collect();
        self.membership.lock().generation = Some(generation);
        self.membership.announce(partitions, positions);
        self.backoff.reset();
        Ok(true)
    }

    /// Waits before the next join, or answers why there will be none.
    async fn after_failed_join(&mut self, error: ClientError) -> Result<(), ClientError> {
        tracing::debug!(group = %self.membership.options.group, %error, "join failed");
        match error.code() {
            Some(ResponseError::UnknownMemberId) => self.membership.lock().member.clear(),
            Some(ResponseError::IllegalGeneration | ResponseError::RebalanceInProgress) => {}
            _ if error.is_retryable() => {}
            _ => return Err(error),
        }
        self.backoff.wait().await;
        Ok(())
    }

    /// Committed offsets; transient failures are retried here, because the generation stands.
    async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<(i64, i32)>>, ClientError> {
        let isolation = self.membership.options.isolation;
        loop {
            match group::committed(&self.membership.coordinator, partitions, isolation).await {
                Err(error) if error.is_retryable() => self.backoff.wait().await,
                committed => return committed,
            }
        }
    }

    /// Lives in a generation until the partitions are given up or lost.
    async fn live(&mut self) -> Result<(), ClientError> {
        let ended = match self.beat(false).await? {
            Ended::Rebalance if self.membership.revoke() => self.beat(true).await?,
            ended => ended,
        };
        if let Ended::Lost { keep_member } = ended {
            self.membership.lose(keep_member);
        }
        Ok(())
    }

    /// Sends heartbeats. While `revoking`, it is the user's consent that ends it, not the rebalance.
    async fn beat(&mut self, revoking: bool) -> Result<Ended, ClientError> {
        let Membership { options, coordinator, told, .. } = self.membership;
        let Some(generation) = self.membership.generation() else {
            return Ok(Ended::Lost { keep_member: false });
        };
        let mut next = Instant::now() + options.heartbeat_interval;
        loop {
            tokio::select! {
                biased;
                () = told.notified() => {}
                () = sleep_until(next) => {}
            }
            if self.membership.lock().revocation == Revocation::Consented {
                return Ok(Ended::Consented);
            }
            next = Instant::now() + options.heartbeat_interval;
            match group::heartbeat(coordinator, options, &generation).await {
                Ok(()) => self.backoff.reset(),
                Err(error) => match error.code() {
                    Some(ResponseError::RebalanceInProgress) if revoking => {}
                    Some(ResponseError::RebalanceInProgress) => return Ok(Ended::Rebalance),
                    Some(ResponseError::UnknownMemberId) => return Ok(Ended::Lost { keep_member: false }),
                    Some(ResponseError::IllegalGeneration) => return Ok(Ended::Lost { keep_member: true }),
                    _ if error.is_retryable() => {
                        next = next.min(Instant::now() + self.backoff.next_delay());
                    }
                    _ => return Err(error),
                },
            }
            if !revoking && self.partitions_changed().await {
                return Ok(Ended::Rebalance);
            }
        }
    }

    /// Whether this member leads and a topic has gained or lost partitions since it assigned them.
    async fn partitions_changed(&self) -> bool {
        let Some(counts) = &self.counts else { return false };
        // No answer is no change, and must not stand in the way of the next heartbeat.
        let patience: Duration = self.membership.options.heartbeat_interval;
        let now = timeout(patience, self.count_partitions(counts.keys())).await;
        now.is_ok_and(|now| now.is_ok_and(|now| now != *counts))
    }

    async fn count_partitions(
        &self,
        topics: impl Iterator<Item = &String>,
    ) -> Result<BTreeMap<String, i32>, ClientError> {
        let topics: std::collections::BTreeSet<&str> = topics.map(String::as_str).collect();
        let names: Vec<&str> = topics.iter().copied().collect();
        let image = self.membership.coordinator.client.metadata(&names).await?;
        let mut counts = BTreeMap::new();
        for topic in topics {
            let described = image.topics.get(topic);
            let error = described.and_then(|topic| topic.error);
            // A topic that is not there yet has no partitions; any other error would be taken for that.
            if let Some(code) = error.filter(|code| code.0 != ResponseError::UnknownTopicOrPartition) {
                return Err(ClientError::Refused { what: format!("metadata of {topic}"), code });
            }
            let count = described.map_or(0, |topic| topic.partitions.len());
            counts.insert(topic.to_owned(), i32::try_from(count).unwrap_or(i32::MAX));
        }
        Ok(counts)
    }
}

/// The error of a commit by somebody who is no member.
pub(super) fn not_a_member(group: &str) -> ClientError {
    ClientError::Fenced { group: group.to_owned(), code: ErrorCode(ResponseError::UnknownMemberId) }
}
