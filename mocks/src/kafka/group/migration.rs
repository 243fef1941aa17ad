//! From one protocol to the other while members live (`group.consumer.migration.policy`).
//!
//! The first member of the consumer protocol turns a classic group of consumers into a consumer group: the last
//! assignment becomes the target, the generation the epoch. When the last such member goes, the target becomes
//! the assignment of a classic group again. Groups without members change freely.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::classic::Seat;
use super::consumer::{ClassicSide, Held, Member};
use super::{Classic, Consumer, Env, Group, Kind, Refused, embedded};
use crate::kafka::image::Image;

impl<W: Copy> Group<W> {
    /// The group as one of the consumer protocol, for a member that joins it so. A classic group with members
    /// is answered as it stands and replaced only by [`upgrade`](Self::upgrade).
    pub(super) fn upgraded(&self, env: &Env<'_, W>) -> Result<Consumer, Refused> {
        let Kind::Classic(classic) = &self.kind else { return Ok(Consumer::new(&self.id)) };
        if classic.state == super::classic::State::Empty {
            return Ok(Consumer::new(&self.id));
        }
        let refuse = |why: &str| {
            let text = format!("Cannot upgrade classic group {} to consumer group because {why}.", self.id);
            (ResponseError::GroupIdNotFound, text)
        };
        if !env.config.consumer.migration.upgrades() {
            return Err(refuse("online upgrade is disabled"));
        }
        if !classic.is_of_consumers() {
            return Err(refuse("the group does not use the consumer embedded protocol"));
        }
        if classic.members.len() > env.config.consumer.max_size {
            return Err(refuse("the group size exceeds the consumer group maximum size"));
        }
        // In a group that never had a generation there is nothing to begin with; Kafka fails as well.
        let unready = || (ResponseError::UnknownServerError, String::new());
        let protocol = classic.protocol.as_deref().ok_or_else(unready)?;
        let mut members = BTreeMap::new();
        for (id, member) in &classic.members {
            let malformed = || refuse("the embedded consumer protocol is malformed");
            let assigned = embedded::assigned(member.assignment.clone()).ok_or_else(malformed)?;
            if assigned.has_user_data {
                return Err(refuse(
                    "an unsupported custom assignor is in use. Please refer to the documentation or switch to a \
                     default assignor before re-attempting the upgrade",
                ));
            }
            let wanted = embedded::subscription(member.metadata(protocol)).ok_or_else(malformed)?;
            let member = Member {
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                instance_id: member.instance_id.clone(),
                rack: wanted.rack,
                rebalance: member.rebalance,
                topics: wanted.topics,
                epoch: classic.generation,
                previous_epoch: classic.generation,
                assigned: held(&assigned.partitions, classic.generation, env.image),
                classic: Some(ClassicSide { session: member.session, protocols: member.protocols.clone() }),
                ..Member::new()
            };
            members.insert(id.clone(), member);
        }
        Ok(Consumer::from_members(&self.id, classic.generation, members, env.image))
    }

    /// Puts a consumer group in the place of the classic one, whose members are told to come again.
    pub(super) fn upgrade(&mut self, env: &mut Env<'_, W>, group: Consumer) {
        if let Kind::Classic(classic) = &mut self.kind {
            classic.retire(env, ResponseError::RebalanceInProgress);
        }
        for (id, member) in &group.members {
            let session = member.classic.as_ref().map_or(env.config.consumer.session, |side| side.session);
            let timer = (self.id.clone(), super::GroupTimer::Session(id.clone()));
            env.timers.set(timer, env.now.saturating_add(session));
        }
        env.events.push(format!("group {} is one of the consumer protocol", self.id));
        self.kind = Kind::Consumer(group);
    }

    /// Whether the group becomes a classic one when these members are gone.
    pub(super) fn downgrades_without(&self, env: &Env<'_, W>, gone: &BTreeSet<String>) -> bool {
        let Kind::Consumer(group) = &self.kind else { return false };
        let mut stay = group.members.iter().filter(|(id, _)| !gone.contains(*id));
        let size = group.members.len().saturating_sub(gone.len());
        size > 0 && stay.all(|(_, member)| member.classic.is_some()) && group.may_downgrade(env, size)
    }

    /// Puts a classic group in the place of the consumer group, without the members that are `gone`.
    pub(super) fn downgrade(&mut self, env: &mut Env<'_, W>, gone: &BTreeSet<String>, rebalances: bool) {
        let Kind::Consumer(group) = &self.kind else { return };
        group.cancel_timers(env);
        let mut seats = Vec::new();
        for (id, member) in group.members.iter().filter(|(id, _)| !gone.contains(*id)) {
            let Some(side) = &member.classic else { continue };
            let seat = Seat {
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                instance_id: member.instance_id.clone(),
                session: side.session,
                rebalance: member.rebalance,
                protocols: side.protocols.clone(),
                assignment: Bytes::new(),
            };
            seats.push((id.clone(), seat));
        }
        let write = |id: &str, metadata: Bytes| {
            let target = group.target(id);
            let named = |(topic, numbers): (Uuid, BTreeSet<i32>)| {
                Some((env.image.ids.get(&topic)?.clone(), numbers.into_iter().collect()))
            };
            let partitions = target.into_iter().filter_map(named).collect();
            embedded::write_assigned(embedded::version(metadata).unwrap_or(0), &partitions)
        };
        let mut classic = Classic::seated(&self.id, group.epoch, seats, write);
        env.events.push(format!("group {} is a classic one", self.id));
        classic.begin(env, rebalances);
        self.kind = Kind::Classic(classic);
    }
}

/// Partitions by name as partitions by id, of the topics that exist.
fn held(partitions: &BTreeMap<String, Vec<i32>>, epoch: i32, image: &Image) -> Held {
    let find = |(name, numbers): (&String, &Vec<i32>)| {
        let topic = image.topics.get(name)?.id;
        Some((topic, numbers.iter().map(|number| (*number, epoch)).collect()))
    };
    partitions.iter().filter_map(find).collect()
}
