//! Metadata as one broker tells it: an editable copy, so that a test can make one broker lie or lag.
//!
//! A view decides only what the broker *says* (Metadata, DescribeCluster, DescribeConfigs, FindCoordinator);
//! what the broker *does* (whether it leads a partition) follows the true image it has applied.

use std::collections::BTreeMap;

use uuid::Uuid;

/// What one broker tells of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataView {
    /// Live brokers by id.
    pub brokers: BTreeMap<i32, BrokerView>,
    /// The controller's node, -1 if unknown.
    pub controller: i32,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicView>,
}

/// A broker as it is told to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerView {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i32,
}

/// A topic as it is told to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// The topic's id.
    pub id: Uuid,
    /// Partitions by number.
    pub partitions: BTreeMap<i32, PartitionView>,
    /// Configuration that was set on the topic.
    pub configs: BTreeMap<String, String>,
}

/// A partition as it is told to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// The leader's node, -1 if there is none.
    pub leader: i32,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Nodes with a replica.
    pub replicas: Vec<i32>,
    /// Nodes whose replica is in sync.
    pub isr: Vec<i32>,
    /// Nodes that may lead although they are not in sync (KIP-966).
    pub elr: Vec<i32>,
    /// Who led last, while nobody does.
    pub last_known_leader: Option<i32>,
}
