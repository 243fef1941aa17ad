//! ConsumerGroupHeartbeat: members come, say what they want and hold, and are brought to their target.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::super::assignor::Partitions;
use super::super::random_id;
use super::member::{Goal, contains};
use super::regex::check;
use super::{Consumer, Env, GroupTimer, Held, Member, MemberState, Refused, unknown_member};

/// A ConsumerGroupHeartbeat request. What is none did not change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beat {
    /// Empty if the coordinator is to make one.
    pub member_id: String,
    /// 0 to join.
    pub epoch: i32,
    pub instance_id: Option<String>,
    pub rack: Option<String>,
    pub rebalance: Option<Duration>,
    pub topics: Option<BTreeSet<String>>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    pub owned: Option<Partitions>,
    pub client_id: String,
    pub client_host: String,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beaten {
    pub member_id: String,
    pub epoch: i32,
    /// What the member is to hold, if it is told.
    pub assigned: Option<Held>,
}

/// How a call changes the expressions of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegexChange {
    None,
    /// The new one is still to be resolved.
    Unresolved,
    Resolved,
}

/// A member that a call is about: as it was, and the member whose place it takes.
pub(super) struct Found {
    pub before: Member,
    pub replaces: Option<String>,
}

impl Consumer {
    /// A member of the consumer protocol comes, or says it lives.
    pub fn heartbeat<W>(&mut self, env: &mut Env<'_, W>, beat: &Beat) -> Result<Beaten, Refused> {
        self.check_room(env, &beat.member_id)?;
        let id = match beat.member_id.as_str() {
            "" => random_id(env.random),
            told => told.to_owned(),
        };
        let found = self.find(&id, beat)?;
        let mut member = found.before.clone();
        beat.apply(&mut member);
        self.check_regex(&member.regex)?;
        let before = self.enter(env, &id, found);
        let held = before.assigned.clone();
        let refreshes = self.update(env, &id, before, member);
        self.retarget(env);
        self.reconcile(env, &id, refreshes.changed, beat.owned.as_ref());
        self.set_timer(env, GroupTimer::Session(id.clone()), env.config.consumer.session);
        let member = self.members.get(&id).ok_or_else(|| unknown_member(&id, &self.id))?;
        let has_subscription = beat.topics.is_some() || beat.regex.is_some();
        let is_full = beat.rebalance.is_some() && has_subscription && beat.owned.is_some();
        let tells = beat.epoch == 0 || is_full || member.assigned != held;
        let assigned = tells.then(|| member.assigned.clone());
        let beaten = Beaten { member_id: id, epoch: member.epoch, assigned };
        if refreshes.is_due {
            self.resolve(env);
        }
        Ok(beaten)
    }

    pub(super) fn check_room<W>(&self, env: &Env<'_, W>, member_id: &str) -> Result<(), Refused> {
        let max = env.config.consumer.max_size;
        if self.members.len() < max || self.members.contains_key(member_id) {
            return Ok(());
        }
        let text = format!("The consumer group has reached its maximum capacity of {max} members.");
        Err((ResponseError::GroupMaxSizeReached, text))
    }

    fn find(&self, id: &str, beat: &Beat) -> Result<Found, Refused> {
        let joins = beat.epoch == 0;
        let Some(instance) = &beat.instance_id else {
            let before = match self.members.get(id) {
                Some(member) => member.clone(),
                None if joins => Member::new(),
                None => return Err(unknown_member(id, &self.id)),
            };
            check_epoch(&before, beat)?;
            return Ok(Found { before, replaces: None });
        };
        if !joins {
            let member = self.fixed(id, instance)?;
            check_epoch(member, beat)?;
            return Ok(Found { before: member.clone(), replaces: None });
        }
        let Some((holder, member)) = self.instance(instance) else {
            let before = self.members.get(id).cloned().unwrap_or_else(Member::new);
            return Ok(Found { before, replaces: None });
        };
        if member.classic.is_none() && member.epoch != AWAY {
            let text = format!(
                "Static member {id} with instance id {instance} cannot join the group because the instance id \
                 is owned by {holder} member."
            );
            return Err((ResponseError::UnreleasedInstanceId, text));
        }
        Ok(Found { before: returned(member), replaces: Some(holder.clone()) })
    }

    /// The static member of that instance, if it is this one.
    pub fn fixed(&self, id: &str, instance: &str) -> Result<&Member, Refused> {
        let unknown = || (ResponseError::UnknownMemberId, format!("Instance id {instance} is unknown."));
        let (holder, member) = self.instance(instance).ok_or_else(unknown)?;
        if holder == id {
            return Ok(member);
        }
        let text = format!("Static member {id} with instance id {instance} was fenced by member {holder}.");
        Err((ResponseError::FencedInstanceId, text))
    }

    /// An expression is compiled when it first comes.
    fn check_regex(&self, regex: &str) -> Result<(), Refused> {
        if regex.is_empty() || self.members.values().any(|member| member.regex == regex) {
            return Ok(());
        }
        check(regex).map_err(|text| (ResponseError::InvalidRegularExpression, text))
    }

    /// Puts a member that takes another's place there.
    pub(super) fn enter<W>(&mut self, env: &mut Env<'_, W>, id: &str, found: Found) -> Member {
        if let Some(holder) = found.replaces {
            let target = self.target.get(&holder).cloned();
            self.take_out(env, &holder);
            self.put(id, found.before.clone());
            self.target.extend(target.map(|target| (id.to_owned(), target)));
            env.events.push(format!("group {} gives the place of {holder} to {id}", self.id));
        }
        found.before
    }

    /// Keeps what a member says of itself, and makes a new epoch if what the group reads changed by it.
    pub(super) fn update<W>(
        &mut self,
        env: &mut Env<'_, W>,
        id: &str,
        before: Member,
        member: Member,
    ) -> Refreshes {
        let names_changed = before.topics != member.topics;
        let (regex, is_due) = self.change_regex(env, &before.regex, &member.regex);
        if self.members.get(id) != Some(&member) {
            self.put(id, member);
        }
        self.refresh(env, names_changed || regex == RegexChange::Resolved);
        Refreshes { changed: names_changed || regex != RegexChange::None, is_due }
    }

    /// What a member's expression means for the group's, and whether they are to be resolved.
    fn change_regex<W>(&mut self, env: &Env<'_, W>, old: &str, new: &str) -> (RegexChange, bool) {
        let count = |regex: &str| self.members.values().filter(|member| member.regex == regex).count();
        let comes = old != new && !new.is_empty() && count(new) == 0;
        let was_last = old != new && !old.is_empty() && count(old) == 1;
        let others = self.members.values().map(|member| member.regex.as_str());
        let mut wanted: BTreeSet<&str> = others.filter(|regex| !regex.is_empty()).collect();
        if was_last {
            wanted.remove(old);
        }
        wanted.extend(Some(new).filter(|regex| !regex.is_empty()));
        let every = env.config.consumer.regex_refresh;
        let is_due = self.regexes.is_due(env.now, env.image, every, &wanted, comes);
        let change = if old == new {
            RegexChange::None
        } else if new.is_empty() || self.regexes.topics(new).is_some() {
            RegexChange::Resolved
        } else {
            RegexChange::Unresolved
        };
        if was_last {
            self.regexes.retain(|regex| regex != old);
        }
        (change, is_due)
    }

    /// Resolves the group's expressions; a new epoch begins if they stand for other topics now.
    fn resolve<W>(&mut self, env: &mut Env<'_, W>) {
        let regexes = self.members.values().map(|member| member.regex.clone());
        let wanted = regexes.filter(|regex| !regex.is_empty()).collect();
        let changed = self.regexes.resolve(env.now, env.image, wanted);
        self.refresh(env, changed);
    }

    /// Brings a member one step nearer to its target.
    pub(super) fn reconcile<W>(
        &mut self,
        env: &mut Env<'_, W>,
        id: &str,
        is_new: bool,
        owned: Option<&Partitions>,
    ) {
        let Some(before) = self.members.get(id) else { return };
        if !is_new && before.is_at(self.assignment_epoch) {
            return;
        }
        let (target, subscribed) = (self.target(id), self.topic_ids(before, env.image));
        let goal =
            Goal { epoch: self.assignment_epoch, target: &target, subscribed: &subscribed, is_new, owned };
        let mut member = before.clone();
        member.reconcile(&goal, |topic, number| self.holders.contains_key(&(topic, number)));
        if member == *before {
            return;
        }
        if member.classic.is_none() {
            let timer = GroupTimer::Revocation(id.to_owned());
            match member.state {
                MemberState::Unrevoked => self.set_timer(env, timer, member.rebalance),
                MemberState::Stable | MemberState::Unreleased => self.cancel_timer(env, timer),
            }
        }
        self.put(id, member);
    }

    /// A static member goes for a moment: it keeps its place until its session ends.
    pub fn step_out<W>(&mut self, env: &mut Env<'_, W>, id: &str) {
        let Some(mut member) = self.members.get(id).cloned() else { return };
        member.epoch = AWAY;
        member.revoking = Held::new();
        member.assigned.values_mut().flat_map(|numbers| numbers.values_mut()).for_each(|epoch| *epoch = 0);
        self.cancel_timer(env, GroupTimer::Revocation(id.to_owned()));
        self.put(id, member);
    }
}

/// What a change of a member means for the rest of the call.
pub(super) struct Refreshes {
    /// Its subscription is another.
    pub changed: bool,
    /// The expressions are to be resolved.
    pub is_due: bool,
}

/// The epoch of a static member that went for a moment.
pub(crate) const AWAY: i32 = -2;

impl Beat {
    fn apply(&self, member: &mut Member) {
        fn set<T: Clone>(place: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        set(&mut member.rebalance, self.rebalance.as_ref());
        set(&mut member.topics, self.topics.as_ref());
        set(&mut member.regex, self.regex.as_ref());
        for (place, value) in [
            (&mut member.instance_id, &self.instance_id),
            (&mut member.rack, &self.rack),
            (&mut member.assignor, &self.assignor),
        ] {
            set(place, value.is_some().then_some(value));
        }
        member.client_id.clone_from(&self.client_id);
        member.client_host.clone_from(&self.client_host);
        member.classic = None;
    }
}

/// The member that comes back in the place of one that is away.
pub(super) fn returned(member: &Member) -> Member {
    Member { epoch: 0, previous_epoch: 0, ..member.clone() }
}

/// A member knows its epoch, or the one before if the answer that told it the next was lost: then it must not
/// hold more than it was given.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Refused> {
    let (told, known) = (beat.epoch, member.epoch);
    let is_subset = |owned: &Partitions| {
        let all = |(topic, numbers): (&Uuid, &BTreeSet<i32>)| {
            numbers.iter().all(|number| contains(&member.assigned, *topic, *number))
        };
        owned.iter().all(all)
    };
    let was_lost = told == member.previous_epoch && beat.owned.as_ref().is_some_and(is_subset);
    if told == 0 || told == known || (told < known && was_lost) {
        return Ok(());
    }
    let which = if told > known { "greater" } else { "smaller" };
    let text = format!(
        "The consumer group member has a {which} member epoch ({told}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    );
    Err((ResponseError::FencedMemberEpoch, text))
}
