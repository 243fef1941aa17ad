//! From one generation to the next.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::{Classic, Env, FirstRound, GroupTimer, JoinRefused, State};

impl<W: Copy> Classic<W> {
    /// Begins a rebalance, or looks whether the one that runs is complete.
    pub(super) fn rebalance(&mut self, env: &mut Env<'_, W>) {
        match self.state {
            State::PreparingRebalance => self.try_complete(env),
            State::Empty => {
                self.state = State::PreparingRebalance;
                let delay = env.config.initial_delay;
                let remaining = self.rebalance_timeout().saturating_sub(delay);
                self.first_round = Some(FirstRound { remaining, joined: false });
                self.set_timer(env, GroupTimer::Rebalance, delay);
            }
            State::Stable | State::CompletingRebalance => {
                for id in self.member_ids() {
                    self.answer_sync(env, &id, Err(ResponseError::RebalanceInProgress));
                }
                self.cancel_timer(env, GroupTimer::Sync);
                self.unsynced.clear();
                self.state = State::PreparingRebalance;
                env.events.push(format!("group {} rebalances after generation {}", self.id, self.generation));
                self.set_timer(env, GroupTimer::Rebalance, self.rebalance_timeout());
                self.try_complete(env);
            }
        }
    }

    /// Completes the rebalance if every member has joined and nobody is expected.
    pub(super) fn try_complete(&mut self, env: &mut Env<'_, W>) {
        if self.first_round.is_none() {
            self.complete_if_all_joined(env);
        }
    }

    /// As [`try_complete`](Self::try_complete), but does not wait for others to come while there is time: that
    /// is what Kafka does when it drops one it waited for.
    pub(super) fn complete_if_all_joined(&mut self, env: &mut Env<'_, W>) {
        let all = self.members.values().all(super::Member::awaits_join) && self.pending.is_empty();
        if self.state == State::PreparingRebalance && all {
            self.complete(env);
        }
    }

    /// A timeout of this group has come; those of the other protocol are none of its own.
    pub fn expire(&mut self, env: &mut Env<'_, W>, timer: GroupTimer) {
        match timer {
            GroupTimer::Session(member_id) => self.expire_session(env, &member_id),
            GroupTimer::Rebalance => self.expire_rebalance(env),
            GroupTimer::Sync => self.expire_sync(env),
            GroupTimer::Revocation(_) | GroupTimer::MemberJoin(_) | GroupTimer::MemberSync(_) => {}
        }
    }

    fn expire_rebalance(&mut self, env: &mut Env<'_, W>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        if let Some(round) = self.first_round.filter(|round| round.joined && !round.remaining.is_zero()) {
            let delay = env.config.initial_delay.min(round.remaining);
            if !delay.is_zero() {
                let remaining = round.remaining.saturating_sub(delay);
                self.first_round = Some(FirstRound { remaining, joined: false });
                self.set_timer(env, GroupTimer::Rebalance, delay);
                return;
            }
        }
        self.complete(env);
    }

    /// Ends the joining: members that did not come are out, the others form the next generation.
    fn complete(&mut self, env: &mut Env<'_, W>) {
        self.first_round = None;
        self.cancel_timer(env, GroupTimer::Rebalance);
        for id in self.member_ids() {
            let stays = |member: &super::Member<W>| member.awaits_join() || member.instance_id.is_some();
            if !self.members.get(&id).is_some_and(stays) {
                self.drop_member(env, &id);
            }
        }
        self.elect();
        let leader_joined = self.leader.as_ref().and_then(|id| self.members.get(id));
        if !self.members.is_empty() && !leader_joined.is_some_and(super::Member::awaits_join) {
            // Static members only, none of which came: they keep their place until their sessions end.
            self.set_timer(env, GroupTimer::Rebalance, self.rebalance_timeout());
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(0);
        if self.members.is_empty() {
            self.protocol = None;
            self.read_subscriptions();
            self.state = State::Empty;
            self.empty_since_ms = Some(env.now_ms);
            self.persist();
            env.events.push(format!("group {} is empty, generation {}", self.id, self.generation));
            return;
        }
        self.protocol = self.select_protocol();
        self.read_subscriptions();
        self.state = State::CompletingRebalance;
        self.empty_since_ms = None;
        let size = self.members.len();
        env.events.push(format!("group {} has generation {} of {size}", self.id, self.generation));
        for id in self.member_ids() {
            let joined = self.joined(&id);
            self.answer_join(env, &id, Ok(joined));
            self.touch(env, &id);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
            self.unsynced.insert(id);
        }
        self.set_timer(env, GroupTimer::Sync, self.rebalance_timeout());
    }

    /// A leader that did not join again hands over to the first member that did.
    fn elect(&mut self) {
        let joined = |id: &String| self.members.get(id).is_some_and(super::Member::awaits_join);
        if !self.leader.as_ref().is_some_and(joined) {
            let next = self.members.keys().find(|id| joined(id)).or_else(|| self.members.keys().next());
            self.leader = next.cloned();
        }
    }

    fn expire_sync(&mut self, env: &mut Env<'_, W>) {
        if self.unsynced.is_empty() || self.state == State::PreparingRebalance {
            return;
        }
        for id in std::mem::take(&mut self.unsynced) {
            env.events.push(format!("group {} drops {id}: it did not ask for its assignment", self.id));
            self.drop_member(env, &id);
        }
        self.rebalance(env);
    }

    /// Forgets a member; whoever waits for it hears that it is unknown.
    pub(super) fn drop_member(&mut self, env: &mut Env<'_, W>, id: &str) {
        let error = ResponseError::UnknownMemberId;
        self.answer_join(env, id, Err(JoinRefused { error, member_id: String::new() }));
        self.answer_sync(env, id, Err(error));
        self.cancel_timer(env, GroupTimer::Session(id.to_owned()));
        self.unsynced.remove(id);
        let Some(member) = self.members.shift_remove(id) else { return };
        if let Some(instance) = member.instance_id {
            self.instances.remove(&instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// The longest time a member asked for.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance).max().unwrap_or_default()
    }

    /// The assignor most members prefer among those that all know; the leader's order breaks ties, where
    /// Kafka leaves the choice to the order of a hash map.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let knows = |member: &super::Member<W>, name: &str| member.protocols.iter().any(|(n, _)| n == name);
        let shared = |name: &str| self.members.values().all(|member| knows(member, name));
        let preferred = |member: &super::Member<W>| {
            member.protocols.iter().map(|(name, _)| name.clone()).find(|name| shared(name))
        };
        let votes: Vec<String> = self.members.values().filter_map(preferred).collect();
        let count = |name: &str| votes.iter().filter(|vote| *vote == name).count();
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id))?;
        let candidates = leader.protocols.iter().map(|(name, _)| name).filter(|name| shared(name));
        // `max_by_key` keeps the last of equals, so the order is turned round.
        candidates.rev().max_by_key(|name| count(name)).cloned()
    }
}
