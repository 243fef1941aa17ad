//! What of a group is in the offsets topic, and so outlives its coordinator.
//!
//! Kafka writes a group's metadata when a generation has its assignment, when the group becomes empty and
//! when a static member is replaced; offsets are written with every commit. A new coordinator loads that: the
//! generation, its members and their assignments, with sessions begun anew, in state Stable or Empty. Members
//! need not join again. Joins under way are lost, and whoever waited for them hears NOT_COORDINATOR.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;

use super::{Env, Group, GroupState, GroupTimer, JoinRefused, Member, Reply, Waiting};

/// A group's metadata as it was written last.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: IndexMap<String, StoredMember>,
}

#[derive(Clone, Debug)]
struct StoredMember {
    client_id: String,
    client_host: String,
    instance_id: Option<String>,
    session: Duration,
    rebalance: Duration,
    protocols: Vec<(String, Bytes)>,
    assignment: Bytes,
}

impl Stored {
    pub fn has(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }
}

impl<W: Copy> Group<W> {
    /// Writes the group's metadata.
    pub(super) fn persist(&mut self) {
        let store = |(id, member): (&String, &Member<W>)| {
            let stored = StoredMember {
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                instance_id: member.instance_id.clone(),
                session: member.session,
                rebalance: member.rebalance,
                protocols: member.protocols.clone(),
                assignment: member.assignment.clone(),
            };
            (id.clone(), stored)
        };
        self.stored = Stored {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.iter().map(store).collect(),
        };
    }

    /// The coordinator goes: everybody who waits is told.
    pub fn unload(&mut self, env: &mut Env<'_, W>) {
        let error = ResponseError::NotCoordinator;
        for (id, member) in &mut self.members {
            let member_id = id.clone();
            match member.waiting.take() {
                Some(Waiting::Join(waiter)) => {
                    env.replies.push((waiter, Reply::Join(Err(JoinRefused { error, member_id }))));
                }
                Some(Waiting::Sync(waiter)) => env.replies.push((waiter, Reply::Sync(Err(error)))),
                None => {}
            }
        }
        for id in self.members.keys().chain(&self.pending) {
            env.timers.cancel(&(self.id.clone(), GroupTimer::Session(id.clone())));
        }
        self.cancel_timer(env, GroupTimer::Rebalance);
        self.cancel_timer(env, GroupTimer::Sync);
    }

    /// The group as a new coordinator finds it, its sessions begun now.
    pub fn load(&mut self, env: &mut Env<'_, W>) {
        let stored = self.stored.clone();
        let restore = |(id, member): (String, StoredMember)| {
            let member = Member {
                client_id: member.client_id,
                client_host: member.client_host,
                instance_id: member.instance_id,
                session: member.session,
                rebalance: member.rebalance,
                protocols: member.protocols,
                assignment: member.assignment,
                waiting: None,
            };
            (id, member)
        };
        self.members = stored.members.into_iter().map(restore).collect();
        let instance = |(id, member): (&String, &Member<W>)| Some((member.instance_id.clone()?, id.clone()));
        self.instances = self.members.iter().filter_map(instance).collect::<BTreeMap<_, _>>();
        self.state = if self.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        self.generation = stored.generation;
        self.protocol_type = stored.protocol_type;
        self.protocol = stored.protocol;
        self.leader = stored.leader;
        self.pending.clear();
        self.unsynced.clear();
        self.first_round = None;
        for id in self.member_ids() {
            self.touch(env, &id);
        }
    }
}
