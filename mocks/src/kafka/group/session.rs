//! SyncGroup, Heartbeat and LeaveGroup: life within a generation.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Env, Group, GroupState, GroupTimer, Reply, Waiting};

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// The leader's assignment of every member.
    pub assignments: BTreeMap<String, Bytes>,
}

impl<W: Copy> Group<W> {
    /// Gives a member its assignment, now or when the leader has made it.
    pub fn sync(&mut self, env: &mut Env<'_, W>, waiter: W, sync: Sync) {
        if let Err(error) = self.try_sync(env, waiter, sync) {
            env.replies.push((waiter, Reply::Sync(Err(error))));
        }
    }

    fn try_sync(&mut self, env: &mut Env<'_, W>, waiter: W, sync: Sync) -> Result<(), ResponseError> {
        self.current(&sync.member_id, sync.instance_id.as_deref(), sync.generation)?;
        let differs = |told: &Option<String>, ours: &Option<String>| told.is_some() && told != ours;
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match self.state {
            GroupState::Empty => return Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance => return Err(ResponseError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => {}
        }
        self.unsynced.remove(&sync.member_id);
        if self.unsynced.is_empty() {
            self.cancel_timer(env, GroupTimer::Sync);
        }
        // An earlier request of the same member, on a connection that broke, is answered too.
        self.answer_sync(env, &sync.member_id, Err(ResponseError::RebalanceInProgress));
        if let Some(member) = self.members.get_mut(&sync.member_id) {
            member.waiting = Some(Waiting::Sync(waiter));
        }
        if self.state == GroupState::Stable {
            self.answer_sync(env, &sync.member_id, Ok(()));
            self.touch(env, &sync.member_id);
        } else if self.is_leader(&sync.member_id) {
            self.assign(env, sync.assignments);
        }
        Ok(())
    }

    fn assign(&mut self, env: &mut Env<'_, W>, mut assignments: BTreeMap<String, Bytes>) {
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        self.state = GroupState::Stable;
        self.persist();
        env.events.push(format!("group {} is stable in generation {}", self.id, self.generation));
        for id in self.member_ids() {
            self.answer_sync(env, &id, Ok(()));
            self.touch(env, &id);
        }
    }

    /// A member says it lives.
    pub fn heartbeat(
        &mut self,
        env: &mut Env<'_, W>,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.current(member_id, instance_id, generation)?;
        match self.state {
            GroupState::Empty => Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance => {
                self.touch(env, member_id);
                Err(ResponseError::RebalanceInProgress)
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.touch(env, member_id);
                Ok(())
            }
        }
    }

    /// A member goes. A static member may be named by its instance alone.
    pub fn leave(
        &mut self,
        env: &mut Env<'_, W>,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let holder = instance_id.and_then(|instance| self.instances.get(instance)).cloned();
        let id = match holder {
            Some(holder) if member_id.is_empty() => holder,
            _ => member_id.to_owned(),
        };
        if self.pending.remove(&id) {
            self.cancel_timer(env, GroupTimer::Session(id));
            self.try_complete(env);
            return Ok(());
        }
        self.known(&id, instance_id)?;
        env.events.push(format!("group {} is left by {id}", self.id));
        self.drop_member(env, &id);
        self.rebalance(env);
        Ok(())
    }

    pub(super) fn expire_session(&mut self, env: &mut Env<'_, W>, id: &str) {
        if self.pending.remove(id) {
            self.try_complete(env);
            return;
        }
        let Some(member) = self.members.get(id) else { return };
        // Whoever waits for our answer cannot be expected to send anything. A member that never was in a
        // generation has no session yet, only the time a new member may wait.
        let was_in = self.stored.has(id) || self.state != GroupState::PreparingRebalance;
        if member.waiting.is_some() && was_in {
            return;
        }
        env.events.push(format!("group {} drops {id}: its session expired", self.id));
        self.drop_member(env, id);
        self.rebalance(env);
    }
}
