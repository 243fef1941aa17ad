//! The controller's part of the cluster: topics, leaders, brokers that die and come back.
//!
//! Every change makes a new image and publishes it to the brokers. Leaders are elected from the replicas in
//! sync, in the order of the replica list; an unclean election never happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use rand::RngExt;

use super::cluster::{Cluster, OFFSETS_TOPIC, Timer, random_uuid};
use super::image::{Image, Partition, Topic};
use super::topic_config;

/// Most partitions of the topics of a request, and most bytes of a topic's name, that Kafka takes.
pub(crate) const MAX_PARTITIONS: i32 = 10_000;
/// Kafka's words for more.
pub(crate) const TOO_MANY_PARTITIONS: &str = "Excessively large number of partitions per request.";
const MAX_NAME: usize = 249;

/// A topic to be created.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewTopic {
    pub name: String,
    /// -1: the cluster's default.
    pub partitions: i32,
    /// -1: the cluster's default.
    pub replication: i16,
    /// Replicas of each partition, instead of both numbers.
    pub assignments: BTreeMap<i32, Vec<i32>>,
    pub configs: BTreeMap<String, String>,
}

/// Why a topic was refused: the error and its message.
pub(crate) type Refused = (ResponseError, String);

impl Cluster {
    /// Checks a topic and places its replicas, without creating it.
    pub fn plan_topic(&mut self, new: &NewTopic) -> Result<Topic, Refused> {
        self.check_new(&new.name)?;
        topic_config::check(&new.configs).map_err(|reason| (ResponseError::InvalidConfig, reason))?;
        let replicas = if new.assignments.is_empty() {
            self.place(new.partitions, new.replication)?
        } else {
            self.check_assignments(new)?
        };
        let partition = |replicas: Vec<i32>| Partition {
            leader: replicas.iter().find(|node| !self.truth.fenced.contains(node)).copied(),
            epoch: 0,
            isr: replicas.iter().filter(|node| !self.truth.fenced.contains(node)).copied().collect(),
            replicas,
            held: false,
        };
        let partitions = replicas.into_iter().map(partition).collect();
        Ok(Topic { id: random_uuid(&mut self.random), partitions, configs: new.configs.clone() })
    }

    /// Checks that a topic can be called so. Names that differ only in dots and underscores would have the same
    /// metrics.
    pub fn check_new(&self, name: &str) -> Result<(), Refused> {
        if self.truth.topics.contains_key(name) {
            return Err((ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        let invalid = |reason| (ResponseError::InvalidTopicException, reason);
        check_name(name).map_err(invalid)?;
        let unified = |byte: u8| if byte == b'.' { b'_' } else { byte };
        let collides = |other: &&String| other.bytes().map(unified).eq(name.bytes().map(unified));
        let mut others = self.truth.topics.keys().filter(|_| name.contains(['.', '_']));
        match others.find(collides) {
            Some(other) => Err(invalid(format!("Topic '{name}' collides with existing topic: {other}"))),
            None => Ok(()),
        }
    }

    /// Creates a planned topic.
    pub fn create_topic(&mut self, name: &str, topic: Topic) {
        let id = topic.id;
        for partition in 0..topic.partitions.len() {
            self.logs.insert((id, i32::try_from(partition).unwrap_or(i32::MAX)), super::log::Log::default());
        }
        self.event(|| format!("topic {name} is created with {} partitions", topic.partitions.len()));
        self.change(|image| {
            image.ids.insert(id, name.to_owned());
            image.topics.insert(name.to_owned(), Arc::new(topic));
        });
    }

    /// Creates the topic of the groups.
    pub fn create_offsets_topic(&mut self) {
        let new = NewTopic {
            name: OFFSETS_TOPIC.to_owned(),
            partitions: self.options.offsets_topic_partitions.clamp(1, MAX_PARTITIONS),
            replication: -1,
            configs: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
            ..NewTopic::default()
        };
        match self.plan_topic(&new) {
            Ok(topic) => self.create_topic(&new.name, topic),
            Err((error, reason)) => tracing::warn!(?error, reason, "the offsets topic cannot be created"),
        }
    }

    /// Deletes a topic with its records and the offsets committed for it.
    pub fn delete_topic(&mut self, name: &str) -> bool {
        let Some(topic) = self.truth.topics.get(name).cloned() else { return false };
        self.event(|| format!("topic {name} is deleted"));
        self.logs.retain(|(id, _), _| *id != topic.id);
        for group in self.groups.values_mut() {
            group.offsets.retain(|(of, _), _| of != name);
        }
        self.change(|image| {
            image.topics.remove(name);
            image.ids.remove(&topic.id);
        });
        true
    }

    /// Makes `to`, or nobody, the leader of a partition.
    pub fn move_leader(&mut self, topic: &str, number: i32, to: Option<i32>) {
        self.event(|| {
            format!("{topic}-{number} is led by {}", to.map_or("nobody".to_owned(), |n| n.to_string()))
        });
        self.change(|image| {
            let Some(partition) = partition_mut(image, topic, number) else { return };
            partition.leader = to;
            partition.epoch += 1;
            partition.held = to.is_none();
            if let Some(node) = to.filter(|node| !partition.isr.contains(node)) {
                partition.isr.push(node);
            }
        });
    }

    /// Makes the next live replica of a partition its leader; none if no replica lives.
    pub fn move_leader_on(&mut self, topic: &str, number: i32) -> Option<i32> {
        let partition = self.truth.partition(topic, number)?;
        let replicas = &partition.replicas;
        let at = replicas.iter().position(|node| Some(*node) == partition.leader).unwrap_or(0);
        let mut turned = (1..=replicas.len()).map(|step| replicas[(at + step) % replicas.len()]);
        let next = turned.find(|node| !self.truth.fenced.contains(node))?;
        self.move_leader(topic, number, Some(next));
        Some(next)
    }

    /// Sets the replicas in sync; a leader outside of them loses its place to one of them.
    pub fn set_isr(&mut self, topic: &str, number: i32, isr: &[i32]) {
        self.change(|image| {
            let fenced = image.fenced.clone();
            let Some(partition) = partition_mut(image, topic, number) else { return };
            partition.isr = isr.to_vec();
            elect(partition, &fenced);
        });
    }

    /// A broker's process died; the controller notices later.
    pub fn node_down(&mut self, id: i32) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.up) else { return };
        node.up = false;
        self.event(|| format!("node {id} is down"));
        let at = self.now.saturating_add(self.options.failure_detection);
        self.timers.set(Timer::Failure(id), at);
    }

    /// The controller takes a broker for dead: its partitions get other leaders.
    pub fn fence(&mut self, id: i32) {
        self.event(|| format!("node {id} is fenced"));
        self.change(|image| {
            image.fenced.insert(id);
            for_each_partition(image, |partition, fenced| {
                // The last replica in sync stays in the set: it alone has all records.
                if partition.isr.len() > 1 {
                    partition.isr.retain(|node| *node != id);
                }
                elect(partition, fenced);
            });
        });
    }

    /// A broker's process is back: it has caught up, and leads what nobody else could.
    pub fn node_up(&mut self, id: i32) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.up) else { return };
        node.up = true;
        node.catch_up();
        self.timers.cancel(&Timer::Failure(id));
        self.event(|| format!("node {id} is up"));
        self.change(|image| {
            image.fenced.remove(&id);
            for_each_partition(image, |partition, fenced| {
                if partition.replicas.contains(&id) && !partition.isr.contains(&id) {
                    partition.isr.push(id);
                }
                elect(partition, fenced);
            });
        });
    }

    /// A broker applies the images that are due.
    pub fn apply_image(&mut self, id: i32) {
        let now = self.now;
        if let Some(at) = self.nodes.get_mut(&id).and_then(|node| node.apply(now)) {
            self.timers.set(Timer::Image(id), at);
        }
        self.recheck_fetches();
    }

    /// Changes the truth and publishes it.
    fn change(&mut self, change: impl FnOnce(&mut Image)) {
        let before = Arc::clone(&self.truth);
        change(Arc::make_mut(&mut self.truth));
        for (id, node) in &mut self.nodes {
            if let Some(at) = node.publish(self.now, &self.truth) {
                self.timers.set(Timer::Image(*id), at);
            }
        }
        self.move_groups(&before);
        self.recheck_fetches();
    }

    /// Replica lists for `partitions` partitions, striped over the live brokers from a drawn start.
    fn place(&mut self, partitions: i32, replication: i16) -> Result<Vec<Vec<i32>>, Refused> {
        let partitions = if partitions == -1 { self.options.default_partitions } else { partitions };
        let wanted = if replication == -1 { self.options.default_replication_factor } else { replication };
        if wanted < 1 {
            let reason = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err((ResponseError::InvalidReplicationFactor, reason.to_owned()));
        }
        if partitions < 1 {
            let reason = "Number of partitions was set to an invalid non-positive value.";
            return Err((ResponseError::InvalidPartitions, reason.to_owned()));
        }
        if partitions > MAX_PARTITIONS {
            return Err((ResponseError::PolicyViolation, TOO_MANY_PARTITIONS.to_owned()));
        }
        let live: Vec<i32> =
            self.nodes.keys().filter(|id| !self.truth.fenced.contains(id)).copied().collect();
        let replicas = usize::try_from(wanted).ok().filter(|wanted| (1..=live.len()).contains(wanted));
        let Some(replicas) = replicas else {
            let reason = format!(
                "Unable to replicate the partition {wanted} time(s): The target replication factor of {wanted} \
                 cannot be reached because only {} broker(s) are registered or some brokers have all their log \
                 directories cordoned.",
                live.len()
            );
            return Err((ResponseError::InvalidReplicationFactor, reason));
        };
        let start = self.random.random_range(0..live.len());
        let list = |partition: usize| {
            (0..replicas).map(|replica| live[(start + partition + replica) % live.len()]).collect()
        };
        Ok((0..usize::try_from(partitions).unwrap_or(0)).map(list).collect())
    }

    fn check_assignments(&self, new: &NewTopic) -> Result<Vec<Vec<i32>>, Refused> {
        let invalid = |reason: String| (ResponseError::InvalidReplicaAssignment, reason);
        let mut before = None;
        for replicas in new.assignments.values() {
            self.check_replicas(replicas).map_err(invalid)?;
            let (count, first) = (replicas.len(), *before.get_or_insert(replicas.len()));
            if count != first {
                return Err(invalid(format!(
                    "The manual partition assignment includes a partition with {count} replica(s), but this is not \
                     consistent with previous partitions, which have {first} replica(s)."
                )));
            }
        }
        if !(0..).zip(new.assignments.keys()).all(|(expected, number)| expected == *number) {
            return Err(invalid("partitions should be a consecutive 0-based integer sequence".to_owned()));
        }
        Ok(new.assignments.values().cloned().collect())
    }

    /// Checks where somebody wants a partition to be.
    fn check_replicas(&self, replicas: &[i32]) -> Result<(), String> {
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        if sorted.is_empty() {
            return Err("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut before = None;
        for node in sorted {
            let names = "The manual partition assignment includes";
            if !self.nodes.contains_key(&node) {
                return Err(format!("{names} broker {node}, but no such broker is registered."));
            }
            if before.replace(node) == Some(node) {
                return Err(format!("{names} the broker {node} more than once."));
            }
        }
        Ok(())
    }
}

/// Gives the partition a leader if it has none that lives and is in sync.
fn elect(partition: &mut Partition, fenced: &std::collections::BTreeSet<i32>) {
    let fit = |node: &i32| partition.isr.contains(node) && !fenced.contains(node);
    if partition.held || partition.leader.as_ref().is_some_and(fit) {
        return;
    }
    let next = partition.replicas.iter().find(|node| fit(node)).copied();
    if next != partition.leader {
        partition.leader = next;
        partition.epoch += 1;
    }
}

fn for_each_partition(
    image: &mut Image,
    mut act: impl FnMut(&mut Partition, &std::collections::BTreeSet<i32>),
) {
    let fenced = image.fenced.clone();
    for topic in image.topics.values_mut() {
        for partition in &mut Arc::make_mut(topic).partitions {
            act(partition, &fenced);
        }
    }
}

fn partition_mut<'a>(image: &'a mut Image, topic: &str, number: i32) -> Option<&'a mut Partition> {
    image.topic_mut(topic)?.partitions.get_mut(usize::try_from(number).ok()?)
}

/// Kafka's rules for topic names.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.encode_utf16().count() > MAX_NAME => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_NAME}")
        }
        _ if !name.chars().all(allowed) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {reason}"))
}
