//! What happens to replicas when records are appended, nodes come and go, or leaders change.
//!
//! The high watermark of a partition is the smallest end of its replicas in sync; it moves only here, and while
//! fewer are in sync than `min.insync.replicas` asks for it does not move at all (KIP-966). A new leader's log is
//! what it had: the log is cut there, and every replica with it. So only what an old leader alone held is lost,
//! and that was acknowledged to nobody who asked for all.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::ReplicaLag;
use crate::kafka::cluster::{Cluster, Timer};
use crate::kafka::image::{Image, Partition, Topic};
use crate::kafka::leaders::next_multiple;

/// Names a partition's log and replicas: topic id and partition.
type Key = (Uuid, i32);
/// Replicas in sync to be set: topic, partition, nodes.
type NewIsr = (String, i32, Vec<i32>);

impl Cluster {
    /// The leader appended records: followers go after them, and whoever waits for records or for their
    /// acknowledgement is looked at.
    pub fn appended(&mut self, topic: &str, id: Uuid, number: i32) {
        let truth = Arc::clone(&self.truth);
        let Some(known) = truth.topics.get(topic).filter(|known| known.id == id) else { return };
        let Some(partition) = usize::try_from(number).ok().and_then(|at| known.partitions.get(at)) else {
            return;
        };
        let key = (id, number);
        self.offer(key, partition);
        let joined = self.progress(topic, known, key, partition);
        self.change_isr(joined.as_slice());
        self.wake_fetches(id, number);
    }

    /// The leader's log starts later than before: followers go after that, too.
    pub fn start_moved(&mut self, topic: &str, id: Uuid, number: i32) {
        let truth = Arc::clone(&self.truth);
        if let Some(partition) = truth.partition(topic, number) {
            self.offer((id, number), partition);
        }
    }

    /// Something that was on its way to a follower arrived.
    pub fn arrive(&mut self, key: Key, node: i32) {
        let now = self.now;
        if let Some(due) = self.replicas.get_mut(&key).and_then(|replicas| replicas.arrive(node, now)) {
            self.timers.set(Timer::Replica(key, node), due);
        }
        let truth = Arc::clone(&self.truth);
        let Some((name, topic, partition)) = truth.find(key) else { return };
        let joined = self.progress(name, topic, key, partition);
        self.change_isr(joined.as_slice());
        // Who reads from this follower sees more, even if the high watermark stays.
        self.wake_fetches(key.0, key.1);
        self.check_changes(true);
    }

    /// Leaders drop followers that have not caught up for too long (`replica.lag.time.max.ms`).
    pub fn check_isr(&mut self) {
        let truth = Arc::clone(&self.truth);
        let mut changes = Vec::new();
        for (name, key, partition) in self.lagging.iter().filter_map(|key| found(&truth, *key)) {
            let late = |node: &i32| self.is_late(key, partition, *node);
            if self.leads_alive(partition) && partition.isr.iter().any(late) {
                let kept: Vec<i32> = partition.isr.iter().copied().filter(|node| !late(node)).collect();
                changes.push(sorted((name.to_owned(), key.1, kept)));
            }
        }
        self.change_isr(&changes);
        let truth = Arc::clone(&self.truth);
        for (_, key, partition) in self.lagging.clone().into_iter().filter_map(|key| found(&truth, key)) {
            self.watch_lag(key, partition);
        }
    }

    /// Leaders, replicas in sync or topics changed.
    pub fn settle(&mut self, before: &Image) {
        let truth = Arc::clone(&self.truth);
        for (name, old) in &before.topics {
            if truth.topics.get(name).is_none_or(|topic| topic.id != old.id) {
                self.forget_topic(old);
            }
        }
        let mut joined = Vec::new();
        for (name, topic) in &truth.topics {
            let old = before.topics.get(name).filter(|old| old.id == topic.id);
            let is_same = old.is_some_and(|old| Arc::ptr_eq(old, topic));
            if !is_same || !Arc::ptr_eq(&before.configs, &truth.configs) {
                self.read_log_config(topic);
            }
            if is_same {
                continue;
            }
            for (number, partition) in (0..).zip(&topic.partitions) {
                let at = usize::try_from(number).unwrap_or(usize::MAX);
                let was = old.and_then(|old| old.partitions.get(at));
                if was == Some(partition) && old.is_some_and(|old| old.configs == topic.configs) {
                    continue;
                }
                self.tell_change(name, number, was, partition);
                self.replicas.entry((topic.id, number)).or_default().assign(&partition.replicas);
                if was.is_none_or(|was| was.epoch != partition.epoch) {
                    self.begin_lead(name, (topic.id, number), partition);
                }
                self.offer((topic.id, number), partition);
                joined.extend(self.progress(name, topic, (topic.id, number), partition));
            }
        }
        self.change_isr(&joined);
        self.check_changes(false);
    }

    /// Followers of the picked partitions go after their leaders again: a node came back, or a lag changed.
    pub fn follow_again(&mut self, picked: impl Fn(&Partition) -> bool) {
        let truth = Arc::clone(&self.truth);
        let mut joined = Vec::new();
        for (name, topic) in &truth.topics {
            for (number, partition) in (0..).zip(&topic.partitions).filter(|(_, partition)| picked(partition))
            {
                self.offer((topic.id, number), partition);
                joined.extend(self.progress(name, topic, (topic.id, number), partition));
                self.wake_fetches(topic.id, number);
            }
        }
        self.change_isr(&joined);
        self.check_changes(true);
    }

    /// A node died: nothing reaches it, and nothing reaches the followers of what it leads.
    pub fn cut_off(&mut self, node: i32) {
        let truth = Arc::clone(&self.truth);
        for topic in truth.topics.values() {
            for (number, partition) in (0..).zip(&topic.partitions) {
                let Some(replicas) = self.replicas.get_mut(&(topic.id, number)) else { continue };
                let led = partition.leader == Some(node);
                for follower in partition.replicas.iter().filter(|follower| led || **follower == node) {
                    replicas.cut_off(*follower);
                }
            }
        }
    }

    /// Sets the lag of one replica.
    pub fn set_replica_lag(&mut self, topic: &str, number: i32, node: i32, lag: Option<ReplicaLag>) {
        let Some(id) = self.truth.topics.get(topic).map(|topic| topic.id) else { return };
        self.event(|| match lag {
            Some(lag) => format!("the replica of {topic}-{number} on node {node} lags: {lag}"),
            None => format!("the replica of {topic}-{number} on node {node} keeps up as its node does"),
        });
        if let Some(replicas) = self.replicas.get_mut(&(id, number)) {
            replicas.set_lag(node, lag);
        }
        self.follow_again(|partition| partition.replicas.contains(&node));
    }

    /// Sets the lag of all followers on a node that have none of their own.
    pub fn set_node_replica_lag(&mut self, id: i32, lag: ReplicaLag) {
        self.event(|| format!("the replicas on node {id} lag: {lag}"));
        if let Some(node) = self.nodes.get_mut(&id) {
            node.replica_lag = lag;
        }
        self.follow_again(|partition| partition.replicas.contains(&id));
    }

    /// Sets the replicas in sync: those that are not among them copy nothing until they are, or until their lag
    /// is changed. A leader that is not among them loses its place.
    pub fn set_isr(&mut self, topic: &str, number: i32, isr: &[i32]) {
        let truth = Arc::clone(&self.truth);
        let (Some(known), Some(partition)) = (truth.topics.get(topic), truth.partition(topic, number)) else {
            return;
        };
        if let Some(replicas) = self.replicas.get_mut(&(known.id, number)) {
            for node in &partition.replicas {
                replicas.set_lag(*node, (!isr.contains(node)).then_some(ReplicaLag::Held));
            }
        }
        self.offer((known.id, number), partition);
        self.change_isr(&[(topic.to_owned(), number, isr.to_vec())]);
    }

    /// The log of a partition is what its leader had; its epoch begins at the end of that.
    fn begin_lead(&mut self, topic: &str, key: Key, partition: &Partition) {
        let mut cut = None;
        if let (Some(leader), Some(log), Some(replicas)) =
            (partition.leader, self.logs.get_mut(&key), self.replicas.get_mut(&key))
        {
            let (end, had) = (log.end(), replicas.end_of(leader));
            if had < end {
                log.truncate(had);
                cut = Some((end, had));
            }
            replicas.truncate(log.end());
            replicas.epoch_start = log.end();
            log.begin_epoch(partition.epoch);
        }
        if let Some((end, had)) = cut {
            self.event(|| format!("{topic}-{} is cut from {end} to {had}, which its leader had", key.1));
        }
        self.fail_produces(key, ResponseError::NotLeaderOrFollower);
        self.forget_markers(key);
    }

    /// Lets every follower of a partition go after its leader.
    fn offer(&mut self, key: Key, partition: &Partition) {
        let Some(leader) = partition.leader else { return };
        let (Some(log), Some(replicas)) = (self.logs.get(&key), self.replicas.get_mut(&key)) else { return };
        let (range, led) = (log.start()..log.end(), self.nodes.get(&leader).is_some_and(|node| node.up));
        replicas.lead(leader, range.clone());
        let mut behind = false;
        for id in partition.replicas.iter().copied().filter(|id| *id != leader) {
            let node = self.nodes.get(&id).filter(|node| led && node.up);
            let lag = node.map_or(ReplicaLag::Held, |node| replicas.lag_of(id).unwrap_or(node.replica_lag));
            if let Some(due) = replicas.follow(id, lag, range.clone(), self.now) {
                self.timers.set(Timer::Replica(key, id), due);
            }
            behind |= replicas.behind_since(id).is_some();
        }
        if behind {
            self.watch_lag(key, partition);
        }
    }

    /// Moves the high watermark to where it belongs, and returns the new replicas in sync if some joined them.
    fn progress(&mut self, name: &str, topic: &Topic, key: Key, partition: &Partition) -> Option<NewIsr> {
        let leader = partition.leader?;
        let enough = partition.isr.len() >= self.min_isr(topic, partition);
        let (log, replicas) = (self.logs.get_mut(&key)?, self.replicas.get(&key)?);
        if enough {
            let to = replicas.smallest_end(&partition.isr)?;
            if to > log.high_watermark() {
                log.set_high_watermark(to);
                self.acknowledge(key, to);
                self.acknowledge_markers(key, to);
                self.check_changes(true);
                self.wake_fetches(key.0, key.1);
            }
        }
        if partition.isr.len() == partition.replicas.len() {
            return None;
        }
        let (log, replicas) = (self.logs.get(&key)?, self.replicas.get(&key)?);
        let enough = log.high_watermark().max(replicas.epoch_start);
        let follows = |id: &i32| {
            let node = self.nodes.get(id).filter(|node| node.up && !self.truth.fenced.contains(id));
            node.is_some_and(|node| replicas.lag_of(*id).unwrap_or(node.replica_lag) != ReplicaLag::Held)
        };
        let joins = |id: &&i32| !partition.isr.contains(id) && replicas.end_of(**id) >= enough && follows(id);
        let new: Vec<i32> = partition.replicas.iter().filter(joins).copied().collect();
        if new.is_empty() || !self.is_up(leader) {
            return None;
        }
        let isr = partition.isr.iter().copied().chain(new).collect();
        Some(sorted((name.to_owned(), key.1, isr)))
    }

    fn forget_topic(&mut self, topic: &Topic) {
        self.replicas.retain(|(id, _), _| *id != topic.id);
        self.log_configs.remove(&topic.id);
        for number in 0..i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX) {
            self.lagging.remove(&(topic.id, number));
            self.fail_produces((topic.id, number), ResponseError::UnknownTopicOrPartition);
            self.forget_markers((topic.id, number));
        }
    }

    /// A follower in sync is behind: leaders look at it when it may have been so for too long. They look every
    /// half of that time.
    fn watch_lag(&mut self, key: Key, partition: &Partition) {
        let Some(replicas) = self.replicas.get(&key) else { return };
        let most = self.options.replica_lag_max;
        let since = partition.isr.iter().filter_map(|node| replicas.behind_since(*node)).min();
        match since {
            Some(since) => {
                self.lagging.insert(key);
                let at = next_multiple(since.saturating_add(most).max(self.now), most / 2);
                self.timers.set_by(Timer::Isr, at);
            }
            None => {
                self.lagging.remove(&key);
            }
        }
    }

    fn is_late(&self, key: Key, partition: &Partition, node: i32) -> bool {
        let since = self.replicas.get(&key).and_then(|replicas| replicas.behind_since(node));
        let late = |since: Duration| self.now.saturating_sub(since) > self.options.replica_lag_max;
        partition.leader != Some(node) && since.is_some_and(late)
    }

    fn leads_alive(&self, partition: &Partition) -> bool {
        partition.leader.is_some_and(|leader| self.is_up(leader))
    }

    fn is_up(&self, node: i32) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.up)
    }

    fn tell_change(&mut self, name: &str, number: i32, was: Option<&Partition>, now: &Partition) {
        let Some(was) = was else { return };
        if now.leader.is_some() && now.leader != now.replicas.first().copied() {
            self.expect_rebalance();
        }
        if name.starts_with("__") {
            return;
        }
        if was.epoch != now.epoch {
            let leader = now.leader.map_or("nobody".to_owned(), |node| node.to_string());
            self.event(|| format!("{name}-{number} is led by {leader}"));
        }
        if was.isr != now.isr {
            self.event(|| format!("{name}-{number} has {:?} in sync", now.isr));
        }
    }
}

fn found(image: &Image, key: Key) -> Option<(&str, Key, &Partition)> {
    image.find(key).map(|(name, _, partition)| (name, key, partition))
}

/// A leader names its replicas in sync in the order of their numbers.
fn sorted((name, number, mut isr): NewIsr) -> NewIsr {
    isr.sort_unstable();
    (name, number, isr)
}
