//! JoinGroup: who gets in, and what that does to the generation.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Classic, Env, GroupTimer, JoinRefused, Joined, Member, Reply, State, Waiting, new_member_id};

/// How long a new member may wait for the others without being heard of.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session: Duration,
    pub rebalance: Duration,
    pub protocol_type: String,
    pub protocols: Vec<(String, Bytes)>,
    /// Since version 4 a member without an id is given one and must come again with it.
    pub needs_known_id: bool,
    /// Since version 9 a static leader that comes back may be told to leave the assignment as it is.
    pub can_skip_assignment: bool,
}

impl<W: Copy> Classic<W> {
    /// Lets a member join; `waiter` is answered now or when the generation is complete.
    pub fn join(&mut self, env: &mut Env<'_, W>, waiter: W, join: Join) {
        if let Err(error) = self.try_join(env, waiter, &join) {
            env.replies.push((waiter, Reply::Join(Err(error))));
        }
    }

    fn try_join(&mut self, env: &mut Env<'_, W>, waiter: W, join: &Join) -> Result<(), JoinRefused> {
        let refuse = |error| JoinRefused { error, member_id: join.member_id.clone() };
        if !self.has_room(env, &join.member_id) {
            self.pending.remove(&join.member_id);
            self.drop_member(env, &join.member_id);
            return Err(JoinRefused { error: ResponseError::GroupMaxSizeReached, member_id: String::new() });
        }
        if !self.supports(join) {
            return Err(refuse(ResponseError::InconsistentGroupProtocol));
        }
        if join.member_id.is_empty() {
            return self.join_as_new(env, waiter, join);
        }
        if self.pending.contains(&join.member_id) {
            if join.instance_id.is_some() {
                return Err(refuse(ResponseError::UnknownMemberId));
            }
            self.add(env, waiter, join, &join.member_id);
            return Ok(());
        }
        self.known(&join.member_id, join.instance_id.as_deref()).map_err(refuse)?;
        self.join_again(env, waiter, join).map_err(refuse)
    }

    /// Whether the group takes this member, or a new one, without growing beyond its limit. While members join,
    /// those count that have, so that the last to come are left out after the limit was lowered.
    fn has_room(&self, env: &Env<'_, W>, member_id: &str) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let waiting = self.members.values().filter(|member| member.awaits_join()).count();
                member.is_some_and(Member::awaits_join) || waiting < env.config.max_size
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < env.config.max_size
            }
        }
    }

    /// Whether the group and the member share a way to assign.
    fn supports(&self, join: &Join) -> bool {
        if join.protocol_type.is_empty() || join.protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let shared = |name: &str| {
            self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name))
        };
        self.protocol_type.as_deref() == Some(&join.protocol_type)
            && join.protocols.iter().any(|(name, _)| shared(name))
    }

    fn join_as_new(&mut self, env: &mut Env<'_, W>, waiter: W, join: &Join) -> Result<(), JoinRefused> {
        let id = new_member_id(env.random, &join.client_id, join.instance_id.as_deref());
        let instance = join.instance_id.as_deref();
        if let Some(old) = instance.and_then(|instance| self.instances.get(instance)).cloned() {
            self.replace_static(env, waiter, join, &old, &id);
            return Ok(());
        }
        if join.needs_known_id && instance.is_none() {
            self.pending.insert(id.clone());
            self.set_timer(env, GroupTimer::Session(id.clone()), join.session);
            return Err(JoinRefused { error: ResponseError::MemberIdRequired, member_id: id });
        }
        self.add(env, waiter, join, &id);
        Ok(())
    }

    fn add(&mut self, env: &mut Env<'_, W>, waiter: W, join: &Join, id: &str) {
        let member = Member {
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            instance_id: join.instance_id.clone(),
            session: join.session,
            rebalance: join.rebalance,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            is_new: true,
            waiting: Some(Waiting::Join(waiter)),
        };
        self.pending.remove(id);
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if let Some(instance) = &join.instance_id {
            self.instances.insert(instance.clone(), id.to_owned());
        }
        self.members.insert(id.to_owned(), member);
        self.leader.get_or_insert_with(|| id.to_owned());
        if let Some(round) = &mut self.first_round {
            round.joined = true;
        }
        self.set_timer(env, GroupTimer::Session(id.to_owned()), NEW_MEMBER_JOIN_TIMEOUT);
        self.rebalance(env);
    }

    fn join_again(&mut self, env: &mut Env<'_, W>, waiter: W, join: &Join) -> Result<(), ResponseError> {
        let id = &join.member_id;
        let same = self.members.get(id).is_some_and(|member| member.protocols == join.protocols);
        match self.state {
            // Its answer was lost on the way: it gets the generation it is already in.
            State::CompletingRebalance if same => self.answer_current(env, waiter, id, false),
            State::Stable if same && !self.is_leader(id) => {
                self.answer_current(env, waiter, id, false);
            }
            State::Empty => return Err(ResponseError::UnknownMemberId),
            _ => {
                self.update(env, waiter, join, id);
                self.rebalance(env);
            }
        }
        Ok(())
    }

    fn update(&mut self, env: &mut Env<'_, W>, waiter: W, join: &Join, id: &str) {
        // A member that asks twice gets its answer on the later request only.
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(Waiting::Join(earlier)) = member.waiting.take() {
            let error = ResponseError::RebalanceInProgress;
            env.replies.push((earlier, Reply::Join(Err(JoinRefused { error, member_id: id.to_owned() }))));
        }
        member.protocols.clone_from(&join.protocols);
        member.session = join.session;
        member.rebalance = join.rebalance;
        member.waiting = Some(Waiting::Join(waiter));
    }

    fn answer_current(&self, env: &mut Env<'_, W>, waiter: W, id: &str, skip_assignment: bool) {
        let joined = Joined { skip_assignment, ..self.joined(id) };
        env.replies.push((waiter, Reply::Join(Ok(joined))));
        self.touch(env, id);
    }

    /// What the member is told of the present generation.
    pub(super) fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let one = |(id, member): (&String, &Member<W>)| {
            (id.clone(), member.instance_id.clone(), member.metadata(&protocol))
        };
        let members = if self.is_leader(id) { self.members.iter().map(one).collect() } else { Vec::new() };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            members,
            skip_assignment: false,
        }
    }

    /// A static member came back without its member id: it takes over from its former self, which is fenced.
    fn replace_static(&mut self, env: &mut Env<'_, W>, waiter: W, join: &Join, old: &str, new: &str) {
        let fenced = ResponseError::FencedInstanceId;
        self.answer_join(env, old, Err(JoinRefused { error: fenced, member_id: old.to_owned() }));
        self.answer_sync(env, old, Err(fenced));
        let was_leader = self.is_leader(old);
        let Some((index, _, member)) = self.members.swap_remove_full(old) else { return };
        let (last, _) = self.members.insert_full(new.to_owned(), member);
        self.members.swap_indices(index, last);
        self.cancel_timer(env, GroupTimer::Session(old.to_owned()));
        if let Some(instance) = &join.instance_id {
            self.instances.insert(instance.clone(), new.to_owned());
        }
        if self.unsynced.remove(old) {
            self.unsynced.insert(new.to_owned());
        }
        if was_leader {
            self.leader = Some(new.to_owned());
        }
        self.update(env, waiter, join, new);
        self.touch(env, new);
        if self.state != State::Stable || self.select_protocol() != self.protocol {
            self.rebalance(env);
            return;
        }
        // The assignment stands. An older client must not take itself for the leader, or its assignment
        // would be lost: a stable group passes none on. So it is told its former self leads.
        self.persist();
        let mut joined = self.joined(new);
        if was_leader && join.can_skip_assignment {
            joined.skip_assignment = true;
        } else if was_leader {
            old.clone_into(&mut joined.leader);
            joined.members.clear();
        }
        self.answer_join(env, new, Ok(joined));
    }
}
