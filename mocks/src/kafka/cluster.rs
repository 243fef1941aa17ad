//! The cluster as a state machine: no I/O, no clock of its own, no thread.
//!
//! [`Cluster::handle`] takes a request at a time and answers it, or parks it; [`Cluster::advance`] moves time
//! and runs what is due. Answers to parked requests are collected in `done`. The same calls in the same order
//! give the same answers: ids come from one seeded stream, and every map is ordered.
//!
//! The controller's part is in `controller.rs` (topics) and `leaders.rs` (elections), replication in `replica/`,
//! coordinators in `coordinator.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka_protocol::error::ResponseError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::api::fetch::ParkedFetch;
use super::api::fetch_session::Sessions;
use super::api::produce::ParkedProduce;
use super::api::replica_wait::ParkedChange;
use super::config::Values;
use super::config::levels::Levels;
use super::config::topic as topic_config;
use super::group::{Group, GroupTimer};
use super::image::{Image, Node};
use super::log::Log;
use super::log::config::LogConfig;
use super::matcher::Target;
use super::options::KafkaOptions;
use super::partitions::Reassignments;
use super::replica::Replicas;
use super::requests::Requests;
use super::sasl;
use super::throttle::Throttling;
use super::timers::Timers;
use super::txn::{TRANSACTIONS_TOPIC, Transactions, TxnTimer};
use super::view::{BrokerView, MetadataView};
use super::wire::frame::Frame;
use super::wire::keys::Api;
use crate::observe::{Sighting, What};

/// The topic that holds groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Topics of the cluster's own.
const INTERNAL_TOPICS: [&str; 3] = [OFFSETS_TOPIC, TRANSACTIONS_TOPIC, "__share_group_state"];

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
    /// Size of the request, and of the memory that any part of it keeps.
    pub frame_bytes: usize,
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
    /// The controller creates a topic that a client asked for.
    Topic(String),
    /// The wait of this connection's produce request is over.
    Produce(u64),
    /// The wait of this connection's DeleteRecords or WriteTxnMarkers is over.
    Change(u64),
    /// Records arrive at a follower.
    Replica((Uuid, i32), i32),
    /// Leaders look for followers that have not caught up for too long.
    Isr,
    /// The controller gives partitions back to their first replicas.
    Rebalance,
    /// See `txn/expiry.rs`.
    Transactions(TxnTimer),
    /// The coordinators look for offsets that expired.
    Offsets,
    /// Old segments are looked for.
    Retention,
    /// Compacted logs are cleaned.
    Cleaner,
}

/// A partition a node has a replica of, as the node knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    pub epoch: i32,
    /// Whether the node leads it: if the node and the truth say so.
    pub leads: bool,
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
    /// What their topics' settings ask of them, by topic id.
    pub log_configs: BTreeMap<Uuid, LogConfig>,
    /// Their replicas.
    pub replicas: BTreeMap<(Uuid, i32), Replicas>,
    /// Partitions with a replica in sync that lacks something.
    pub lagging: BTreeSet<(Uuid, i32)>,
    pub groups: BTreeMap<String, Group<Ticket>>,
    pub group_timers: Timers<(String, GroupTimer)>,
    pub timers: Timers<Timer>,
    pub fetches: BTreeMap<u64, ParkedFetch>,
    /// Fetches that wait for a partition: connection, and which of the fetch's partitions it is.
    pub watchers: BTreeMap<(Uuid, i32), BTreeSet<(u64, usize)>>,
    /// Fetch sessions of each node.
    pub sessions: BTreeMap<i32, Sessions>,
    /// Produce requests that wait for replicas.
    pub produces: BTreeMap<u64, ParkedProduce>,
    /// Which of them wait for a partition's high watermark to come to an offset.
    pub acks: BTreeMap<(Uuid, i32), BTreeSet<(i64, u64)>>,
    /// DeleteRecords and WriteTxnMarkers requests that wait for replicas.
    pub changes: BTreeMap<u64, ParkedChange>,
    /// Requests of groups that wait.
    pub waiting: BTreeSet<u64>,
    pub transactions: Transactions,
    /// Partitions on their way to other replicas.
    pub reassignments: Reassignments,
    pub throttling: Throttling,
    /// Answers to parked requests, by connection.
    pub done: Vec<(u64, Frame)>,
    pub sightings: Vec<Sighting>,
    /// Whether anybody reads the sightings.
    pub observed: bool,
    /// The request log.
    pub requests: Requests,
    /// Who has authenticated.
    pub sasl: sasl::Sessions,
}

impl Cluster {
    pub fn new(mut options: KafkaOptions) -> Self {
        options.settle();
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        // 22 characters, as Kafka writes a UUID.
        let cluster_id = URL_SAFE_NO_PAD.encode(random_uuid(&mut random).as_bytes());
        let scram = options.sasl.as_ref().map(|sasl| sasl.scram_credentials(&mut random));
        let truth = Arc::new(Image { scram: Arc::new(scram.unwrap_or_default()), ..Image::default() });
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
            log_configs: BTreeMap::new(),
            replicas: BTreeMap::new(),
            lagging: BTreeSet::new(),
            groups: BTreeMap::new(),
            group_timers: Timers::new(),
            timers: Timers::new(),
            fetches: BTreeMap::new(),
            watchers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            produces: BTreeMap::new(),
            acks: BTreeMap::new(),
            changes: BTreeMap::new(),
            waiting: BTreeSet::new(),
            transactions: Transactions::default(),
            reassignments: Reassignments::new(),
            throttling: Throttling::default(),
            done: Vec::new(),
            sightings: Vec::new(),
            observed: false,
            requests: Requests::new(),
            sasl: sasl::Sessions::new(options.sasl.clone()),
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
                Timer::Topic(name) => self.create_with_defaults(name),
                Timer::Produce(conn) => self.expire_produce(conn),
                Timer::Change(conn) => self.expire_change(conn),
                Timer::Replica(partition, node) => self.arrive(partition, node),
                Timer::Isr => self.check_isr(),
                Timer::Rebalance => self.rebalance_leaders(),
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
        self.throttling.forget(conn);
        self.sasl.forget(conn);
        self.forget_produce(conn);
        self.forget_change(conn);
        self.waiting.remove(&conn);
    }

    /// Requests that wait.
    pub fn parked(&self) -> usize {
        self.fetches.len() + self.produces.len() + self.changes.len() + self.waiting.len()
    }

    /// What `node` tells of the cluster.
    pub fn view_of(&mut self, node: i32) -> Arc<MetadataView> {
        if let Some(view) = self.nodes.get(&node).and_then(Node::told) {
            return view;
        }
        let advertised: BTreeMap<i32, BrokerView> =
            self.nodes.iter().map(|(id, node)| (*id, node.advertised.clone())).collect();
        match self.nodes.get_mut(&node) {
            Some(node) => node.tell(super::image::view(&node.applied, &advertised)),
            None => Arc::new(MetadataView { brokers: advertised, controller: -1, topics: BTreeMap::new() }),
        }
    }

    /// The image `node` has applied.
    pub fn image_of(&self, node: i32) -> Arc<Image> {
        self.nodes.get(&node).map_or_else(|| Arc::clone(&self.truth), |node| Arc::clone(&node.applied))
    }

    /// The partition, if `node` leads it: the errors are those a client gets otherwise.
    pub fn led_by(&self, node: i32, topic: &str, partition: i32) -> Result<(Uuid, Role), ResponseError> {
        self.led_at(node, topic, partition, -1)
    }

    /// As [`led_by`](Self::led_by), and the client's leader epoch must be the leader's. -1 is not checked.
    pub fn led_at(
        &self,
        node: i32,
        topic: &str,
        partition: i32,
        epoch: i32,
    ) -> Result<(Uuid, Role), ResponseError> {
        let (id, role) = self.role_at(node, topic, partition, epoch)?;
        if role.leads { Ok((id, role)) } else { Err(ResponseError::NotLeaderOrFollower) }
    }

    /// The partition, if `node` has a replica of it. A node knows the epoch of what it has a replica of, so the
    /// client's is checked before anybody asks who leads.
    pub fn role_at(
        &self,
        node: i32,
        topic: &str,
        partition: i32,
        epoch: i32,
    ) -> Result<(Uuid, Role), ResponseError> {
        let image = self.nodes.get(&node).map_or(&self.truth, |node| &node.applied);
        let known = image.partition(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let id = image.topics.get(topic).map(|topic| topic.id).unwrap_or_default();
        let same_topic = self.truth.topics.get(topic).is_some_and(|topic| topic.id == id);
        let truth = self.truth.partition(topic, partition).filter(|_| same_topic);
        let truth = truth.filter(|truth| truth.replicas.contains(&node) && known.replicas.contains(&node));
        let truth = truth.ok_or(ResponseError::NotLeaderOrFollower)?;
        if epoch >= 0 && epoch < known.epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if epoch > known.epoch {
            return Err(ResponseError::UnknownLeaderEpoch);
        }
        let leads = known.leader == Some(node) && truth.leader == Some(node);
        Ok((id, Role { epoch: known.epoch, leads }))
    }

    /// Where clients find `node`, and its rack, if `image` takes it for alive.
    pub fn endpoint(&self, image: &Image, node: i32) -> Option<(&BrokerView, Option<&str>)> {
        let known = self.nodes.get(&node).filter(|_| !image.fenced.contains(&node))?;
        Some((&known.advertised, self.rack_of(node)))
    }

    /// The rack of a node, if it has one.
    pub fn rack_of(&self, node: i32) -> Option<&str> {
        let at = usize::try_from(node).ok()?.checked_sub(1)?;
        self.options.racks.get(at).map(String::as_str).filter(|rack| !rack.is_empty())
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

/// Whether a topic is the cluster's own.
pub(crate) fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
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
