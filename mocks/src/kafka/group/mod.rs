//! A group as its coordinator keeps it: its members, by one of two protocols, and its offsets.
//!
//! A state machine without I/O: calls change it, answers to members that wait leave through [`Env::replies`],
//! timeouts come back through [`Group::expire`]. `classic/` holds groups whose members assign (JoinGroup and
//! SyncGroup), `consumer/` those whose coordinator does (KIP-848), `migration.rs` makes the one from the other
//! while members live. The rules are those of Kafka 4.3's `GroupMetadataManager`. Offsets belong to the group
//! whatever its protocol. Share groups and streams groups are not kept here.

pub(crate) mod assignor;
mod calls;
pub(crate) mod classic;
pub(crate) mod consumer;
pub(crate) mod embedded;
mod migration;
mod offsets;
mod pending_offsets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::image::Image;
use super::options::ConsumerGroupMigration;
use super::snapshot::GroupState;
use super::timers::Timers;
pub(crate) use assignor::Assignor;
pub(crate) use classic::{Classic, Join, Sync};
pub(crate) use consumer::{Beat, Beaten, Consumer};
pub(crate) use offsets::{Commit, Committed};
pub(crate) use pending_offsets::PendingOffsets;

/// A timeout of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupTimer {
    /// A member, or a member id given out, was not heard of.
    Session(String),
    /// The members of a classic group had their time to join.
    Rebalance,
    /// The members of a classic group had their time to ask for their assignment.
    Sync,
    /// A member of a consumer group had its time to give partitions back.
    Revocation(String),
    /// A member that speaks the classic protocol had its time to join a consumer group again.
    MemberJoin(String),
    /// Such a member had its time to ask for its assignment.
    MemberSync(String),
}

/// Limits and delays of all groups.
#[derive(Clone, Debug)]
pub(crate) struct GroupConfig {
    pub initial_delay: Duration,
    pub max_size: usize,
    pub offset_metadata_max: usize,
    pub offsets_retention: Duration,
    pub consumer: ConsumerConfig,
}

/// Settings of groups of the consumer protocol (`group.consumer.*`).
#[derive(Clone, Debug)]
pub(crate) struct ConsumerConfig {
    pub session: Duration,
    pub max_size: usize,
    /// The first one serves members that name none.
    pub assignors: Vec<Assignor>,
    pub migration: ConsumerGroupMigration,
    pub assignment_interval: Duration,
    pub regex_refresh: Duration,
}

/// What surrounds a group during a call. `W` names an answer somebody waits for.
pub(crate) struct Env<'a, W> {
    pub now: Duration,
    pub now_ms: i64,
    pub config: &'a GroupConfig,
    /// The cluster as the coordinator knows it.
    pub image: &'a Arc<Image>,
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

/// An error with the text Kafka gives it.
pub(crate) type Refused = (ResponseError, String);

/// A group.
#[derive(Debug)]
pub(crate) struct Group<W> {
    pub id: String,
    pub kind: Kind<W>,
    pub offsets: BTreeMap<(String, i32), Committed>,
    pub pending_offsets: PendingOffsets,
}

/// A group's protocol, with its members.
#[derive(Debug)]
pub(crate) enum Kind<W> {
    Classic(Classic<W>),
    Consumer(Consumer),
}

impl<W: Copy> Group<W> {
    /// An empty classic group.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            kind: Kind::Classic(Classic::new(id)),
            offsets: BTreeMap::new(),
            pending_offsets: PendingOffsets::default(),
        }
    }

    pub fn state(&self) -> GroupState {
        match &self.kind {
            Kind::Classic(group) => group.state.told(),
            Kind::Consumer(group) => group.state(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.state() == GroupState::Empty
    }

    /// The kind as requests name it.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Classic(_) => "classic",
            Kind::Consumer(_) => "consumer",
        }
    }

    /// What its members are: consumers or something else; empty if there never were any.
    pub fn protocol_type(&self) -> &str {
        match &self.kind {
            Kind::Classic(group) => group.protocol_type.as_deref().unwrap_or_default(),
            Kind::Consumer(_) => embedded::CONSUMER,
        }
    }

    pub fn classic(&self) -> Option<&Classic<W>> {
        if let Kind::Classic(group) = &self.kind { Some(group) } else { None }
    }

    pub fn consumer(&self) -> Option<&Consumer> {
        if let Kind::Consumer(group) = &self.kind { Some(group) } else { None }
    }

    /// Whether a member reads this topic; a group of consumers that cannot be understood reads any.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match &self.kind {
            Kind::Classic(group) => group.is_subscribed(topic),
            Kind::Consumer(group) => group.is_subscribed(topic),
        }
    }

    /// The coordinator goes: everybody who waits is told, and no timer stays.
    pub fn unload(&mut self, env: &mut Env<'_, W>) {
        match &mut self.kind {
            Kind::Classic(group) => group.retire(env, ResponseError::NotCoordinator),
            Kind::Consumer(group) => group.cancel_timers(env),
        }
    }

    /// The group as a new coordinator finds it, its sessions begun now.
    pub fn load(&mut self, env: &mut Env<'_, W>) {
        match &mut self.kind {
            Kind::Classic(group) => group.load(env),
            // Every change of such a group is written, so nothing of it is lost.
            Kind::Consumer(group) => group.load(env),
        }
    }
}

/// A random id as Kafka writes its own: 16 bytes in Base64 without padding, for use in addresses.
fn random_id(random: &mut ChaCha8Rng) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    loop {
        let number = uuid::Builder::from_random_bytes(random.random()).into_uuid().as_u128();
        let digit = |shift: u32| char::from(DIGITS[usize::try_from((number >> shift) & 63).unwrap_or(0)]);
        let last = char::from(DIGITS[usize::try_from((number << 4) & 63).unwrap_or(0)]);
        let id: String = (0..21).map(|place| digit(122 - 6 * place)).chain([last]).collect();
        // Kafka draws again, too: an id must not look like an option.
        if !id.starts_with('-') {
            return id;
        }
    }
}
