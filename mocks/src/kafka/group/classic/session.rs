//! SyncGroup, Heartbeat and LeaveGroup: life within a generation.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Classic, Env, GroupTimer, Reply, State, Waiting};

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

impl<W: Copy> Classic<W> {
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
            State::Empty => return Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => return Err(ResponseError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => {}
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
        if self.state == State::Stable {
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
        self.state = State::Stable;
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
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => {
                self.touch(env, member_id);
                Err(ResponseError::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.touch(env, member_id);
                Ok(())
            }
        }
    }

    /// Members go: by their ids, static ones perhaps by their instance alone. One rebalance follows.
    pub fn leave(
        &mut self,
        env: &mut Env<'_, W>,
        leaving: &[(String, Option<String>)],
    ) -> Vec<Result<(), ResponseError>> {
        let left: Vec<_> =
            leaving.iter().map(|(id, instance)| self.go(env, id, instance.as_deref())).collect();
        if left.iter().any(Result::is_ok) && self.state != State::Empty {
            self.rebalance(env);
        }
        left
    }

    fn go(&mut self, env: &mut Env<'_, W>, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let holder = instance.and_then(|instance| self.instances.get(instance)).cloned();
        let id = holder.filter(|_| id.is_empty()).unwrap_or_else(|| id.to_owned());
        if self.pending.remove(&id) {
            self.cancel_timer(env, GroupTimer::Session(id));
            return Ok(());
        }
        self.known(&id, instance)?;
        env.events.push(format!("group {} is left by {id}", self.id));
        self.drop_member(env, &id);
        Ok(())
    }

    pub(super) fn expire_session(&mut self, env: &mut Env<'_, W>, id: &str) {
        if self.pending.remove(id) {
            self.complete_if_all_joined(env);
            return;
        }
        let Some(member) = self.members.get(id) else { return };
        // Whoever waits for our answer cannot be expected to send anything, except that a new member's
        // JoinGroup must not wait for ever.
        if member.waiting.is_some() && !member.is_new {
            return;
        }
        env.events.push(format!("group {} drops {id}: its session expired", self.id));
        self.drop_member(env, id);
        match self.state {
            State::Stable | State::CompletingRebalance => self.rebalance(env),
            State::PreparingRebalance | State::Empty => self.complete_if_all_joined(env),
        }
    }
}
