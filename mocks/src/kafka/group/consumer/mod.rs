//! A group whose coordinator assigns: the consumer protocol of KIP-848.
//!
//! Every change of the members, of their subscriptions or of the topics they read makes a new group epoch; an
//! assignor computes a target for it, and each member is brought there by its heartbeats (`member.rs`). A
//! partition has one holder at most, and epochs never go back. Members that still speak the classic protocol
//! live beside the others (`classic_side.rs`). All of this is written at once in Kafka, so a new coordinator
//! loses nothing of it.

mod classic_side;
mod heartbeat;
mod member;
mod regex;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::assignor::{Assignor, Partitions, Spec, Subscriber};
use super::{Env, GroupState, GroupTimer, Refused};
use crate::kafka::image::Image;
pub(crate) use heartbeat::{AWAY, Beat, Beaten};
pub(crate) use member::{ClassicSide, Held, Member, MemberState};
use regex::Regexes;

/// A group of the consumer protocol.
#[derive(Debug)]
pub(crate) struct Consumer {
    id: String,
    pub epoch: i32,
    /// The epoch the target was computed for.
    pub assignment_epoch: i32,
    /// When that was; none if nobody knows.
    assigned_at: Option<Duration>,
    pub members: BTreeMap<String, Member>,
    /// Member id of each static member.
    instances: BTreeMap<String, String>,
    target: BTreeMap<String, Partitions>,
    /// Who holds each partition that is held.
    holders: BTreeMap<(Uuid, i32), String>,
    regexes: Regexes,
    /// Subscribed topics that exist, as of the last look: id and number of partitions.
    topics: BTreeMap<String, (Uuid, i32)>,
    /// The cluster as of that look.
    seen: Option<Arc<Image>>,
}

impl Consumer {
    /// An empty group.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            epoch: 0,
            assignment_epoch: 0,
            assigned_at: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            target: BTreeMap::new(),
            holders: BTreeMap::new(),
            regexes: Regexes::default(),
            topics: BTreeMap::new(),
            seen: None,
        }
    }

    /// A group as it comes from a classic one of that generation.
    pub fn from_members(id: &str, epoch: i32, members: BTreeMap<String, Member>, image: &Image) -> Self {
        let mut group = Self { epoch, assignment_epoch: epoch, ..Self::new(id) };
        for (id, member) in members {
            let partitions = |(topic, numbers): (&Uuid, &BTreeMap<i32, i32>)| {
                (*topic, numbers.keys().copied().collect::<BTreeSet<i32>>())
            };
            group.target.insert(id.clone(), member.assigned.iter().map(partitions).collect());
            group.put(&id, member);
        }
        group.topics = group.look_up(image);
        group
    }

    pub fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.assignment_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| member.is_at(self.assignment_epoch)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// What a member is to get; nothing if that was not computed.
    pub fn target(&self, member_id: &str) -> Partitions {
        self.target.get(member_id).cloned().unwrap_or_default()
    }

    /// The member of a static instance.
    pub fn instance(&self, instance_id: &str) -> Option<(&String, &Member)> {
        self.members.get_key_value(self.instances.get(instance_id)?)
    }

    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| self.names(member).any(|name| name == topic))
    }

    /// The assignor most members ask for; of several, and if none is asked for, the first of the settings.
    pub fn assignor(&self, configured: &[Assignor]) -> Assignor {
        let votes = |assignor: &Assignor| {
            let asks = |member: &&Member| member.assignor.as_deref() == Some(assignor.name());
            self.members.values().filter(asks).count()
        };
        // `max_by_key` keeps the last of equals.
        configured.iter().rev().copied().max_by_key(votes).unwrap_or(Assignor::Uniform)
    }

    /// Forgets members, by making a new epoch for those that stay.
    pub fn remove<W>(&mut self, env: &mut Env<'_, W>, ids: &BTreeSet<String>) {
        if ids.is_empty() {
            return;
        }
        for id in ids {
            self.take_out(env, id);
        }
        let members = &self.members;
        self.regexes.retain(|regex| members.values().any(|member| member.regex == regex));
        self.topics = self.look_up(env.image);
        self.seen = Some(Arc::clone(env.image));
        self.bump(env);
    }

    /// A timeout of a member has come; returns whether the member is to go.
    pub fn expires(&self, timer: &GroupTimer) -> Option<String> {
        match timer {
            GroupTimer::Session(id) | GroupTimer::MemberJoin(id) | GroupTimer::MemberSync(id) => {
                self.members.contains_key(id).then(|| id.clone())
            }
            GroupTimer::Revocation(id) => {
                let member = self.members.get(id)?;
                (member.state == MemberState::Unrevoked).then(|| id.clone())
            }
            GroupTimer::Rebalance | GroupTimer::Sync => None,
        }
    }

    pub fn cancel_timers<W>(&self, env: &mut Env<'_, W>) {
        for id in self.members.keys() {
            self.cancel_member(env, id);
        }
    }

    /// Begins every member's time anew, as a new coordinator does.
    pub fn load<W>(&self, env: &mut Env<'_, W>) {
        for (id, member) in &self.members {
            self.set_timer(env, GroupTimer::Session(id.clone()), env.config.consumer.session);
            if member.state == MemberState::Unrevoked {
                self.set_timer(env, GroupTimer::Revocation(id.clone()), member.rebalance);
            }
        }
    }

    fn set_timer<W>(&self, env: &mut Env<'_, W>, timer: GroupTimer, after: Duration) {
        env.timers.set((self.id.clone(), timer), env.now.saturating_add(after));
    }

    fn cancel_timer<W>(&self, env: &mut Env<'_, W>, timer: GroupTimer) {
        env.timers.cancel(&(self.id.clone(), timer));
    }

    fn cancel_member<W>(&self, env: &mut Env<'_, W>, id: &str) {
        let timers = [
            GroupTimer::Session(id.to_owned()),
            GroupTimer::Revocation(id.to_owned()),
            GroupTimer::MemberJoin(id.to_owned()),
            GroupTimer::MemberSync(id.to_owned()),
        ];
        timers.into_iter().for_each(|timer| self.cancel_timer(env, timer));
    }

    fn bump<W>(&mut self, env: &mut Env<'_, W>) {
        self.epoch += 1;
        env.events.push(format!("group {} has epoch {} of {}", self.id, self.epoch, self.members.len()));
    }

    /// Keeps a member, and what it holds.
    fn put(&mut self, id: &str, member: Member) {
        self.release(id);
        for partition in member.held() {
            self.holders.insert(partition, id.to_owned());
        }
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), id.to_owned());
        }
        self.members.insert(id.to_owned(), member);
    }

    /// Frees what a member holds.
    fn release(&mut self, id: &str) {
        for partition in self.members.get(id).into_iter().flat_map(Member::held) {
            if self.holders.get(&partition).is_some_and(|holder| holder == id) {
                self.holders.remove(&partition);
            }
        }
    }

    fn take_out<W>(&mut self, env: &mut Env<'_, W>, id: &str) -> Option<Member> {
        self.release(id);
        self.cancel_member(env, id);
        self.target.remove(id);
        let member = self.members.remove(id)?;
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        Some(member)
    }

    /// Names of the topics a member wants, whether they exist or not.
    fn names<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a String> {
        member.topics.iter().chain(self.regexes.topics(&member.regex).into_iter().flatten())
    }

    /// The topics of all members that exist.
    fn look_up(&self, image: &Image) -> BTreeMap<String, (Uuid, i32)> {
        let find = |name: &String| {
            let topic = image.topics.get(name)?;
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            Some((name.clone(), (topic.id, partitions)))
        };
        let names: BTreeSet<&String> = self.members.values().flat_map(|member| self.names(member)).collect();
        names.into_iter().filter_map(find).collect()
    }

    /// Looks at the topics if `is_asked` or if the cluster has changed; a new epoch begins if `is_asked` or if
    /// they have.
    fn refresh<W>(&mut self, env: &mut Env<'_, W>, is_asked: bool) {
        let is_known = self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, env.image));
        if is_known && !is_asked {
            return;
        }
        let topics = self.look_up(env.image);
        let changed = topics != self.topics;
        self.topics = topics;
        self.seen = Some(Arc::clone(env.image));
        if is_asked || changed {
            self.bump(env);
        }
    }

    /// Computes the target of the group's epoch, unless the last one is too young.
    fn retarget<W>(&mut self, env: &mut Env<'_, W>) {
        let (interval, now) = (env.config.consumer.assignment_interval, env.now);
        let is_time = self.assigned_at.is_none_or(|at| now >= at.saturating_add(interval));
        if self.assignment_epoch >= self.epoch || !(is_time || interval.is_zero()) {
            return;
        }
        let subscriber = |(id, member): (&String, &Member)| {
            let topics = self.topic_ids(member, env.image);
            let subscriber =
                Subscriber { instance_id: member.instance_id.clone(), topics, assigned: self.target(id) };
            (id.clone(), subscriber)
        };
        let spec = Spec {
            members: self.members.iter().map(subscriber).collect(),
            homogeneous: self.is_homogeneous(),
            partitions: self.look_up(env.image).into_values().collect(),
        };
        self.target = self.assignor(&env.config.consumer.assignors).assign(spec);
        self.assignment_epoch = self.epoch;
        self.assigned_at = Some(now);
    }

    fn is_homogeneous(&self) -> bool {
        let mut members = self.members.values();
        let Some(first) = members.next() else { return true };
        let alike = members.all(|member| (&member.topics, &member.regex) == (&first.topics, &first.regex));
        alike && (first.regex.is_empty() || first.topics.is_empty())
    }

    fn topic_ids(&self, member: &Member, image: &Image) -> BTreeSet<Uuid> {
        self.names(member).filter_map(|name| image.topics.get(name)).map(|topic| topic.id).collect()
    }
}

fn unknown_member(id: &str, group: &str) -> Refused {
    (ResponseError::UnknownMemberId, format!("Member {id} is not a member of group {group}."))
}

#[cfg(test)]
mod tests;
