//! What of a group is in the offsets topic, and so outlives its coordinator.
//!
//! Kafka writes a group's metadata when a generation has its assignment, when the group becomes empty and
//! when a static member is replaced; offsets are written with every commit. A new coordinator loads that: the
//! generation, its members and their assignments, with sessions begun anew, in state Stable or Empty. Members
//! need not join again. Joins under way are lost, and whoever waited for them hears NOT_COORDINATOR.

use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;

use super::{CONSUMER, Classic, Env, GroupTimer, JoinRefused, Member, Reply, State, Waiting};

/// A group's metadata as it was written last.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: IndexMap<String, Seat>,
    empty_since_ms: Option<i64>,
}

/// What is kept of a member.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub client_id: String,
    pub client_host: String,
    pub instance_id: Option<String>,
    pub session: Duration,
    pub rebalance: Duration,
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
}

impl<W> From<Seat> for Member<W> {
    fn from(seat: Seat) -> Self {
        Self {
            client_id: seat.client_id,
            client_host: seat.client_host,
            instance_id: seat.instance_id,
            session: seat.session,
            rebalance: seat.rebalance,
            protocols: seat.protocols,
            assignment: seat.assignment,
            is_new: false,
            waiting: None,
        }
    }
}

impl<W: Copy> Classic<W> {
    /// Writes the group's metadata.
    pub fn persist(&mut self) {
        let store = |(id, member): (&String, &Member<W>)| {
            let stored = Seat {
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
            empty_since_ms: self.empty_since_ms,
        };
    }

    /// The group ends here: everybody who waits hears of `error`, and no timer stays.
    pub fn retire(&mut self, env: &mut Env<'_, W>, error: ResponseError) {
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

    /// A stable group of consumers as it comes from another protocol; `assign` writes what a member was given,
    /// told its id and subscription.
    pub fn seated(
        id: &str,
        generation: i32,
        seats: Vec<(String, Seat)>,
        assign: impl Fn(&str, Bytes) -> Bytes,
    ) -> Self {
        let mut group = Self { generation, state: State::Stable, ..Self::new(id) };
        group.protocol_type = Some(CONSUMER.to_owned());
        group.seat(seats);
        group.leader = group.members.keys().next().cloned();
        group.protocol = group.select_protocol();
        group.read_subscriptions();
        let protocol = group.protocol.clone().unwrap_or_default();
        for (id, member) in &mut group.members {
            member.assignment = assign(id, member.metadata(&protocol));
        }
        group
    }

    /// Begins the life of a group that was [`seated`](Self::seated).
    pub fn begin(&mut self, env: &mut Env<'_, W>, rebalances: bool) {
        self.persist();
        self.member_ids().iter().for_each(|id| self.touch(env, id));
        if rebalances {
            self.rebalance(env);
        }
    }

    fn seat(&mut self, seats: impl IntoIterator<Item = (String, Seat)>) {
        self.members = seats.into_iter().map(|(id, seat)| (id, seat.into())).collect();
        let instance = |(id, member): (&String, &Member<W>)| Some((member.instance_id.clone()?, id.clone()));
        self.instances = self.members.iter().filter_map(instance).collect();
    }

    /// The group as a new coordinator finds it, its sessions begun now.
    pub fn load(&mut self, env: &mut Env<'_, W>) {
        let stored = self.stored.clone();
        self.seat(stored.members);
        self.state = if self.members.is_empty() { State::Empty } else { State::Stable };
        self.generation = stored.generation;
        self.protocol_type = stored.protocol_type;
        self.protocol = stored.protocol;
        self.leader = stored.leader;
        self.empty_since_ms = stored.empty_since_ms;
        self.read_subscriptions();
        self.pending.clear();
        self.unsynced.clear();
        self.first_round = None;
        for id in self.member_ids() {
            self.touch(env, &id);
        }
    }
}
