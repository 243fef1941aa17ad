//! A classic consumer group as its coordinator keeps it.
//!
//! A state machine without I/O: calls change it, answers to members that wait leave through [`Env::replies`],
//! timeouts come back through [`Group::expire`]. The rules are those of Kafka's `GroupCoordinator` (3.x) and
//! `GroupMetadataManager` (4.x, classic protocol): generations, member ids given before joining, session and
//! rebalance timeouts, the initial delay, static members. Groups of the new consumer protocol (KIP-848) are
//! not kept here, and offsets do not expire.

mod join;
mod offsets;
mod pending_offsets;
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

use super::snapshot::GroupState;
use super::timers::Timers;
pub(crate) use join::Join;
pub(crate) use offsets::{Commit, Committed, METADATA_MAX};
pub(crate) use pending_offsets::PendingOffsets;
pub(crate) use session::Sync;
use store::Stored;

/// A timeout of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupTimer {
    /// A member, or a member id given out, was not heard of.
    Session(String),
    /// The members had their time to join.
    Rebalance,
    /// The members had their time to ask for their assignment.
    Sync,
}

/// Limits and delays of all groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupConfig {
    pub initial_delay: Duration,
    pub session_min: Duration,
    pub session_max: Duration,
    pub max_size: usize,
}

/// What surrounds a group during a call. `W` names an answer somebody waits for.
pub(crate) struct Env<'a, W> {
    pub now: Duration,
    pub config: GroupConfig,
    pub timers: &'a mut Timers<(String, GroupTimer)>,
    pub replies: &'a mut Vec<(W, Reply)>,
    pub random: &'a mut ChaCha8Rng,
    pub events: &'a mut Vec<String>,
}

/// An answer to a member that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, ResponseError>),
}

/// A member's place in a new generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    pub member_id: String,
    /// Id, instance id and metadata of every member; for the leader only.
    pub members: Vec<(String, Option<String>, Bytes)>,
    pub skip_assignment: bool,
}

/// Why a member did not get in. The member id is one to come again with, if the error says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinRefused {
    pub error: ResponseError,
    pub member_id: String,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Bytes,
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group<W> {
    pub id: String,
    pub state: GroupState,
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
    pub offsets: BTreeMap<(String, i32), Committed>,
    pub pending_offsets: PendingOffsets,
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
    session: Duration,
    rebalance: Duration,
    /// Assignors it knows, the preferred one first, with its subscription for each.
    protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
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

impl<W: Copy> Group<W> {
    /// An empty group.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            first_round: None,
            offsets: BTreeMap::new(),
            pending_offsets: PendingOffsets::default(),
            stored: Stored::default(),
        }
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
    fn current(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.known(member_id, instance_id)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// Starts the member's session time anew.
    fn touch(&self, env: &mut Env<'_, W>, member_id: &str) {
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
