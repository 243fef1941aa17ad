//! A group whose members assign: one of them, the leader, tells the coordinator who gets what.
//!
//! The assignment and the subscriptions are the members' own affair, so cooperative assignors need nothing
//! here. The rules are those of Kafka's `ClassicGroup`: generations, member ids given before joining, session
//! and rebalance timeouts, the initial delay, static members. What is read of the bytes are the topics of
//! consumers, because offsets of a topic that is read neither expire nor may be deleted.

mod join;
mod rebalance;
mod session;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::embedded::{self, CONSUMER};
use super::{Env, GroupState, GroupTimer, JoinRefused, Joined, Reply, Synced};
pub(crate) use join::Join;
pub(crate) use session::Sync;
pub(crate) use store::Seat;
use store::Stored;

/// Where a group is between two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; offsets may be there.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl State {
    /// The state as it is told.
    pub fn told(self) -> GroupState {
        match self {
            Self::Empty => GroupState::Empty,
            Self::PreparingRebalance => GroupState::PreparingRebalance,
            Self::CompletingRebalance => GroupState::CompletingRebalance,
            Self::Stable => GroupState::Stable,
        }
    }
}

/// A group.
#[derive(Debug)]
pub(crate) struct Classic<W> {
    pub id: String,
    pub state: State,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub members: IndexMap<String, Member<W>>,
    /// Member id of each static member.
    instances: BTreeMap<String, String>,
    /// Member ids given out whose members have not joined yet.
    pending: BTreeSet<String>,
    /// Members of this generation that have not asked for their assignment.
    unsynced: BTreeSet<String>,
    /// While the group waits for its first members: what is left of their time, and whether one came.
    first_round: Option<FirstRound>,
    /// Topics its consumers read in this generation; none if that is not known.
    subscribed: Option<BTreeSet<String>>,
    /// Since when it has no members, Unix milliseconds; none while it has some, or never had any.
    pub empty_since_ms: Option<i64>,
    stored: Stored,
}

#[derive(Clone, Copy, Debug)]
struct FirstRound {
    remaining: Duration,
    joined: bool,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member<W> {
    pub client_id: String,
    pub client_host: String,
    pub instance_id: Option<String>,
    pub session: Duration,
    pub rebalance: Duration,
    /// Assignors it knows, the preferred one first, with its subscription for each.
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
    /// It never was in a generation: its time runs although it waits.
    is_new: bool,
    waiting: Option<Waiting<W>>,
}

/// The request of a member that was not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting<W> {
    Join(W),
    Sync(W),
}

impl<W> Member<W> {
    fn awaits_join(&self) -> bool {
        matches!(self.waiting, Some(Waiting::Join(_)))
    }

    /// Its subscription for `protocol`.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

impl<W: Copy> Classic<W> {
    /// An empty group.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            first_round: None,
            subscribed: None,
            empty_since_ms: None,
            stored: Stored::default(),
        }
    }

    /// Whether its members are consumers.
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Topics its consumers read; none if that is not known.
    pub fn subscribed(&self) -> Option<&BTreeSet<String>> {
        self.subscribed.as_ref()
    }

    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or_else(|| self.is_of_consumers(), |topics| topics.contains(topic))
    }

    /// Reads the members' topics anew.
    fn read_subscriptions(&mut self) {
        self.subscribed = None;
        if !self.is_of_consumers() {
            return;
        }
        let protocol = self.protocol.clone().unwrap_or_default();
        let read = |member: &Member<W>| embedded::subscription(member.metadata(&protocol));
        let all: Option<Vec<_>> = self.members.values().map(read).collect();
        self.subscribed = all.map(|all| all.into_iter().flat_map(|one| one.topics).collect());
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The member's id if `member_id` and `instance_id` name one of this group.
    fn known(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance_id {
            let holder = self.instances.get(instance).ok_or(ResponseError::UnknownMemberId)?;
            return if holder == member_id { Ok(()) } else { Err(ResponseError::FencedInstanceId) };
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// As [`known`](Self::known), of this generation.
    pub(super) fn current(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.known(member_id, instance_id)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// Starts the member's session time anew.
    pub(super) fn touch(&self, env: &mut Env<'_, W>, member_id: &str) {
        if let Some(member) = self.members.get(member_id) {
            self.set_timer(env, GroupTimer::Session(member_id.to_owned()), member.session);
        }
    }

    fn set_timer(&self, env: &mut Env<'_, W>, timer: GroupTimer, after: Duration) {
        env.timers.set((self.id.clone(), timer), env.now.saturating_add(after));
    }

    fn cancel_timer(&self, env: &mut Env<'_, W>, timer: GroupTimer) {
        env.timers.cancel(&(self.id.clone(), timer));
    }

    /// Answers the member's JoinGroup, if it waits for that.
    fn answer_join(&mut self, env: &mut Env<'_, W>, id: &str, answer: Result<Joined, JoinRefused>) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(Waiting::Join(waiter)) = member.waiting {
            member.waiting = None;
            env.replies.push((waiter, Reply::Join(answer)));
        }
    }

    /// Answers the member's SyncGroup, if it waits for that.
    fn answer_sync(&mut self, env: &mut Env<'_, W>, id: &str, answer: Result<(), ResponseError>) {
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(Waiting::Sync(waiter)) = member.waiting {
            member.waiting = None;
            let assignment = member.assignment.clone();
            let synced = answer.map(|()| Synced { protocol_type, protocol, assignment });
            env.replies.push((waiter, Reply::Sync(synced)));
            // Its session may have run out while it waited, which was excused; from now on it counts again.
            self.touch(env, id);
        }
    }

    fn member_ids(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }
}

/// A member id as Kafka makes them: the instance's or client's id and a random part.
fn new_member_id(random: &mut ChaCha8Rng, client_id: &str, instance_id: Option<&str>) -> String {
    let unique = uuid::Builder::from_random_bytes(random.random()).into_uuid();
    format!("{}-{}", instance_id.unwrap_or(client_id), Uuid::hyphenated(unique))
}

#[cfg(test)]
mod tests;
