//! The controller's part of the cluster: who leads which partition, brokers that die and come back.
//!
//! Who may lead is decided in `replica/election.rs`; what an election does to the logs, in `replica/flow.rs`.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::cluster::{Cluster, Timer};
use super::config::Values;
use super::config::levels::Levels;
use super::config::topic as topic_config;
use super::image::{Image, Partition, Topic};
use super::replica::election::{self, Election, Terms};

/// How often the controller gives partitions back to their first replica
/// (`leader.imbalance.check.interval.seconds`).
pub(super) const REBALANCE_EVERY: Duration = Duration::from_secs(300);

const MIN_ISR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

impl Cluster {
    /// Makes `to`, or nobody, the leader of a partition. A leader that is not in sync is an unclean choice.
    pub fn move_leader(&mut self, topic: &str, number: i32, to: Option<i32>) {
        self.change(|image| {
            let Some(partition) = partition_mut(image, topic, number) else { return };
            partition.last_known_leader = if to.is_none() { partition.leader } else { None };
            partition.leader = to;
            partition.epoch += 1;
            partition.partition_epoch += 1;
            partition.held = to.is_none();
            if let Some(node) = to.filter(|node| !partition.isr.contains(node)) {
                partition.isr = vec![node];
                partition.elr.clear();
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

    /// Elects the first replica, or with `unclean` anybody alive where nobody leads. The error is what
    /// ElectLeaders answers.
    pub fn elect(&mut self, topic: &str, number: i32, unclean: bool) -> Result<(), ResponseError> {
        let known = self.truth.partition(topic, number).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let (leader, preferred) = (known.leader, known.replicas.first().copied());
        if (unclean && leader.is_some()) || (!unclean && leader == preferred) {
            return Err(ResponseError::ElectionNotNeeded);
        }
        let kind = if unclean { Election::Needed } else { Election::Preferred };
        let start = self.options.broker_configs.clone();
        self.change(|image| {
            if let Some(partition) = partition_mut(image, topic, number) {
                partition.held &= !unclean;
            }
            let only =
                |name: &str, at: i32, p: &Partition| (name == topic && at == number).then(|| p.isr.clone());
            apply(image, &start, &Change { kind, lost: None, unclean }, only);
        });
        let elected = self.truth.partition(topic, number).and_then(|partition| partition.leader);
        match (elected == leader, unclean) {
            (false, _) => Ok(()),
            (true, true) => Err(ResponseError::EligibleLeadersNotAvailable),
            (true, false) => Err(ResponseError::PreferredLeaderNotAvailable),
        }
    }

    /// Gives partitions back to their first replicas, where these are in sync.
    pub fn rebalance_leaders(&mut self) {
        let wanted = |partition: &Partition| {
            let first = partition.replicas.first().copied();
            partition.leader.is_some() && partition.leader != first
        };
        let start = self.options.broker_configs.clone();
        self.change(|image| {
            let change = Change { kind: Election::Preferred, lost: None, unclean: false };
            apply(image, &start, &change, |_, _, partition| wanted(partition).then(|| partition.isr.clone()));
        });
        if self.truth.topics.values().flat_map(|topic| &topic.partitions).any(wanted) {
            self.expect_rebalance();
        }
    }

    /// Some partition is not led by its first replica: the next check sees to it.
    pub fn expect_rebalance(&mut self) {
        if self.options.auto_leader_rebalance {
            let at = next_multiple(self.now, REBALANCE_EVERY);
            self.timers.set_by(Timer::Rebalance, at);
        }
    }

    /// A broker's process died; the controller notices later.
    pub fn node_down(&mut self, id: i32) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.up) else { return };
        node.up = false;
        self.sessions.remove(&id);
        self.event(|| format!("node {id} is down"));
        let at = self.now.saturating_add(self.options.failure_detection);
        self.timers.set(Timer::Failure(id), at);
        self.cut_off(id);
    }

    /// The controller takes a broker for dead: it is in sync nowhere, and its partitions get other leaders.
    pub fn fence(&mut self, id: i32) {
        self.event(|| format!("node {id} is fenced"));
        let start = self.options.broker_configs.clone();
        self.change(|image| {
            image.fenced.insert(id);
            apply(image, &start, &Change::needed(None), |_, _, partition| without(&partition.isr, id));
        });
    }

    /// A broker's process is back. The controller learns that it had died, whether it had noticed or not, so the
    /// broker is no longer in sync anywhere; then it leads what nobody else can, and follows the others.
    pub fn node_up(&mut self, id: i32) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.up) else { return };
        node.up = true;
        node.catch_up();
        self.timers.cancel(&Timer::Failure(id));
        self.event(|| format!("node {id} is up"));
        let start = self.options.broker_configs.clone();
        self.change(|image| {
            image.fenced.insert(id);
            apply(image, &start, &Change::needed(Some(id)), |_, _, partition| {
                let was_eligible = partition.elr.contains(&id).then(|| partition.isr.clone());
                without(&partition.isr, id).or(was_eligible)
            });
            image.fenced.remove(&id);
            apply(image, &start, &Change::needed(None), |_, _, partition| {
                partition.leader.is_none().then(|| partition.isr.clone())
            });
        });
        self.follow_again(|partition| partition.replicas.contains(&id));
        self.settle_reassignments();
    }

    /// A broker loses its disk, and dies of it if it runs: its replicas are empty when it comes back.
    pub fn wipe(&mut self, id: i32) {
        self.node_down(id);
        self.event(|| format!("node {id} has an empty disk"));
        for replicas in self.replicas.values_mut() {
            replicas.wipe(id);
        }
    }

    /// Fewest replicas of a partition in sync with which acknowledged records count as safe.
    pub fn min_isr(&self, topic: &Topic, partition: &Partition) -> usize {
        partition.min_isr(self.log_config(topic.id).min_insync_replicas)
    }

    /// Whether so many replicas of a partition are in sync that all of them may acknowledge records.
    pub fn enough_in_sync(&self, topic: &str, number: i32) -> bool {
        let known = self.truth.topics.get(topic).zip(self.truth.partition(topic, number));
        known.is_some_and(|(topic, partition)| partition.isr.len() >= self.min_isr(topic, partition))
    }

    /// Sets the replicas in sync of a partition, by the rules for what the leader tells the controller.
    pub fn change_isr(&mut self, changes: &[(String, i32, Vec<i32>)]) {
        if changes.is_empty() {
            return;
        }
        let start = self.options.broker_configs.clone();
        self.change(|image| {
            for (topic, number, isr) in changes {
                let only = |name: &str, at: i32, _: &Partition| {
                    (name == topic && at == *number).then(|| isr.clone())
                };
                apply(image, &start, &Change::needed(None), only);
            }
        });
    }
}

/// The next moment behind `now` that is a multiple of `step`, as of a check that runs every so often.
pub(super) fn next_multiple(now: Duration, step: Duration) -> Duration {
    let step = u64::try_from(step.as_millis()).unwrap_or(u64::MAX).max(1);
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis((now / step + 1).saturating_mul(step))
}

/// What becomes of the partitions that are picked.
struct Change {
    kind: Election,
    lost: Option<i32>,
    /// Whether anybody alive may lead, whatever the topic says.
    unclean: bool,
}

impl Change {
    fn needed(lost: Option<i32>) -> Self {
        Self { kind: Election::Needed, lost, unclean: false }
    }
}

/// Gives each partition for which `pick` names replicas in sync these, and a leader. Topics without any are
/// left as they are, shared with the images before.
fn apply(
    image: &mut Image,
    start: &Values,
    change: &Change,
    pick: impl Fn(&str, i32, &Partition) -> Option<Vec<i32>>,
) {
    let (fenced, configs) = (image.fenced.clone(), Arc::clone(&image.configs));
    let levels = Levels::of(&configs, start, 0);
    let lives = |node: i32| !fenced.contains(&node);
    for (name, topic) in &mut image.topics {
        for number in 0..topic.partitions.len() {
            let told = i32::try_from(number).unwrap_or(i32::MAX);
            let Some(isr) = topic.partitions.get(number).and_then(|partition| pick(name, told, partition))
            else {
                continue;
            };
            let wanted = topic_config::effective_number(&topic.configs, &levels, MIN_ISR);
            let unclean =
                change.unclean || topic_config::effective(&topic.configs, &levels, UNCLEAN) == "true";
            if let Some(partition) = Arc::make_mut(topic).partitions.get_mut(number) {
                let terms = Terms { min_isr: partition.min_isr(wanted), unclean, lives: &lives };
                election::change(partition, isr, change.lost, change.kind, &terms);
            }
        }
    }
}

fn without(nodes: &[i32], gone: i32) -> Option<Vec<i32>> {
    nodes.contains(&gone).then(|| nodes.iter().copied().filter(|node| *node != gone).collect())
}

fn partition_mut<'a>(image: &'a mut Image, topic: &str, number: i32) -> Option<&'a mut Partition> {
    image.topic_mut(topic)?.partitions.get_mut(usize::try_from(number).ok()?)
}
