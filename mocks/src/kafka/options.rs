//! What a cluster is made from, and the errors of its handle.
//!
//! Defaults are Kafka's own where Kafka has one; where a default deviates, its field says so and why.

use std::time::Duration;

use thiserror::Error;

use crate::Clock;

/// Settings of a [`KafkaCluster`](super::KafkaCluster).
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// `host:port` of each node as clients are told it; the nodes' ids are 1, 2, and so on.
    pub advertised: Vec<String>,
    /// Decides topic ids, member ids and where replicas are placed.
    pub seed: u64,
    /// Gives the records' and the offsets' timestamps, and measures every timeout.
    pub clock: Clock,
    /// Whether a metadata request creates the topics it names (`auto.create.topics.enable`). Kafka's own
    /// default is true; a test rather wants to hear of its typing errors.
    pub auto_create_topics: bool,
    /// Partitions of topics that were created without a number (`num.partitions`).
    pub default_partitions: i32,
    /// Replicas of topics that were created without a number (`default.replication.factor`). Kafka's
    /// default is 1; here it is 3, or fewer with fewer brokers, so that leaders can move.
    pub default_replication_factor: i16,
    /// How long an empty group waits for more members (`group.initial.rebalance.delay.ms`). Kafka's default
    /// is 3 s; test clusters set 0, and so does this.
    pub group_initial_rebalance_delay: Duration,
    /// Shortest session timeout a member may ask for (`group.min.session.timeout.ms`).
    pub group_min_session_timeout: Duration,
    /// Longest session timeout a member may ask for (`group.max.session.timeout.ms`).
    pub group_max_session_timeout: Duration,
    /// Most members of a group (`group.max.size`; Kafka's default is no limit).
    pub group_max_size: usize,
    /// Partitions of the offsets topic (`offsets.topic.num.partitions`).
    pub offsets_topic_partitions: i32,
    /// Whether `__consumer_offsets` is there from the start, as on a cluster that has been used before. If
    /// not, the first search for a coordinator creates it and is answered `COORDINATOR_NOT_AVAILABLE`.
    pub offsets_topic_at_start: bool,
    /// Partitions of `__transaction_state` (`transaction.state.log.num.partitions`). The topic is created when
    /// the first coordinator of a transaction is searched for, which is answered `COORDINATOR_NOT_AVAILABLE`.
    pub transactions_topic_partitions: i32,
    /// Level of the feature `transaction.version` that brokers tell: 2 lets clients use transactions whose
    /// epoch rises with every end (KIP-890), 0 and 1 do not.
    pub transaction_version: i16,
    /// Longest timeout a transactional producer may ask for (`transaction.max.timeout.ms`).
    pub transaction_max_timeout: Duration,
    /// How long an unused transactional id is known (`transactional.id.expiration.ms`).
    pub transactional_id_expiration: Duration,
    /// How long a partition knows a producer that is silent (`producer.id.expiration.ms`).
    pub producer_id_expiration: Duration,
    /// Time from the end of a transaction until its markers are written. Kafka has no such setting: there it is
    /// a round trip between brokers. Until it is over, the next transaction is `CONCURRENT_TRANSACTIONS`.
    pub transaction_marker_delay: Duration,
    /// How long a dead broker keeps its leaderships (`broker.session.timeout.ms`).
    pub failure_detection: Duration,
    /// How long a follower may lack records before its leader takes it for out of sync
    /// (`replica.lag.time.max.ms`).
    pub replica_lag_max: Duration,
    /// Whether partitions go back to their first replica, once it is in sync, at a check every five minutes
    /// (`auto.leader.rebalance.enable`).
    pub auto_leader_rebalance: bool,
    /// The rack of each node (`broker.rack`), in the order of their ids; empty: none has one. With racks, a
    /// consumer that names its own is sent to a replica there, as by Kafka's `RackAwareReplicaSelector`.
    pub racks: Vec<String>,
    /// Fetch sessions a node keeps (`max.incremental.fetch.session.cache.slots`).
    pub fetch_session_slots: usize,
    /// Largest record batch a partition takes (`message.max.bytes`).
    pub max_message_bytes: i32,
    /// Most requests that wait at the same time, over all connections; a fetch beyond it is answered at once
    /// with what there is, a join or sync is refused.
    pub max_parked: usize,
}

impl KafkaOptions {
    /// `brokers` nodes that advertise `kafka-1:9092`, `kafka-2:9092` and so on.
    #[must_use]
    pub fn brokers(brokers: usize) -> Self {
        Self::advertised((1..=brokers).map(|node| format!("kafka-{node}:9092")))
    }

    /// One node per address, written `host:port`.
    pub fn advertised<T: Into<String>>(addresses: impl IntoIterator<Item = T>) -> Self {
        let advertised: Vec<String> = addresses.into_iter().map(Into::into).collect();
        let replicas = i16::try_from(advertised.len().min(3)).unwrap_or(3);
        Self {
            advertised,
            seed: 0,
            clock: Clock::default(),
            auto_create_topics: false,
            default_partitions: 1,
            default_replication_factor: replicas,
            group_initial_rebalance_delay: Duration::ZERO,
            group_min_session_timeout: Duration::from_secs(6),
            group_max_session_timeout: Duration::from_secs(1800),
            group_max_size: 10_000,
            offsets_topic_partitions: 50,
            offsets_topic_at_start: true,
            transactions_topic_partitions: 50,
            transaction_version: 2,
            transaction_max_timeout: Duration::from_secs(900),
            transactional_id_expiration: Duration::from_secs(7 * 24 * 3600),
            producer_id_expiration: Duration::from_secs(24 * 3600),
            transaction_marker_delay: Duration::ZERO,
            failure_detection: Duration::from_secs(9),
            replica_lag_max: Duration::from_secs(30),
            auto_leader_rebalance: true,
            racks: Vec::new(),
            fetch_session_slots: 1000,
            max_message_bytes: 1_048_588,
            max_parked: 100_000,
        }
    }
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self::brokers(1)
    }
}

/// Why a call on the cluster's handle failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KafkaError {
    /// The cluster has no such node.
    #[error("expected a node between 1 and {brokers}, found {node}: name a node of this cluster")]
    UnknownNode {
        /// The node that was named.
        node: i32,
        /// How many nodes there are.
        brokers: usize,
    },
    /// The node's listener ended.
    #[error("expected the listener of node {node} to go on accepting, found {found}")]
    Listener {
        /// The node.
        node: i32,
        /// The listener's error.
        found: String,
    },
    /// There is no such partition.
    #[error("expected an existing partition, found {topic}-{partition}: create the topic first")]
    UnknownPartition {
        /// The topic that was named.
        topic: String,
        /// The partition that was named.
        partition: i32,
    },
    /// No producer has this transactional id, or nobody coordinates it now.
    #[error(
        "expected a transactional id whose coordinator lives, found {0:?}: initialise its producer first"
    )]
    UnknownTransactionalId(String),
    /// The topic cannot be created; the text is what a broker would answer a client.
    #[error("expected a topic that can be created, found {topic:?}: {reason}")]
    Topic {
        /// The topic's name.
        topic: String,
        /// The broker's error and message.
        reason: String,
    },
    /// The node holds no replica of the partition.
    #[error("expected a replica of {topic}-{partition}, found node {node}: choose one of {replicas:?}")]
    NotReplica {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The node that was named.
        node: i32,
        /// Nodes that hold a replica.
        replicas: Vec<i32>,
    },
    /// A batch cannot be shown as records.
    #[error("expected records of {topic}-{partition} that can be read, found {found}")]
    Unreadable {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is in the way.
        found: String,
    },
}
