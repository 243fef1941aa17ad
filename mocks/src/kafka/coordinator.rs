//! Which broker coordinates which group, and what happens to groups when that changes.
//!
//! A group lives in the partition of the offsets topic its id hashes to, as in Kafka; the leader of that
//! partition is its coordinator. When the leader changes, the old one answers whoever waits with
//! NOT_COORDINATOR and the new one loads what was written (see `group/store.rs`). Loading takes no time, so
//! COORDINATOR_LOAD_IN_PROGRESS comes from fault rules only.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::cluster::{Cluster, OFFSETS_TOPIC, Ticket, Timer};
use super::group::{ConsumerConfig, Env, Group, GroupConfig, Reply};
use super::image::Image;

/// A shorter interval between two checks of the offsets is not honoured: time would stand still.
const SHORTEST_CHECK: Duration = Duration::from_millis(1);

impl Cluster {
    /// Limits and delays of groups.
    pub fn group_config(&self) -> GroupConfig {
        let options = &self.options;
        GroupConfig {
            initial_delay: options.group_initial_rebalance_delay,
            max_size: options.group_max_size,
            offset_metadata_max: options.offset_metadata_max_bytes,
            offsets_retention: options.offsets_retention,
            consumer: ConsumerConfig {
                session: options.group_consumer_session_timeout,
                max_size: options.group_consumer_max_size,
                assignors: options.group_consumer_assignors.clone(),
                migration: options.group_consumer_migration_policy,
                assignment_interval: options.group_consumer_assignment_interval,
                regex_refresh: options.group_consumer_regex_refresh_interval,
            },
        }
    }

    /// The partition of the offsets topic that holds `group`.
    pub fn offsets_partition(&self, group: &str) -> i32 {
        partition_of(group, self.truth.topics.get(OFFSETS_TOPIC).map_or(1, |topic| topic.partitions.len()))
    }

    /// The coordinator of `group` by the image of `node`.
    pub fn coordinator_by(&self, node: i32, group: &str) -> Option<i32> {
        self.image_of(node).partition(OFFSETS_TOPIC, self.offsets_partition(group))?.leader
    }

    /// Whether `node` may act as coordinator of `group`.
    pub fn coordinates(&self, node: i32, group: &str) -> Result<(), ResponseError> {
        if !self.truth.topics.contains_key(OFFSETS_TOPIC) {
            return Err(ResponseError::NotCoordinator);
        }
        match self.led_by(node, OFFSETS_TOPIC, self.offsets_partition(group)) {
            Ok(_) => Ok(()),
            Err(_) => Err(ResponseError::NotCoordinator),
        }
    }

    /// As [`coordinates`](Self::coordinates), for requests of members, whose group must have
    /// a name; offsets may be kept under the empty one.
    pub fn coordinates_valid(&self, node: i32, group: &str) -> Result<(), ResponseError> {
        if group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        self.coordinates(node, group)
    }

    /// Moves the coordinator of `group` to the next live replica of its partition.
    pub fn move_coordinator(&mut self, group: &str) -> i32 {
        if !self.truth.topics.contains_key(OFFSETS_TOPIC) {
            self.create_offsets_topic();
        }
        let number = self.offsets_partition(group);
        self.move_leader_on(OFFSETS_TOPIC, number).unwrap_or(-1)
    }

    /// Unloads and loads the groups whose coordinator is another than in `before`.
    pub fn move_groups(&mut self, before: &Arc<Image>) {
        let (Some(old), Some(new)) = (before.topics.get(OFFSETS_TOPIC), self.truth.topics.get(OFFSETS_TOPIC))
        else {
            return;
        };
        let changed =
            |(old, new): (&super::image::Partition, &super::image::Partition)| old.epoch != new.epoch;
        let moved: Vec<bool> = old.partitions.iter().zip(&new.partitions).map(changed).collect();
        let in_moved = |group: &&String| {
            let partition = usize::try_from(self.offsets_partition(group)).unwrap_or(usize::MAX);
            moved.get(partition).copied().unwrap_or(false)
        };
        let groups: Vec<String> = self.groups.keys().filter(in_moved).cloned().collect();
        for group in groups {
            self.with_group(&group, |group, env| {
                group.unload(env);
                group.load(env);
                env.events.push(format!("group {} has another coordinator", group.id));
            });
        }
    }

    /// Calls `act` on the group, if there is one, and passes on the answers it gives.
    pub fn with_group<R>(
        &mut self,
        id: &str,
        act: impl FnOnce(&mut Group<Ticket>, &mut Env<'_, Ticket>) -> R,
    ) -> Option<R> {
        let config = self.group_config();
        let image = self.image_of_coordinator(id);
        let (mut replies, mut events) = (Vec::new(), Vec::new());
        let group = self.groups.get_mut(id)?;
        let mut env = Env {
            now: self.now,
            now_ms: self.now_ms,
            config: &config,
            image: &image,
            timers: &mut self.group_timers,
            replies: &mut replies,
            random: &mut self.random,
            events: &mut events,
        };
        let result = act(group, &mut env);
        for text in events {
            self.event(|| text);
        }
        for (ticket, reply) in replies {
            self.waiting.remove(&ticket.conn);
            let error = match &reply {
                Reply::Join(Err(refused)) => refused.error.code(),
                Reply::Sync(Err(error)) => error.code(),
                Reply::Join(Ok(_)) | Reply::Sync(Ok(_)) => ticket.error_after.unwrap_or(0),
            };
            self.sight_request(ticket, error);
            let frame = match reply {
                Reply::Join(answer) => super::api::join_group::answer(ticket, answer),
                Reply::Sync(answer) => super::api::sync_group::answer(ticket, answer),
            };
            self.finish(ticket, frame);
        }
        Some(result)
    }

    /// Calls `act` on the group, which is made if there is none.
    pub fn with_new_group<R>(
        &mut self,
        id: &str,
        act: impl FnOnce(&mut Group<Ticket>, &mut Env<'_, Ticket>) -> R,
    ) -> Option<R> {
        if !self.groups.contains_key(id) {
            self.groups.insert(id.to_owned(), Group::new(id));
            self.expect_offsets_check();
        }
        self.with_group(id, act)
    }

    /// Deletes a group with its offsets.
    pub fn delete_group(&mut self, id: &str) -> Result<(), ResponseError> {
        let group = self.groups.get(id).ok_or(ResponseError::GroupIdNotFound)?;
        if !group.is_empty() {
            return Err(ResponseError::NonEmptyGroup);
        }
        self.forget_group(id);
        Ok(())
    }

    fn forget_group(&mut self, id: &str) {
        self.with_group(id, |group, env| group.unload(env));
        self.groups.remove(id);
        self.event(|| format!("group {id} is gone"));
    }

    /// Lets offsets expire that nobody needs any more, and forgets groups that are left with nothing.
    pub fn check_offsets(&mut self) {
        for id in self.groups.keys().cloned().collect::<Vec<_>>() {
            let all_gone = self.with_group(&id, |group, env| group.expire_offsets(env) && group.is_empty());
            if all_gone == Some(true) {
                self.forget_group(&id);
            }
        }
        self.expect_offsets_check();
    }

    /// The next check is at the next whole interval, as long as there is anything to check.
    fn expect_offsets_check(&mut self) {
        let interval = self.options.offsets_retention_check_interval.max(SHORTEST_CHECK);
        if self.groups.is_empty() || self.timers.at(&Timer::Offsets).is_some() {
            return;
        }
        let passed = self.now.as_nanos() / interval.as_nanos() + 1;
        let next = interval.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX));
        self.timers.set(Timer::Offsets, next);
    }

    /// What the coordinator of a group knows of the cluster.
    fn image_of_coordinator(&self, group: &str) -> Arc<Image> {
        let partition = self.truth.partition(OFFSETS_TOPIC, self.offsets_partition(group));
        let node = partition.and_then(|partition| partition.leader);
        node.map_or_else(|| Arc::clone(&self.truth), |node| self.image_of(node))
    }
}

/// The partition of a coordinators' topic that holds `id`.
pub(super) fn partition_of(id: &str, partitions: usize) -> i32 {
    let hash = java_hash(id).checked_abs().unwrap_or(0);
    hash % i32::try_from(partitions.max(1)).unwrap_or(i32::MAX)
}

/// `String.hashCode` of Java: over UTF-16 units, wrapping.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hash_as_java_strings_do() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }
}
