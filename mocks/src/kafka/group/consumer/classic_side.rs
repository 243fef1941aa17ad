//! Members of a consumer group that speak the classic protocol, while a group goes from one to the other.
//!
//! To them each member epoch is a generation in which they are alone: JoinGroup brings them to the group's
//! epoch and is answered at once, SyncGroup tells them what they hold, Heartbeat sends them to join again when
//! there is a step to take.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::super::assignor::Partitions;
use super::super::embedded::{self, CONSUMER, Subscription};
use super::super::{Join, JoinRefused, Joined, Sync, Synced, random_id};
use super::heartbeat::{Found, returned};
use super::{ClassicSide, Consumer, Env, GroupTimer, Member, MemberState};
use crate::kafka::image::Image;
use crate::kafka::options::ConsumerGroupMigration;

/// A member that joined, and what is to become of the group.
pub(crate) struct ClassicJoined {
    pub joined: Joined,
    /// The last member of the consumer protocol gave its place to it: the group may be a classic one.
    pub is_last: bool,
}

impl Consumer {
    /// A member of the classic protocol joins.
    pub fn join<W>(&mut self, env: &mut Env<'_, W>, join: &Join) -> Result<ClassicJoined, JoinRefused> {
        // Errors other than the one that brings an id tell none.
        let refuse = |error| JoinRefused { error, member_id: String::new() };
        if env.config.consumer.migration == ConsumerGroupMigration::Disabled {
            return Err(refuse(ResponseError::InconsistentGroupProtocol));
        }
        let is_unknown = join.member_id.is_empty();
        let id = if is_unknown { random_id(env.random) } else { join.member_id.clone() };
        self.check_room(env, &join.member_id).map_err(|(error, _)| refuse(error))?;
        if !self.speaks(join) {
            return Err(refuse(ResponseError::InconsistentGroupProtocol));
        }
        if is_unknown && join.needs_known_id && join.instance_id.is_none() {
            return Err(JoinRefused { error: ResponseError::MemberIdRequired, member_id: id });
        }
        let (found, is_last) = self.find_classic(env, &id, join, is_unknown).map_err(refuse)?;
        let first = join.protocols.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        let subscription =
            embedded::subscription(first).ok_or_else(|| refuse(ResponseError::UnknownServerError))?;
        let owned = by_id(&subscription, env.image);
        let mut member = found.before.clone();
        apply(join, &subscription, &mut member);
        let before = self.enter(env, &id, found);
        let changed = self.update(env, &id, before, member).changed;
        if !is_last {
            self.retarget(env);
        }
        if !is_last || self.assignment_epoch >= self.epoch {
            self.reconcile(env, &id, changed, Some(&owned));
        }
        self.cancel_timer(env, GroupTimer::MemberJoin(id.clone()));
        self.set_timer(env, GroupTimer::Session(id.clone()), join.session);
        self.set_timer(env, GroupTimer::MemberSync(id.clone()), join.rebalance);
        let joined = Joined {
            generation: self.members.get(&id).map_or(0, |member| member.epoch),
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: join.protocols.first().map(|(name, _)| name.clone()),
            leader: String::new(),
            member_id: id,
            members: Vec::new(),
            skip_assignment: false,
        };
        Ok(ClassicJoined { joined, is_last })
    }

    /// Whether every classic member knows one of its protocols.
    fn speaks(&self, join: &Join) -> bool {
        let classic = || self.members.values().filter_map(|member| member.classic.as_ref());
        let knows = |side: &ClassicSide, name: &str| side.protocols.iter().any(|(known, _)| known == name);
        let shared = |(name, _): &(String, Bytes)| classic().all(|side| knows(side, name));
        join.protocol_type == CONSUMER && join.protocols.iter().any(shared)
    }

    fn find_classic<W>(
        &self,
        env: &Env<'_, W>,
        id: &str,
        join: &Join,
        is_unknown: bool,
    ) -> Result<(Found, bool), ResponseError> {
        let held = self.members.get(id).cloned().unwrap_or_else(Member::new);
        let Some(instance) = &join.instance_id else {
            return Ok((Found { before: held, replaces: None }, false));
        };
        let is_last = self.instance(instance).is_some_and(|(holder, member)| {
            let others = || self.members.iter().filter(|(id, _)| *id != holder);
            let all_classic = others().all(|(_, member)| member.classic.is_some());
            member.classic.is_none() && all_classic && self.may_downgrade(env, self.members.len())
        });
        if !is_unknown {
            let before = self.fixed(id, instance).map_err(|(error, _)| error)?.clone();
            return Ok((Found { before, replaces: None }, is_last));
        }
        let found = match self.instance(instance) {
            None => Found { before: held, replaces: None },
            Some((holder, member)) => Found { before: returned(member), replaces: Some(holder.clone()) },
        };
        Ok((found, is_last))
    }

    /// Whether the settings let a group of that size become a classic one.
    pub fn may_downgrade<W>(&self, env: &Env<'_, W>, size: usize) -> bool {
        env.config.consumer.migration.downgrades() && size <= env.config.max_size
    }

    /// A member of the classic protocol asks for what it holds.
    pub fn sync<W>(&mut self, env: &mut Env<'_, W>, sync: Sync) -> Result<Synced, ResponseError> {
        let (id, instance) = (&sync.member_id, sync.instance_id.as_deref());
        let (member, side) = self.classic_member(id, instance)?;
        if sync.generation != member.epoch {
            return Err(ResponseError::IllegalGeneration);
        }
        let (name, metadata) = side.protocols.first().ok_or(ResponseError::UnknownServerError)?;
        let differs = |told: &Option<String>, ours: &str| told.as_deref().is_some_and(|told| told != ours);
        if differs(&sync.protocol_type, CONSUMER) || differs(&sync.protocol, name) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if self.assignment_epoch > member.epoch && member.state != MemberState::Unrevoked {
            self.expect_join(env, id, member);
            return Err(ResponseError::RebalanceInProgress);
        }
        let version = embedded::version(metadata.clone()).ok_or(ResponseError::UnknownServerError)?;
        let named = |(topic, numbers): (&uuid::Uuid, &BTreeMap<i32, i32>)| {
            Some((env.image.ids.get(topic)?.clone(), numbers.keys().copied().collect()))
        };
        let assignment =
            embedded::write_assigned(version, &member.assigned.iter().filter_map(named).collect());
        self.cancel_timer(env, GroupTimer::MemberSync(id.clone()));
        self.set_timer(env, GroupTimer::Session(id.clone()), side.session);
        Ok(Synced { protocol_type: sync.protocol_type, protocol: sync.protocol, assignment })
    }

    /// A member of the classic protocol says it lives.
    pub fn beat<W>(
        &mut self,
        env: &mut Env<'_, W>,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let (member, side) = self.classic_member(id, instance)?;
        if generation != member.epoch {
            return Err(ResponseError::IllegalGeneration);
        }
        self.set_timer(env, GroupTimer::Session(id.to_owned()), side.session);
        let can_go_on = match member.state {
            MemberState::Stable => false,
            MemberState::Unrevoked => true,
            MemberState::Unreleased => !self.waits_for_others(id, member),
        };
        if member.epoch < self.assignment_epoch || can_go_on {
            self.expect_join(env, id, member);
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    fn classic_member(
        &self,
        id: &str,
        instance: Option<&str>,
    ) -> Result<(&Member, &ClassicSide), ResponseError> {
        let member = match instance {
            None => self.members.get(id).ok_or(ResponseError::UnknownMemberId)?,
            Some(instance) => self.fixed(id, instance).map_err(|(error, _)| error)?,
        };
        Ok((member, member.classic.as_ref().ok_or(ResponseError::UnknownMemberId)?))
    }

    /// Whether somebody else still holds what this member is to get.
    fn waits_for_others(&self, id: &str, member: &Member) -> bool {
        let target: Partitions = self.target(id);
        let mut all =
            target.iter().flat_map(|(topic, numbers)| numbers.iter().map(|number| (*topic, *number)));
        all.any(|(topic, number)| {
            let has = member.assigned.get(&topic).is_some_and(|numbers| numbers.contains_key(&number));
            !has && self.holders.contains_key(&(topic, number))
        })
    }

    /// Gives a member its time to join again, which begins once.
    fn expect_join<W>(&self, env: &mut Env<'_, W>, id: &str, member: &Member) {
        let timer = GroupTimer::MemberJoin(id.to_owned());
        if env.timers.at(&(self.id.clone(), timer.clone())).is_none() {
            self.set_timer(env, timer, member.rebalance);
        }
    }
}

fn apply(join: &Join, subscription: &Subscription, member: &mut Member) {
    if join.instance_id.is_some() {
        member.instance_id.clone_from(&join.instance_id);
    }
    if subscription.rack.is_some() {
        member.rack.clone_from(&subscription.rack);
    }
    member.rebalance = join.rebalance;
    member.topics.clone_from(&subscription.topics);
    // A classic member cannot subscribe by an expression.
    member.regex.clear();
    member.client_id.clone_from(&join.client_id);
    member.client_host.clone_from(&join.client_host);
    member.classic = Some(ClassicSide { session: join.session, protocols: join.protocols.clone() });
}

/// What a member says it holds, of the topics that exist.
fn by_id(subscription: &Subscription, image: &Image) -> Partitions {
    let find = |(name, numbers): (&String, &Vec<i32>)| {
        Some((image.topics.get(name)?.id, numbers.iter().copied().collect()))
    };
    subscription.owned.iter().filter_map(find).collect()
}
