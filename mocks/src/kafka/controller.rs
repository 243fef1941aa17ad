//! The controller's part of the cluster: topics, and the image that every change of them makes.
//!
//! Every change makes a new image and publishes it to the brokers. Leaders, and brokers that die and come back,
//! are in `leaders.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
/// What creating a topic on demand takes: a broker asks the controller, whose log comes back to it. Whoever asks for a
/// topic twice in one go is so told twice that it is not there. A broker of Kafka 4.3 takes 34 to 50 ms.
const ON_DEMAND: Duration = Duration::from_millis(30);

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
        let configs = topic_config::check(&new.configs, &self.broker_levels())
            .map_err(|reason| (ResponseError::InvalidConfig, reason))?;
        let replicas = if new.assignments.is_empty() {
            self.place(new.partitions, new.replication)?
        } else {
            self.check_assignments(new)?
        };
        let partition = |replicas| Partition::new(replicas, &self.truth.fenced);
        let partitions = replicas.into_iter().map(partition).collect();
        Ok(Topic { id: random_uuid(&mut self.random), partitions, configs })
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
            self.logs.insert(
                (id, i32::try_from(partition).unwrap_or(i32::MAX)),
                super::log::Log::new(self.now_ms),
            );
        }
        self.event(|| format!("topic {name} is created with {} partitions", topic.partitions.len()));
        self.change(|image| {
            image.ids.insert(id, name.to_owned());
            image.topics.insert(name.to_owned(), Arc::new(topic));
        });
    }

    /// A broker asks for a topic that a client wants to know of.
    pub fn create_on_demand(&mut self, name: &str) {
        self.timers.set_by(Timer::Topic(name.to_owned()), self.now.saturating_add(ON_DEMAND));
    }

    pub fn create_with_defaults(&mut self, name: String) {
        let new = NewTopic { name, partitions: -1, replication: -1, ..NewTopic::default() };
        match self.plan_topic(&new) {
            Ok(topic) => self.create_topic(&new.name, topic),
            Err((error, reason)) => {
                tracing::debug!(name = new.name, ?error, reason, "a topic was not created on demand");
            }
        }
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
            group.pending_offsets.forget_topic(name);
        }
        self.change(|image| {
            image.topics.remove(name);
            image.ids.remove(&topic.id);
        });
        true
    }

    /// A broker applies the images that are due.
    pub fn apply_image(&mut self, id: i32) {
        let now = self.now;
        if let Some(at) = self.nodes.get_mut(&id).and_then(|node| node.apply(now)) {
            self.timers.set(Timer::Image(id), at);
        }
        self.retry_markers();
        self.recheck_fetches();
    }

    /// Changes the truth and publishes it.
    pub fn change(&mut self, change: impl FnOnce(&mut Image)) {
        let before = Arc::clone(&self.truth);
        let image = Arc::make_mut(&mut self.truth);
        image.version += 1;
        change(image);
        for (id, node) in &mut self.nodes {
            if let Some(at) = node.publish(self.now, &self.truth) {
                self.timers.set(Timer::Image(*id), at);
            }
        }
        self.settle(&before);
        self.move_groups(&before);
        self.retry_markers();
        self.recheck_fetches();
    }

    /// Replica lists for `partitions` partitions, striped over the live brokers from a drawn start.
    pub fn place(&mut self, partitions: i32, replication: i16) -> Result<Vec<Vec<i32>>, Refused> {
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
        let mut factor = None;
        for replicas in new.assignments.values() {
            self.check_replicas(replicas, factor)?;
            factor = Some(replicas.len());
        }
        if !(0..).zip(new.assignments.keys()).all(|(expected, number)| expected == *number) {
            let reason = "partitions should be a consecutive 0-based integer sequence";
            return Err((ResponseError::InvalidReplicaAssignment, reason.to_owned()));
        }
        Ok(new.assignments.values().cloned().collect())
    }
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
