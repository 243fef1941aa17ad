//! The cluster's metadata: the truth, and what each broker has applied of it.
//!
//! The controller changes the truth and publishes whole, immutable images; each broker applies them in order,
//! after its lag. A broker leads a partition only if both the truth and its own image say so, so a lagging
//! broker refuses what a broker that has not replayed the metadata log would refuse, and never accepts what
//! another broker owns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::config::Configs;
use super::quota::Quotas;
use super::replica::ReplicaLag;
use super::scram::ScramCredentials;
use super::view::{BrokerView, MetadataView, PartitionView, TopicView};

/// Images a lagging broker keeps; beyond it the oldest is skipped.
const MAX_PENDING: usize = 4096;

/// Metadata at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub topics: BTreeMap<String, Arc<Topic>>,
    /// Topic names by id.
    pub ids: BTreeMap<Uuid, String>,
    /// Brokers the controller takes for dead.
    pub fenced: BTreeSet<i32>,
    /// How often the metadata changed.
    pub version: i64,
    pub quotas: Arc<Quotas>,
    pub scram: Arc<ScramCredentials>,
    /// What was set on brokers, groups and subscriptions.
    pub configs: Arc<Configs>,
}

/// A topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub id: Uuid,
    pub partitions: Vec<Partition>,
    pub configs: BTreeMap<String, String>,
}

/// A partition's place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub leader: Option<i32>,
    pub epoch: i32,
    /// Counts the changes of anything here.
    pub partition_epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// Not in sync any more, but with everything readers have seen (KIP-966).
    pub elr: Vec<i32>,
    /// Who led last, while nobody does.
    pub last_known_leader: Option<i32>,
    /// Left without a leader on purpose: not elected until somebody names one.
    pub held: bool,
}

impl Partition {
    /// A new partition: the first replica on a live node leads it.
    pub fn new(replicas: Vec<i32>, fenced: &BTreeSet<i32>) -> Self {
        let isr: Vec<i32> = replicas.iter().filter(|node| !fenced.contains(node)).copied().collect();
        Self {
            leader: isr.first().copied(),
            epoch: 0,
            partition_epoch: 0,
            replicas,
            isr,
            elr: Vec::new(),
            last_known_leader: None,
            held: false,
        }
    }

    /// Fewest replicas in sync with which acknowledged records count as safe: `wanted`, but at most as many as there
    /// are.
    pub fn min_isr(&self, wanted: i64) -> usize {
        usize::try_from(wanted).unwrap_or(usize::MAX).clamp(1, self.replicas.len().max(1))
    }
}

impl Image {
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// The name, the topic and the partition of a log.
    pub fn find(&self, (id, partition): (Uuid, i32)) -> Option<(&str, &Topic, &Partition)> {
        let name = self.ids.get(&id)?;
        let topic = self.topics.get(name)?;
        Some((name, topic, topic.partitions.get(usize::try_from(partition).ok()?)?))
    }

    /// Changes a topic; the images published before keep theirs.
    pub fn topic_mut(&mut self, topic: &str) -> Option<&mut Topic> {
        self.topics.get_mut(topic).map(Arc::make_mut)
    }
}

/// Edits what a broker tells.
pub(crate) type Distortion = Box<dyn FnMut(&mut MetadataView) + Send>;

/// One broker.
pub(crate) struct Node {
    pub advertised: BrokerView,
    /// Whether its process runs.
    pub up: bool,
    pub applied: Arc<Image>,
    /// What was applied before that.
    previous: Arc<Image>,
    pending: VecDeque<(Duration, Arc<Image>)>,
    lag: Duration,
    /// How its followers keep up, unless a partition says otherwise.
    pub replica_lag: ReplicaLag,
    told: Option<(Arc<Image>, Arc<MetadataView>)>,
    pub distortion: Option<Distortion>,
}

impl Node {
    pub fn new(advertised: BrokerView, image: Arc<Image>) -> Self {
        Self {
            advertised,
            up: true,
            previous: Arc::clone(&image),
            applied: image,
            pending: VecDeque::new(),
            lag: Duration::ZERO,
            replica_lag: ReplicaLag::None,
            told: None,
            distortion: None,
        }
    }

    /// Takes a new image, to be applied after the lag. Returns when, if that is not now.
    pub fn publish(&mut self, now: Duration, image: &Arc<Image>) -> Option<Duration> {
        if self.lag.is_zero() && self.pending.is_empty() {
            self.replace(Arc::clone(image));
            return None;
        }
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        let at = now.saturating_add(self.lag);
        self.pending.push_back((at, Arc::clone(image)));
        self.next_due()
    }

    /// Applies what is due. Returns when the next image is.
    pub fn apply(&mut self, now: Duration) -> Option<Duration> {
        while self.pending.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, image)) = self.pending.pop_front() {
                self.replace(image);
            }
        }
        self.next_due()
    }

    /// Changes the lag of what comes; without one, everything pending is applied.
    pub fn set_lag(&mut self, lag: Option<Duration>) {
        self.lag = lag.unwrap_or_default();
        if lag.is_none() {
            self.catch_up();
        }
    }

    /// Applies everything pending.
    pub fn catch_up(&mut self) {
        let newest = self.pending.drain(..).next_back();
        if let Some((_, image)) = newest {
            self.replace(image);
        }
    }

    /// What it told of the cluster, if it has the same image still. One that lies makes up its story each time.
    pub fn told(&self) -> Option<Arc<MetadataView>> {
        let (of, view) = self.told.as_ref()?;
        (self.distortion.is_none() && Arc::ptr_eq(of, &self.applied)).then(|| Arc::clone(view))
    }

    /// Tells the true `view` of the image it has applied, or lies.
    pub fn tell(&mut self, mut view: MetadataView) -> Arc<MetadataView> {
        if let Some(distort) = &mut self.distortion {
            distort(&mut view);
            return Arc::new(view);
        }
        let view = Arc::new(view);
        self.told = Some((Arc::clone(&self.applied), Arc::clone(&view)));
        view
    }

    /// Goes back to the image before the last, and gives the last to go forth to.
    pub fn go_back(&mut self) -> Arc<Image> {
        std::mem::replace(&mut self.applied, Arc::clone(&self.previous))
    }

    /// Goes forth again, unless a newer image came meanwhile.
    pub fn go_forth(&mut self, last: Arc<Image>) {
        if Arc::ptr_eq(&self.applied, &self.previous) {
            self.applied = last;
        }
    }

    fn replace(&mut self, image: Arc<Image>) {
        self.previous = std::mem::replace(&mut self.applied, image);
    }

    fn next_due(&self) -> Option<Duration> {
        self.pending.front().map(|(at, _)| *at)
    }
}

/// What a broker with `image` tells of the cluster, before any distortion.
pub(crate) fn view(image: &Image, advertised: &BTreeMap<i32, BrokerView>) -> MetadataView {
    let live = |node: &i32| !image.fenced.contains(node);
    let brokers: BTreeMap<i32, BrokerView> =
        advertised.iter().filter(|(node, _)| live(node)).map(|(node, b)| (*node, b.clone())).collect();
    // A KRaft broker names any live broker as the controller, as clients may send it admin requests; the
    // first one here, so that the answer does not depend on a draw.
    let controller = brokers.keys().next().copied().unwrap_or(-1);
    let topic = |topic: &Topic| TopicView {
        id: topic.id,
        partitions: (0..).zip(&topic.partitions).map(|(number, p)| (number, partition_view(p))).collect(),
        configs: topic.configs.clone(),
    };
    let topics = image.topics.iter().map(|(name, found)| (name.clone(), topic(found))).collect();
    MetadataView { brokers, controller, topics }
}

fn partition_view(partition: &Partition) -> PartitionView {
    PartitionView {
        leader: partition.leader.unwrap_or(-1),
        leader_epoch: partition.epoch,
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
        elr: partition.elr.clone(),
        last_known_leader: partition.last_known_leader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(fenced: i32) -> Arc<Image> {
        Arc::new(Image { fenced: BTreeSet::from([fenced]), ..Image::default() })
    }

    fn node() -> Node {
        Node::new(BrokerView { host: "a".to_owned(), port: 1 }, Arc::new(Image::default()))
    }

    #[test]
    fn a_lagging_broker_applies_images_in_order_each_after_its_lag() {
        let (mut node, second) = (node(), Duration::from_secs(1));
        node.set_lag(Some(second * 5));
        assert_eq!(node.publish(second, &image(1)), Some(second * 6));
        assert_eq!(node.publish(second * 2, &image(2)), Some(second * 6));
        assert_eq!(node.apply(second * 6), Some(second * 7));
        assert!(node.applied.fenced.contains(&1));
        assert_eq!(node.apply(second * 7), None);
        assert!(node.applied.fenced.contains(&2));
    }

    #[test]
    fn taking_the_lag_away_applies_the_newest_image() {
        let mut node = node();
        node.set_lag(Some(Duration::MAX));
        node.publish(Duration::ZERO, &image(1));
        node.publish(Duration::ZERO, &image(2));
        node.set_lag(None);
        assert!(node.applied.fenced.contains(&2));
        assert_eq!(node.publish(Duration::ZERO, &image(3)), None);
        assert!(node.applied.fenced.contains(&3));
    }
}
