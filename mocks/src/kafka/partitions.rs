//! Changes of partitions at the request of an administrator: more of them, other replicas, elections.
//!
//! A reassignment whose new replicas all live is complete at once, for replicas catch up at once; one that
//! waits for a dead broker stays under way, with the old replicas and the new, until the broker is back or
//! somebody cancels it.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;

use super::cluster::Cluster;
use super::controller::Refused;
use super::image::Partition;
use super::log::Log;

/// Most partitions one request may add.
const MAX_ADDED: usize = 10_000;

/// A partition on its way to other replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reassignment {
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
    /// The replicas it is to have.
    pub target: Vec<i32>,
}

/// Reassignments under way, by topic and partition.
pub(crate) type Reassignments = BTreeMap<(String, i32), Reassignment>;

impl Cluster {
    /// Adds partitions to a topic until it has `count`; `assignments` names the replicas of each new one.
    pub fn add_partitions(
        &mut self,
        topic: &str,
        count: i32,
        assignments: Option<Vec<Vec<i32>>>,
        validate_only: bool,
    ) -> Result<(), Refused> {
        let unknown = || (ResponseError::UnknownTopicOrPartition, String::new());
        let known = self.truth.topics.get(topic).cloned().ok_or_else(unknown)?;
        let old = known.partitions.len();
        let invalid = |why: String| Err((ResponseError::InvalidPartitions, why));
        let wanted = usize::try_from(count).unwrap_or(0);
        if wanted == old {
            return invalid(format!("Topic already has {old} partition(s)."));
        }
        if wanted < old {
            let has = format!("The topic {topic} currently has {old} partition(s)");
            return invalid(format!("{has}; {count} would not be an increase."));
        }
        let added = wanted - old;
        let factor = known.partitions.first().map_or(1, |partition| partition.replicas.len());
        if added > MAX_ADDED {
            // Kafka's controller cannot write so much at once.
            return Err((ResponseError::UnknownServerError, String::new()));
        }
        let replicas = match assignments {
            Some(lists) => {
                if lists.len() != added {
                    let only = format!("but only {} assignment(s) were specified.", lists.len());
                    let why = format!("Attempted to add {added} additional partition(s), {only}");
                    return Err((ResponseError::InvalidReplicaAssignment, why));
                }
                for (number, list) in (old..).zip(&lists) {
                    self.check_replicas(list, Some(factor))?;
                    if list.iter().all(|node| self.truth.fenced.contains(node)) {
                        let all = "All brokers specified in the manual partition assignment for partition";
                        let why = format!("{all} {number} are fenced or in controlled shutdown.");
                        return Err((ResponseError::InvalidReplicaAssignment, why));
                    }
                }
                lists
            }
            None => {
                let count = i32::try_from(added).unwrap_or(i32::MAX);
                self.place(count, i16::try_from(factor).unwrap_or(i16::MAX))?
            }
        };
        if validate_only {
            return Ok(());
        }
        let id = known.id;
        for number in (count - i32::try_from(added).unwrap_or(0))..count {
            self.logs.insert((id, number), Log::new(self.now_ms));
        }
        self.event(|| format!("topic {topic} has {count} partitions"));
        self.change(|image| {
            let fenced = image.fenced.clone();
            let Some(topic) = image.topic_mut(topic) else { return };
            topic.partitions.extend(replicas.into_iter().map(|replicas| Partition::new(replicas, &fenced)));
        });
        Ok(())
    }

    /// Gives a partition other replicas.
    pub fn reassign(
        &mut self,
        topic: &str,
        number: i32,
        target: &[i32],
        other_factor: bool,
    ) -> Result<(), Refused> {
        let known = self.reassignable(topic, number)?;
        self.check_replicas(target, None)?;
        let key = (topic.to_owned(), number);
        let under_way = self.reassignments.get(&key).cloned();
        let current: Vec<i32> = match &under_way {
            Some(moving) => without(&known.replicas, &moving.adding),
            None => known.replicas.clone(),
        };
        let counted = under_way.as_ref().map_or(current.len(), |moving| moving.target.len());
        if !other_factor && counted != target.len() {
            let why = format!("The replication factor is changed from {counted} to {}", target.len());
            return Err((ResponseError::InvalidReplicationFactor, why));
        }
        let moving = Reassignment {
            adding: without(target, &current),
            removing: without(&current, target),
            target: target.to_vec(),
        };
        let replicas = [target, &moving.removing].concat();
        self.event(|| format!("{topic}-{number} is to have the replicas {target:?}"));
        self.change(|image| {
            let Some(partition) = partition_mut(image, topic, number) else { return };
            partition.isr.retain(|node| replicas.contains(node));
            partition.replicas = replicas;
        });
        self.reassignments.insert(key, moving);
        self.settle_reassignments();
        Ok(())
    }

    /// Gives a partition that is on its way to other replicas those it came from.
    pub fn cancel_reassignment(&mut self, topic: &str, number: i32) -> Result<(), Refused> {
        self.reassignable(topic, number)?;
        let Some(moving) = self.reassignments.remove(&(topic.to_owned(), number)) else {
            return Err((ResponseError::NoReassignmentInProgress, String::new()));
        };
        self.change(|image| {
            let Some(partition) = partition_mut(image, topic, number) else { return };
            partition.replicas.retain(|node| !moving.adding.contains(node));
            partition.isr.retain(|node| !moving.adding.contains(node));
        });
        Ok(())
    }

    /// Completes the reassignments all of whose new replicas live; those of topics that are gone end.
    pub fn settle_reassignments(&mut self) {
        for ((topic, number), moving) in std::mem::take(&mut self.reassignments) {
            let Some(known) = self.truth.partition(&topic, number) else { continue };
            let lives =
                |node: &i32| !self.truth.fenced.contains(node) && self.nodes.get(node).is_some_and(|n| n.up);
            // Without a leader there is nobody to copy from.
            if !moving.adding.iter().all(lives) || (known.leader.is_none() && !moving.adding.is_empty()) {
                self.reassignments.insert((topic, number), moving);
                continue;
            }
            let target = moving.target;
            // Who was in sync stays in its place; the others come behind as they have caught up.
            let stays = known.isr.iter().filter(|node| target.contains(node));
            let comes = target.iter().filter(|node| lives(node) && !known.isr.contains(node));
            let isr: Vec<i32> = stays.chain(comes).copied().collect();
            let leader = known.leader;
            self.change(|image| {
                let Some(partition) = partition_mut(image, &topic, number) else { return };
                partition.replicas = target;
                partition.isr = isr;
            });
            if let Some(leader) = leader {
                self.lead_within_replicas(&topic, number, leader);
            }
        }
    }

    /// A leader that is no replica any more gives way to the first that is in sync.
    fn lead_within_replicas(&mut self, topic: &str, number: i32, leader: i32) {
        let Some(known) = self.truth.partition(topic, number) else { return };
        if known.replicas.contains(&leader) {
            return;
        }
        let fit = |node: &&i32| known.isr.contains(node) && !self.truth.fenced.contains(node);
        let next = known.replicas.iter().find(fit).copied();
        self.move_leader(topic, number, next);
    }

    /// Elects the preferred leader of a partition, or any that lives.
    pub fn elect_leader(&mut self, topic: &str, number: i32, unclean: bool) -> Result<(), Refused> {
        let unknown = |why: String| Err((ResponseError::UnknownTopicOrPartition, why));
        if !self.truth.topics.contains_key(topic) {
            return unknown(format!("No such topic as {topic}"));
        }
        if self.truth.partition(topic, number).is_none() {
            return unknown(format!("No such partition as {topic}-{number}"));
        }
        self.elect(topic, number, unclean).map_err(|error| {
            let why = match error {
                ResponseError::ElectionNotNeeded => "Leader election not needed for topic partition.",
                ResponseError::EligibleLeadersNotAvailable => {
                    "Eligible topic partition leaders are not available."
                }
                _ => "The preferred leader was not available.",
            };
            (error, why.to_owned())
        })
    }

    fn reassignable(&self, topic: &str, number: i32) -> Result<Partition, Refused> {
        let unknown = |why: String| (ResponseError::UnknownTopicOrPartition, why);
        if !self.truth.topics.contains_key(topic) {
            return Err(unknown(format!("Unable to find a topic named {topic}.")));
        }
        let known = self.truth.partition(topic, number).cloned();
        known.ok_or_else(|| unknown(format!("Unable to find partition {topic}:{number}.")))
    }

    /// Checks a list of replicas; `factor` is how many there must be.
    pub fn check_replicas(&self, replicas: &[i32], factor: Option<usize>) -> Result<(), Refused> {
        let invalid = |why: String| Err((ResponseError::InvalidReplicaAssignment, why));
        if replicas.is_empty() {
            return invalid("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut seen = BTreeSet::new();
        for node in &sorted {
            if !self.nodes.contains_key(node) {
                let includes = format!("The manual partition assignment includes broker {node}");
                return invalid(format!("{includes}, but no such broker is registered."));
            }
            if !seen.insert(node) {
                let includes = format!("The manual partition assignment includes the broker {node}");
                return invalid(format!("{includes} more than once."));
            }
        }
        match factor.filter(|factor| *factor != sorted.len()) {
            Some(factor) => invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not \
                 consistent with previous partitions, which have {factor} replica(s).",
                sorted.len()
            )),
            None => Ok(()),
        }
    }
}

/// `list` without those in `other`.
fn without(list: &[i32], other: &[i32]) -> Vec<i32> {
    list.iter().filter(|node| !other.contains(node)).copied().collect()
}

fn partition_mut<'a>(
    image: &'a mut super::image::Image,
    topic: &str,
    number: i32,
) -> Option<&'a mut Partition> {
    image.topic_mut(topic)?.partitions.get_mut(usize::try_from(number).ok()?)
}
