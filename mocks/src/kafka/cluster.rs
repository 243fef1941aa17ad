//! The cluster as a state machine: no I/O, no clock of its own, no thread.
//!
//! [`Cluster::handle`] takes a request at a time and answers it, or parks it; [`Cluster::advance`] moves time
//! and runs what is due. Answers to parked requests are collected in `done`. The same calls in the same order
//! give the same answers: ids come from one seeded stream, and every map is ordered.
//!
//! The controller's part (topics, elections) is in `controller.rs`, coordinators in `coordinator.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::api::fetch::ParkedFetch;
use super::config::Values;
use super::config::levels::Levels;
use super::config::topic as topic_config;
use super::group::{Group, GroupTimer};
use super::image::{Image, Node, Partition};
use super::log::Log;
use super::matcher::Target;
use super::options::KafkaOptions;
use super::requests::Requests;
use super::timers::Timers;
use super::txn::{Transactions, TxnTimer};
use super::view::{BrokerView, MetadataView};
use super::wire::frame::Frame;
use super::wire::keys::Api;
use crate::observe::{Sighting, What};

/// The topic that holds groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Names a request that is answered later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub conn: u64,
    /// The node that received it.
    pub node: i32,
    pub api: &'static Api,
    pub version: i16,
    pub correlation: i32,
    /// Answer with this error whatever the outcome.
    pub error_after: Option<i16>,
}

/// What surrounds a request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub ticket: Ticket,
    pub node: i32,
    pub client_id: &'a str,
    pub client_host: &'a str,
    pub faults: &'a Faults,
}

impl Call<'_> {
    pub fn version(&self) -> i16 {
        self.ticket.version
    }
}

/// What a rule changes in this request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Instead of applying it.
    pub before: Option<i16>,
    /// After applying it.
    pub after: Option<i16>,
    /// Which of its targets; all of them if there are none.
    pub targets: Vec<Target>,
    /// By the metadata before its last change.
    pub stale: bool,
}

impl Faults {
    /// The error instead of applying the request to this target.
    pub fn before(&self, topic: &str, partition: Option<i32>) -> Option<i16> {
        self.before.filter(|_| self.concerns(topic, partition))
    }

    /// The error after applying the request to this target.
    pub fn after(&self, topic: &str, partition: Option<i32>) -> Option<i16> {
        self.after.filter(|_| self.concerns(topic, partition))
    }

    /// The error for a target of a request that only reads.
    pub fn either(&self, topic: &str, partition: Option<i32>) -> Option<i16> {
        self.before(topic, partition).or_else(|| self.after(topic, partition))
    }

    fn concerns(&self, topic: &str, partition: Option<i32>) -> bool {
        let same = |target: &Target| {
            target.topic == topic
                && (partition.is_none() || target.partition.is_none_or(|p| Some(p) == partition))
        };
        self.targets.is_empty() || self.targets.iter().any(same)
    }
}

/// Something that happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The wait of this connection's fetch is over.
    Fetch(u64),
    /// A broker applies a metadata image.
    Image(i32),
    /// The controller notices that a broker is dead.
    Failure(i32),
    /// See `txn/expiry.rs`.
    Transactions(TxnTimer),
    /// The coordinators look for offsets that expired.
    Offsets,
    /// Old segments are looked for.
    Retention,
    /// Compacted logs are cleaned.
    Cleaner,
}

/// See the module's text.
pub(crate) struct Cluster {
    pub options: KafkaOptions,
    pub cluster_id: String,
    pub now: Duration,
    pub now_ms: i64,
    pub random: ChaCha8Rng,
    pub truth: Arc<Image>,
    pub nodes: BTreeMap<i32, Node>,
    /// Logs by topic id and partition; a deleted topic's are dropped.
    pub logs: BTreeMap<(Uuid, i32), Log>,
    pub groups: BTreeMap<String, Group<Ticket>>,
    pub group_timers: Timers<(String, GroupTimer)>,
    pub timers: Timers<Timer>,
    pub fetches: BTreeMap<u64, ParkedFetch>,
    /// Connections whose fetch waits for a partition.
    pub watchers: BTreeMap<(Uuid, i32), BTreeSet<u64>>,
    /// Requests of groups that wait.
    pub waiting: BTreeSet<u64>,
    pub transactions: Transactions,
    /// Answers to parked requests, by connection.
    pub done: Vec<(u64, Frame)>,
    pub sightings: Vec<Sighting>,
    /// Whether anybody reads the sightings.
    pub observed: bool,
    /// The request log.
    pub requests: Requests,
}

impl Cluster {
    pub fn new(mut options: KafkaOptions) -> Self {
        options.settle();
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let cluster_id = random_uuid(&mut random).simple().to_string();
        let truth = Arc::new(Image::default());
        let node = |(id, address): (i32, &String)| (id, Node::new(broker(address), Arc::clone(&truth)));
        let nodes = (1..).zip(&options.advertised).map(node).collect();
        let mut cluster = Self {
            cluster_id,
            now: options.clock.elapsed(),
            now_ms: options.clock.unix_ms(),
            random,
            truth,
            nodes,
            logs: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_timers: Timers::new(),
            timers: Timers::new(),
            fetches: BTreeMap::new(),
            watchers: BTreeMap::new(),
            waiting: BTreeSet::new(),
            transactions: Transactions::default(),
            done: Vec::new(),
            sightings: Vec::new(),
            observed: false,
            requests: Requests::new(),
            options,
        };
        cluster.fix_min_insync();
        cluster.begin_housekeeping();
        if cluster.options.offsets_topic_at_start {
            cluster.create_offsets_topic();
        }
        cluster
    }

    /// Moves time to `now` and runs what is due. Nodes live on several runtimes whose clocks may differ by
    /// some milliseconds, so time that runs backwards is taken for standing still.
    pub fn advance(&mut self, now: Duration, now_ms: i64) {
        self.now = self.now.max(now);
        self.now_ms = now_ms;
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Fetch(conn) => self.finish_fetch(conn),
                Timer::Image(node) => self.apply_image(node),
                Timer::Failure(node) => self.fence(node),
                Timer::Transactions(timer) => self.expire_transactions(timer),
                Timer::Offsets => self.check_offsets(),
                Timer::Retention => self.on_retention(),
                Timer::Cleaner => self.on_cleaner(),
            }
        }
        while let Some((group, timer)) = self.group_timers.pop(self.now) {
            self.with_group(&group, |group, env| group.expire(env, timer));
        }
    }

    /// When [`advance`](Self::advance) has something to do next.
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.timers.next(), self.group_timers.next()].into_iter().flatten().min()
    }

    /// A connection is gone: what it waits for is not answered. A member of a group stays in it until its
    /// session ends, as in Kafka.
    pub fn disconnect(&mut self, conn: u64) {
        self.forget_fetch(conn);
        self.waiting.remove(&conn);
    }

    /// Requests that wait.
    pub fn parked(&self) -> usize {
        self.fetches.len() + self.waiting.len()
    }

    /// What `node` tells of the cluster.
    pub fn view_of(&mut self, node: i32) -> MetadataView {
        let advertised: BTreeMap<i32, BrokerView> =
            self.nodes.iter().map(|(id, node)| (*id, node.advertised.clone())).collect();
        let Some(node) = self.nodes.get_mut(&node) else {
            return MetadataView { brokers: advertised, controller: -1, topics: BTreeMap::new() };
        };
        let mut view = super::image::view(&node.applied, &advertised);
        if let Some(distort) = &mut node.distortion {
            distort(&mut view);
        }
        view
    }

    /// The image `node` has applied.
    pub fn image_of(&self, node: i32) -> Arc<Image> {
        self.nodes.get(&node).map_or_else(|| Arc::clone(&self.truth), |node| Arc::clone(&node.applied))
    }

    /// The partition, if `node` leads it: the errors are those a client gets otherwise.
    pub fn led_by(&self, node: i32, topic: &str, partition: i32) -> Result<(Uuid, Partition), ResponseError> {
        let image = self.image_of(node);
        let known = image.partition(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let id = image.topics.get(topic).map(|topic| topic.id).unwrap_or_default();
        let same_topic = self.truth.topics.get(topic).is_some_and(|topic| topic.id == id);
        let truth = self.truth.partition(topic, partition).filter(|_| same_topic);
        let leads = |partition: &Partition| partition.leader == Some(node);
        if leads(known) && truth.is_some_and(leads) {
            return Ok((id, known.clone()));
        }
        Err(ResponseError::NotLeaderOrFollower)
    }

    /// As [`led_by`](Self::led_by), and the client's leader epoch must be the leader's. -1 is not checked.
    pub fn led_at(
        &self,
        node: i32,
        topic: &str,
        partition: i32,
        epoch: i32,
    ) -> Result<(Uuid, Partition), ResponseError> {
        let (id, led) = self.led_by(node, topic, partition)?;
        match epoch {
            told if told >= 0 && told < led.epoch => Err(ResponseError::FencedLeaderEpoch),
            told if told > led.epoch => Err(ResponseError::UnknownLeaderEpoch),
            _ => Ok((id, led)),
        }
    }

    /// What is set for the broker `node`, as far as it knows.
    pub fn levels_of(&self, node: i32) -> Levels<'_> {
        let image = self.nodes.get(&node).map_or(&self.truth, |node| &node.applied);
        Levels::of(&image.configs, &self.options.broker_configs, node)
    }

    /// What the controller knows to be set for brokers at large.
    pub fn broker_levels(&self) -> Levels<'_> {
        Levels::of(&self.truth.configs, &self.options.broker_configs, 0)
    }

    /// The value of a topic's setting that is in force on the broker `node`, as a number.
    pub fn topic_number(&self, node: i32, topic: &Values, name: &str) -> i64 {
        topic_config::effective_number(topic, &self.levels_of(node), name)
    }

    /// The name of a topic `node` knows by id.
    pub fn topic_name(&self, node: i32, id: Uuid) -> Option<String> {
        self.image_of(node).ids.get(&id).cloned()
    }

    /// Tells whoever watches that something happened.
    pub fn sight(&mut self, server: &str, what: What) {
        if self.observed {
            self.sightings.push(Sighting::new(server, what));
        }
    }

    /// An event of the cluster as a whole.
    pub fn event(&mut self, text: impl FnOnce() -> String) {
        if self.observed {
            self.sightings.push(Sighting::new("kafka", What::Event(text())));
        }
    }
}

/// A random (version 4) id from the cluster's stream. All zeros and one are Kafka's reserved ids.
pub(crate) fn random_uuid(random: &mut ChaCha8Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rand::RngExt::random(random)).into_uuid()
}

/// `host:port`; an address without a port gets Kafka's.
fn broker(address: &str) -> BrokerView {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "9092"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    BrokerView { host: host.to_owned(), port: port.parse().unwrap_or(9092) }
}
