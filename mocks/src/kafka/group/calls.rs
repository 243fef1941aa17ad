//! Calls on a group, sent to whichever protocol it has.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;

use super::consumer::AWAY;
use super::{Beat, Beaten, Classic, Consumer, Env, Group, GroupTimer, Join, Kind, Refused, Reply, Sync};

impl<W: Copy> Group<W> {
    /// Lets a member join by the classic protocol; `waiter` is answered now or when the generation is complete.
    pub fn join(&mut self, env: &mut Env<'_, W>, waiter: W, join: Join) {
        let group = match &mut self.kind {
            Kind::Classic(group) => return group.join(env, waiter, join),
            Kind::Consumer(group) => group,
        };
        if group.members.is_empty() {
            let mut group = Classic::new(&self.id);
            group.join(env, waiter, join);
            self.kind = Kind::Classic(group);
            return;
        }
        match group.join(env, &join) {
            Ok(done) => {
                let is_stale = group.assignment_epoch < group.epoch;
                env.replies.push((waiter, Reply::Join(Ok(done.joined))));
                if done.is_last {
                    self.downgrade(env, &BTreeSet::new(), is_stale);
                }
            }
            Err(refused) => env.replies.push((waiter, Reply::Join(Err(refused)))),
        }
    }

    /// Gives a member of the classic protocol its assignment, now or when the leader has made it.
    pub fn sync(&mut self, env: &mut Env<'_, W>, waiter: W, sync: Sync) {
        match &mut self.kind {
            Kind::Classic(group) => group.sync(env, waiter, sync),
            Kind::Consumer(group) => {
                let synced = group.sync(env, sync);
                env.replies.push((waiter, Reply::Sync(synced)));
            }
        }
    }

    /// A member of the classic protocol says it lives.
    pub fn heartbeat(
        &mut self,
        env: &mut Env<'_, W>,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        match &mut self.kind {
            Kind::Classic(group) => group.heartbeat(env, member_id, instance_id, generation),
            Kind::Consumer(group) => group.beat(env, member_id, instance_id, generation),
        }
    }

    /// Members go by LeaveGroup: by their ids, static ones perhaps by their instance alone.
    pub fn leave(
        &mut self,
        env: &mut Env<'_, W>,
        leaving: &[(String, Option<String>)],
    ) -> Vec<Result<(), ResponseError>> {
        let group = match &mut self.kind {
            Kind::Classic(group) => return group.leave(env, leaving),
            Kind::Consumer(group) => group,
        };
        let find = |(id, instance): &(String, Option<String>)| match instance {
            None => group
                .members
                .get_key_value(id)
                .map(|(id, _)| id.clone())
                .ok_or(ResponseError::UnknownMemberId),
            Some(instance) => {
                let (holder, _) = group.instance(instance).ok_or(ResponseError::UnknownMemberId)?;
                let is_fenced = !id.is_empty() && id != holder;
                if is_fenced { Err(ResponseError::FencedInstanceId) } else { Ok(holder.clone()) }
            }
        };
        let found: Vec<_> = leaving.iter().map(find).collect();
        let gone: BTreeSet<String> = found.iter().flatten().cloned().collect();
        self.fence(env, &gone);
        found.into_iter().map(|found| found.map(|_| ())).collect()
    }

    /// A member of the consumer protocol comes, or says it lives. A group of the other protocol changes to this
    /// one if it may.
    pub fn consumer_heartbeat(&mut self, env: &mut Env<'_, W>, beat: &Beat) -> Result<Beaten, Refused> {
        if let Kind::Consumer(group) = &mut self.kind {
            return group.heartbeat(env, beat);
        }
        if beat.epoch != 0 {
            return Err(self.not_a_consumer_group());
        }
        let mut group: Consumer = self.upgraded(env)?;
        // It is put in its place only once its first call went well, or nothing would have happened.
        let beaten = group.heartbeat(env, beat)?;
        self.upgrade(env, group);
        Ok(beaten)
    }

    /// A member of the consumer protocol goes, for good or, a static one, for a moment.
    pub fn consumer_leave(&mut self, env: &mut Env<'_, W>, beat: &Beat) -> Result<Beaten, Refused> {
        let Kind::Consumer(group) = &mut self.kind else { return Err(self.not_a_consumer_group()) };
        let id = beat.member_id.clone();
        match &beat.instance_id {
            None if group.members.contains_key(&id) => {}
            None => {
                let text = format!("Member {id} is not a member of group {}.", self.id);
                return Err((ResponseError::UnknownMemberId, text));
            }
            Some(instance) => drop(group.fixed(&id, instance)?),
        }
        let epoch = beat.epoch;
        if epoch == AWAY && beat.instance_id.is_some() {
            group.step_out(env, &id);
        } else {
            env.events.push(format!("group {} is left by {id}", self.id));
            self.fence(env, &BTreeSet::from([id.clone()]));
        }
        Ok(Beaten { member_id: id, epoch, assigned: None })
    }

    /// A timeout of this group has come.
    pub fn expire(&mut self, env: &mut Env<'_, W>, timer: GroupTimer) {
        let gone = match &mut self.kind {
            Kind::Classic(group) => return group.expire(env, timer),
            Kind::Consumer(group) => group.expires(&timer),
        };
        if let Some(id) = gone {
            env.events.push(format!("group {} drops {id}: {timer:?}", self.id));
            self.fence(env, &BTreeSet::from([id]));
        }
    }

    /// Takes members out of a consumer group, which may become a classic one by that.
    fn fence(&mut self, env: &mut Env<'_, W>, gone: &BTreeSet<String>) {
        if !gone.is_empty() && self.downgrades_without(env, gone) {
            self.downgrade(env, gone, true);
        } else if let Kind::Consumer(group) = &mut self.kind {
            group.remove(env, gone);
        }
    }

    fn not_a_consumer_group(&self) -> Refused {
        (ResponseError::GroupIdNotFound, format!("Group {} is not a consumer group.", self.id))
    }
}
